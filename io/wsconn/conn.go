// Package wsconn is the server's side of one WebSocket connection: whole
// messages come in, shared frames go out through a bounded queue. A timing
// wheel, shared by all connections, is here too.
package wsconn

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"crier/io/netpoll"
)

var (
	// ErrQueueFull is returned by Send when the peer is too far behind.
	ErrQueueFull = errors.New("send queue is full")
	// ErrClosed is returned by Send once the connection is closing.
	ErrClosed = errors.New("websocket is closed")
)

// Handler receives what a connection reads. Its methods are called one at a
// time, without any lock, and may call every method of Conn.
type Handler interface {
	// Message gets a whole message, of op ws.OpText (valid UTF-8) or
	// ws.OpBinary. The handler may change payload, which is valid only during
	// the call. An error closes the connection: with the code of a *CloseError,
	// otherwise with 1002.
	Message(op ws.OpCode, payload []byte) error
	// Closed is called exactly once, after the last Message: with a *CloseError
	// when the peer sent a close frame (Remote) or broke the protocol, Message's
	// own error, net.ErrClosed after Close or Abort, io.EOF when the peer went
	// without a close frame, or a network error. After Close it comes when the
	// socket is closed, which takes up to CloseTimeout.
	Closed(err error)
}

// PongHandler is what a Handler may implement in addition, to hear of pongs
// (RFC 6455 §5.5.3), the answers to what AppendPing makes.
type PongHandler interface {
	// Pong gets the payload, which is valid only during the call.
	Pong(payload []byte)
}

// state of a connection's output. It only grows.
type state uint32

const (
	open    state = iota
	closing       // a close frame is queued or written; input is ignored
	closed        // the socket is closed
)

// Conn is a WebSocket connection. Its methods may be called concurrently.
type Conn struct {
	// static
	up *Upgrader
	nc netpoll.Conn

	// set once by Upgrade, before Start; until then guarded by mu
	h Handler

	// owned by the reading goroutine, and before Start by Upgrade
	in   *partial // nil between two messages
	told bool     // Handler.Closed was called

	// guarded by mu, also where it is before it
	started bool
	dead    bool // the socket ended before there was a handler
	hangup  bool // close the socket after the close frame
	mu      sync.Mutex
	state   atomic.Uint32 // written under mu, read by anybody
	out     *queue        // nil: nothing waits. Otherwise a flusher is running
	cause   error         // for Handler.Closed
}

// Start begins to read. Without it the handler gets no message.
func (c *Conn) Start() {
	var early []byte
	c.mu.Lock()
	if c.started || c.load() == closed {
		c.mu.Unlock()
		return
	}
	c.started = true
	if c.in != nil {
		early = c.in.early
		c.in = nil
	}
	c.mu.Unlock()
	c.nc.Start(early)
}

// Send writes whole server frames (see AppendText), which may be several
// joined, and counts them as the given number of messages. It never blocks:
// what the kernel does not take at once is kept by reference and written
// later, so frames must never change; they may be shared with other
// connections.
//
// ErrQueueFull says that unsent bytes or messages would exceed the limits;
// nothing of frames was taken, and the owner is expected to close. While
// nothing waits, one Send of any size is accepted. ErrClosed (possibly wrapped)
// says that the connection is closing or broken.
func (c *Conn) Send(frames []byte, messages int) error {
	if len(frames) == 0 {
		return nil
	}
	c.mu.Lock()
	if c.load() != open {
		c.mu.Unlock()
		return ErrClosed
	}
	if q := c.out; q != nil {
		defer c.mu.Unlock()
		if q.bytes+len(frames) > c.up.o.QueueBytes || q.messages+messages > c.up.o.QueueMessages {
			c.up.queueFull.Add(1)
			return ErrQueueFull
		}
		q.push(frames, messages)
		return nil
	}
	err := c.write(frames, messages)
	c.mu.Unlock()
	if err != nil {
		c.abort(err)
		return fmt.Errorf("%w: %w", ErrClosed, err)
	}
	return nil
}

// Writable reports whether the connection is open and nothing waits to be
// written, as a message that may be dropped wants to know.
func (c *Conn) Writable() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out == nil && c.load() == open
}

// Queued returns how many bytes wait to be written.
func (c *Conn) Queued() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out == nil {
		return 0
	}
	return c.out.bytes
}

// RemoteAddr returns the peer's address.
func (c *Conn) RemoteAddr() net.Addr { return c.nc.RemoteAddr() }

// Close starts the closing handshake (RFC 6455 §7.1.2): a close frame is sent
// behind what waits already, input is ignored from now on, and the socket is
// closed once the peer has ended its side, at the latest after CloseTimeout.
// A code that must not be sent, such as 0, is left out; a reason is cut to 123
// bytes. Close never waits. Only
// the first call counts.
func (c *Conn) Close(code ws.StatusCode, reason string) {
	c.shutdown(appendClose(nil, code, reason), false, net.ErrClosed)
}

// Hangup is Close without a close frame: to the peer the connection breaks off.
func (c *Conn) Hangup() { c.shutdown(nil, false, net.ErrClosed) }

// Abort closes the socket at once, without a close frame.
func (c *Conn) Abort() { c.abort(net.ErrClosed) }

func (c *Conn) load() state { return state(c.state.Load()) }

// write writes without blocking and queues the rest. Nothing may wait already;
// mu is held.
func (c *Conn) write(frames []byte, messages int) error {
	n, err := c.nc.TryWrite(frames)
	if err == nil {
		return nil
	}
	if !errors.Is(err, netpoll.ErrWouldBlock) {
		return err
	}
	c.enqueue().push(frames[n:], messages)
	return nil
}

// enqueue gives the connection a queue and the goroutine that empties it; mu is
// held.
func (c *Conn) enqueue() *queue {
	q, ok := c.up.queues.Get().(*queue)
	if !ok {
		q = new(queue)
	}
	c.out = q
	c.nc.Go(c.flush)
	return q
}

// shutdown sends a close frame and stops everything else. After the frame the
// socket is closed (hangup), or only its output, so that the frame is not lost
// to a reset while the peer still sends.
func (c *Conn) shutdown(frame []byte, hangup bool, cause error) {
	c.mu.Lock()
	if c.load() != open {
		c.mu.Unlock()
		return
	}
	c.state.Store(uint32(closing))
	c.cause = cause
	c.hangup = hangup || !c.started // nobody reads: nobody would see the end
	deadline := time.Now().Add(c.up.o.CloseTimeout)
	err := errors.Join(c.nc.SetReadDeadline(deadline), c.nc.SetWriteDeadline(deadline))
	if err == nil {
		if c.out != nil {
			c.out.push(frame, 0)
		} else {
			err = c.write(frame, 0)
		}
	}
	waits := c.out != nil
	c.mu.Unlock()
	switch {
	case err != nil:
		c.abort(err)
	case !waits:
		c.endOutput()
	}
}

// endOutput follows the close frame.
func (c *Conn) endOutput() {
	err := c.nc.CloseWrite()
	c.mu.Lock()
	hangup := c.hangup
	c.mu.Unlock()
	if hangup || err != nil {
		c.abort(err)
	}
}

// abort closes the socket; the first cause given is the one that counts.
func (c *Conn) abort(cause error) {
	c.mu.Lock()
	if c.cause == nil {
		c.cause = cause
	}
	c.state.Store(uint32(closed))
	c.out = nil
	c.mu.Unlock()
	if err := c.nc.Close(); err != nil {
		c.up.o.Logger.Debug("closing websocket", "err", err)
	}
}
