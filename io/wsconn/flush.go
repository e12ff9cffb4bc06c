package wsconn

import (
	"errors"
	"fmt"
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
func (c *Conn) flush() {
	step := c.flushStream
	if c.nc.Direct() {
		step = c.flushDirect
	}
	for {
		more, err := step()
		if err != nil {
			c.abort(fmt.Errorf("flushing: %w", err))
			return
		}
		if !more {
			return
		}
	}
}

// flushDirect writes what a socket takes, and then waits until it takes more.
// No buffer is held while it waits.
func (c *Conn) flushDirect() (more bool, err error) {
	c.mu.Lock()
	q := c.out
	if q == nil { // aborted
		c.mu.Unlock()
		return false, nil
	}
	buf := c.up.joins.Get().(*[]byte)
	n, err := c.nc.TryWrite(q.join(*buf))
	c.up.joins.Put(buf)
	q.advance(n)
	if q.empty() {
		return false, c.drained() // unlocks
	}
	if !errors.Is(err, netpoll.ErrWouldBlock) {
		c.mu.Unlock()
		return err == nil, err
	}
	first := q.first()
	err = c.extend()
	c.mu.Unlock()
	if err == nil {
		n, err = c.nc.WriteSome(first)
	}
	if err != nil {
		return false, err
	}
	return c.written(q, n)
}

// flushStream writes by blocking calls.
func (c *Conn) flushStream() (more bool, err error) {
	buf := c.up.records.Get().(*[]byte)
	defer c.up.records.Put(buf)
	c.mu.Lock()
	q := c.out
	if q == nil { // aborted
		c.mu.Unlock()
		return false, nil
	}
	p := q.join(*buf)
	err = c.extend()
	c.mu.Unlock()
	if err != nil {
		return false, err
	}
	n, err := c.nc.Write(p)
	if err != nil {
		return false, err
	}
	return c.written(q, n)
}

// written takes n bytes off the queue, which was unlocked meanwhile.
func (c *Conn) written(q *queue, n int) (more bool, err error) {
	c.mu.Lock()
	if c.out != q { // aborted
		c.mu.Unlock()
		return false, nil
	}
	q.advance(n)
	if q.empty() {
		return false, c.drained() // unlocks
	}
	c.mu.Unlock()
	return true, nil
}

// extend gives the peer another WriteTimeout to take some bytes, unless the
// connection is closing: then it has had its last deadline. mu is held.
func (c *Conn) extend() error {
	if c.load() != open {
		return nil
	}
	return c.nc.SetWriteDeadline(time.Now().Add(c.up.o.WriteTimeout))
}

// drained drops the empty queue and unlocks mu.
func (c *Conn) drained() error {
	q := c.out
	c.out = nil
	if q.reset() {
		c.up.queues.Put(q)
	}
	if c.load() == open {
		err := c.nc.SetWriteDeadline(time.Time{})
		c.mu.Unlock()
		return err
	}
	c.mu.Unlock()
	c.endOutput()
	return nil
}
