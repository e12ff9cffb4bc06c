package wsconn

import (
	"errors"
	"fmt"
	"os"
	"time"

	"crier/io/netpoll"
)

const (
	// joinSize is how many bytes of queued frames leave in one write.
	joinSize = 64 << 10
	// recordSize is the same where the buffer is held while a write waits. It
	// is that of a TLS record.
	recordSize = 16 << 10
)

// flush empties the queue; it runs in a goroutine that lives as long as the
// queue does.
func (o *output) flush() {
	step := o.flushStream
	if o.nc.Direct() {
		step = o.flushDirect
	}
	for {
		more, err := step()
		if err != nil {
			o.abort(fmt.Errorf("flushing: %w", o.stalled(err)))
			return
		}
		if !more {
			return
		}
	}
}

// flushDirect writes what a socket takes, and then waits until it takes more.
// No buffer is held while it waits.
func (o *output) flushDirect() (more bool, err error) {
	o.mu.Lock()
	q := o.out
	if q == nil { // aborted
		o.mu.Unlock()
		return false, nil
	}
	buf := o.up.joins.Get().(*[]byte)
	n, err := o.nc.TryWrite(q.join(*buf))
	o.up.joins.Put(buf)
	o.up.flushed.Add(uint64(n))
	q.advance(n)
	o.settle()
	if q.empty() {
		return false, o.drained() // unlocks
	}
	if !errors.Is(err, netpoll.ErrWouldBlock) {
		o.mu.Unlock()
		return err == nil, err
	}
	first := q.first()
	err = o.extend()
	o.mu.Unlock()
	if err == nil {
		n, err = o.nc.WriteSome(first)
	}
	if err != nil {
		return false, err
	}
	return o.written(q, n)
}

// flushStream writes by blocking calls.
func (o *output) flushStream() (more bool, err error) {
	buf := o.up.records.Get().(*[]byte)
	defer o.up.records.Put(buf)
	o.mu.Lock()
	q := o.out
	if q == nil { // aborted
		o.mu.Unlock()
		return false, nil
	}
	p := q.join(*buf)
	err = o.extend()
	o.mu.Unlock()
	if err != nil {
		return false, err
	}
	n, err := o.nc.Write(p)
	if err != nil {
		return false, err
	}
	return o.written(q, n)
}

// written takes n bytes off the queue, which was unlocked meanwhile.
func (o *output) written(q *queue, n int) (more bool, err error) {
	o.up.flushed.Add(uint64(n))
	o.mu.Lock()
	if o.out != q { // aborted
		o.mu.Unlock()
		return false, nil
	}
	q.advance(n)
	o.settle()
	if q.empty() {
		return false, o.drained() // unlocks
	}
	o.mu.Unlock()
	return true, nil
}

// stalled says of an error what it means, if it is that of a deadline before the connection was closing.
func (o *output) stalled(err error) error {
	if o.load() == open && errors.Is(err, os.ErrDeadlineExceeded) {
		return &StalledError{o.Queued()}
	}
	return err
}

// extend gives the peer another WriteTimeout to take some bytes, unless the
// connection is closing: then it has had its last deadline. mu is held.
func (o *output) extend() error {
	if o.load() != open {
		return nil
	}
	return o.nc.SetWriteDeadline(time.Now().Add(o.up.o.WriteTimeout))
}

// drained drops the empty queue and unlocks mu.
func (o *output) drained() error {
	q := o.out
	o.out = nil
	o.recycle(q)
	if o.load() == open {
		err := o.nc.SetWriteDeadline(time.Time{})
		o.mu.Unlock()
		return err
	}
	o.mu.Unlock()
	o.endOutput()
	return nil
}
