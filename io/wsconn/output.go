package wsconn

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"crier/io/netpoll"
)

// state of a connection's output. It only grows.
type state uint32

const (
	open    state = iota
	closing       // the last bytes are queued or written; input is ignored
	hanging       // as closing, and the socket is closed after them
	closed        // the socket is closed
)

// output is what a connection sends through: everything but what it means. Its
// methods may be called concurrently.
type output struct {
	// static
	up *Upgrader
	nc netpoll.Conn

	// owned as Conn.in is
	told bool // Handler.Closed was called

	// set by Upgrade, before there is a handler; here since there is room
	deflates bool // messages may be compressed, in both directions

	// guarded by mu, also where it is before it
	started   bool
	dead      bool // the socket of a Conn ended before that had a handler
	reading   bool // what was read is being handled
	discarded bool // nothing is sent any more but a farewell
	mu        sync.Mutex
	state     atomic.Uint32 // written under mu, read by anybody
	corked    atomic.Bool   // likewise: out is held for Uncork
	out       *queue        // nil: nothing waits. Otherwise a flusher is running, or it is held
	cause     error         // for those who are told of the end
}

// Send writes whole frames of a server (see AppendText), or a piece of a stream,
// which may be several joined, and counts them as the given number of messages. It never blocks:
// what the kernel does not take at once is kept by reference and written
// later, so frames must never change; they may be shared with other
// connections.
//
// ErrQueueFull says that unsent bytes or messages would exceed the limits;
// nothing of frames was taken, and the owner is expected to close. While
// nothing waits, one Send of any size is accepted. ErrClosed (possibly wrapped)
// says that the connection is closing or broken.
func (o *output) Send(frames []byte, messages int) error {
	if len(frames) == 0 {
		return nil
	}
	return o.send(frames, messages, false)
}

// SendCopy is Send of what may change after it: what is kept is a copy.
func (o *output) SendCopy(frames []byte, messages int) error {
	if len(frames) == 0 {
		return nil
	}
	return o.send(frames, messages, true)
}

// Warm reads what SendCopy will, and does nothing.
func (o *output) Warm() {
	if o.load() == open {
		o.nc.Warm()
	}
}

func (o *output) send(frames []byte, messages int, changes bool) error {
	o.mu.Lock()
	if o.load() != open || o.discarded {
		o.mu.Unlock()
		return ErrClosed
	}
	var err error
	switch q := o.out; {
	case q == nil:
		err = o.write(frames, messages, changes)
	case q.hold == flowing:
		defer o.mu.Unlock()
		if !q.empty() && q.exceeds(&o.up.o, len(frames), messages) {
			o.up.queueFull.Add(1)
			return ErrQueueFull
		}
		if changes {
			frames = bytes.Clone(frames)
		}
		q.push(frames, messages)
		o.settle()
		return nil
	case q.hold == forUncork && !q.exceeds(&o.up.o, len(frames), messages):
		q.keep(frames, messages)
	default:
		err = o.release(frames, messages)
	}
	o.mu.Unlock()
	if err != nil {
		o.abort(err)
		return fmt.Errorf("%w: %w", ErrClosed, err)
	}
	return nil
}

// begin keeps the first bytes of a connection until there is more to send: a write of their own is a tenth of a login. Where no write
// can be tried, they are sent at once. The memory of answer is the caller's again when it returns.
func (o *output) begin(answer []byte) {
	if !o.nc.Direct() {
		if err := o.sendFirst(bytes.Clone(answer)); err != nil {
			o.abort(fmt.Errorf("answering the handshake: %w", err))
		}
		return
	}
	q := o.queue()
	q.keep(answer, 0)
	q.hold = forNext
	o.mu.Lock()
	defer o.mu.Unlock()
	o.out = q
}

// sendFirst sends the first bytes of a connection, and waits for that.
func (o *output) sendFirst(answer []byte) error {
	if err := o.nc.SetWriteDeadline(time.Now().Add(o.up.o.WriteTimeout)); err != nil {
		return err
	}
	if _, err := o.nc.Write(answer); err != nil {
		return err
	}
	return o.nc.SetWriteDeadline(time.Time{})
}

// Cork has what is sent from now on leave in one write: with Uncork, or at the latest when all that has been read has been handled. Whoever
// may wait before that has to Uncork. Before Start it is until that; later, while nothing is being handled, it does nothing.
func (o *output) Cork() {
	if o.corked.Load() { // as for most of what is said together
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.load() != open:
		return
	case o.out == nil && (o.reading || !o.started):
		o.out = o.queue()
	case o.out == nil || o.out.hold != forNext:
		return
	}
	o.out.hold = forUncork
	o.corked.Store(true)
}

// Uncork sends what was held back by Cork, and with the answer to the handshake, if that has not been sent.
func (o *output) Uncork() { o.resume(false) }

// beginReading says that what was read is being handled from now on, and reports whether it should be.
func (o *output) beginReading() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.reading = o.load() == open
	return o.reading
}

// endReading says that it has been.
func (o *output) endReading() { o.resume(true) }

// resume sends what was held back.
func (o *output) resume(pause bool) {
	o.mu.Lock()
	if pause {
		o.reading = false
	}
	var err error
	if o.held() && o.load() == open {
		err = o.release(nil, 0)
	}
	o.mu.Unlock()
	if err != nil {
		o.abort(err)
	}
}

// held reports whether what waits does so for more; mu is held.
func (o *output) held() bool { return o.out != nil && o.out.hold != flowing }

// release writes what has been held, and frames behind it; mu is held.
func (o *output) release(frames []byte, messages int) error {
	q := o.out
	o.out = nil
	o.corked.Store(false)
	q.keep(frames, messages)
	err := o.write(q.held, q.messages, true)
	o.recycle(q)
	return err
}

// recycle puts q, which is not in use any more, into the pool.
func (o *output) recycle(q *queue) {
	if q.reset() {
		o.up.queues.Put(q)
	}
}

// Writable reports whether the connection is open and nothing waits to be
// written, as a message that may be dropped wants to know.
func (o *output) Writable() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return (o.out == nil || o.held()) && o.load() == open
}

// Queued returns how many bytes wait to be written.
func (o *output) Queued() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.out == nil {
		return 0
	}
	return o.out.bytes
}

// RemoteAddr returns the peer's address.
func (o *output) RemoteAddr() net.Addr { return o.nc.RemoteAddr() }

// LocalAddr returns the address that the peer has connected to.
func (o *output) LocalAddr() net.Addr { return o.nc.LocalAddr() }

// Abort closes the socket at once, without a farewell.
func (o *output) Abort() { o.abort(net.ErrClosed) }

func (o *output) load() state { return state(o.state.Load()) }

// write writes without blocking and queues the rest, or a copy of it if frames
// changes. Nothing may wait already; mu is held.
func (o *output) write(frames []byte, messages int, changes bool) error {
	n, err := o.nc.TryWrite(frames)
	if err == nil {
		return nil
	}
	if !errors.Is(err, netpoll.ErrWouldBlock) {
		return err
	}
	q := o.enqueue()
	if changes {
		q.push(bytes.Clone(frames[n:]), messages)
	} else {
		q.push(frames, messages)
		q.advance(n)
	}
	o.settle()
	return nil
}

// enqueue gives the connection a queue and the goroutine that empties it; mu is
// held.
func (o *output) enqueue() *queue {
	o.out = o.queue()
	o.nc.Go(o.flush)
	return o.out
}

// queue returns an empty queue.
func (o *output) queue() *queue {
	if q, ok := o.up.queues.Get().(*queue); ok {
		return q
	}
	return new(queue)
}

// shutdown sends a last frame, if any, and stops everything else. After that the
// socket is closed (hangup), or only its output, so that the frame is not lost
// to a reset while the peer still sends.
func (o *output) shutdown(frame []byte, hangup bool, cause error) {
	o.mu.Lock()
	if o.load() != open {
		o.mu.Unlock()
		return
	}
	to := closing
	if hangup || !o.started { // nobody reads: nobody would see the end
		to = hanging
	}
	o.state.Store(uint32(to))
	o.cause = cause
	deadline := time.Now().Add(o.up.o.CloseTimeout)
	err := errors.Join(o.nc.SetReadDeadline(deadline), o.nc.SetWriteDeadline(deadline))
	switch {
	case err != nil:
	case o.held():
		err = o.release(frame, 0)
	case o.out != nil:
		o.out.push(frame, 0)
		o.settle()
	default:
		err = o.write(frame, 0, false)
	}
	ends := err == nil && o.out == nil
	if ends && !o.nc.Direct() { // to end TLS is to write, and to wait for room
		o.nc.Go(o.endOutput)
		ends = false
	}
	o.mu.Unlock()
	switch {
	case err != nil:
		o.abort(err)
	case ends:
		o.endOutput()
	}
}

// endOutput follows the last frame.
func (o *output) endOutput() {
	if err := o.nc.CloseWrite(); err != nil || o.load() == hanging {
		o.abort(err)
	}
}

// abort closes the socket; the first cause given is the one that counts.
func (o *output) abort(cause error) {
	o.mu.Lock()
	if o.cause == nil {
		o.cause = cause
	}
	o.state.Store(uint32(closed))
	o.drop()
	o.mu.Unlock()
	if err := o.nc.Close(); err != nil {
		o.up.o.Logger.Debug("closing websocket", "error", err)
	}
}

// finish is called when the socket has ended, and returns why.
func (o *output) finish(err error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.state.Store(uint32(closed))
	o.drop()
	if o.cause == nil {
		o.cause = err
	}
	return o.cause
}
