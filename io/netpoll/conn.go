package netpoll

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// Bits of Conn.state.
const (
	started = 1 << iota // it is read
	closed              // Close was called, or reading has ended

	// of a connection that Adopt has taken the descriptor of
	busy    // it is due: on the queue of the crew, or in its hands
	news    // something has happened since the crew looked
	over    // the peer has ended its side, or all of it, or sends urgent bytes: a read may end before that
	expired // the read deadline has passed
	armed   // the poller hears of room to write, too
)

// Conn is a connection watched by a Poller. It must not be copied.
type Conn struct {
	// static once added
	poller *Poller
	h      Handler
	net    *netConn // nil: the descriptor is the poller's own

	state atomic.Uint32

	// of a connection of which that is so
	fd    int32                 // static
	uses  atomic.Uint32         // system calls under way on fd, and gone
	waits atomic.Pointer[waits] // nil while nothing is waited for
}

// netConn is what a connection has that is a [net.Conn] still: it costs a goroutine.
type netConn struct {
	// static
	conn net.Conn
	raw  syscall.RawConn // nil: read and written by blocking calls

	// guarded by poller.mu
	prev, next *Conn

	// owned by the reading goroutine
	calls uint8    // of the handler, up to earlyCalls
	rd    *readBuf // nil while parked
}

// port is what Conn does to a connection that has nothing to do with polling.
type port interface {
	Write(p []byte) (int, error)
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
	LocalAddr() net.Addr
	RemoteAddr() net.Addr
	Close() error
}

// readBuf is a read buffer with the result of the last read into it.
type readBuf struct {
	b   []byte
	n   int
	err error
}

// Start begins to read. The bytes of initial, which now belong to the
// connection, are given to the handler first. Only the first call counts, and
// none after Close.
func (c *Conn) Start(initial []byte) {
	if c.net == nil {
		c.startOwn(initial)
		return
	}
	if !c.state.CompareAndSwap(0, started) {
		return
	}
	switch {
	case c.net.raw == nil:
		go c.readStream(initial)
	case len(initial) > 0:
		c.poller.crew.leave(task{c: c, initial: initial})
	default:
		go c.readRaw()
	}
}

// Direct reports whether TryWrite and WriteSome work on this connection, that
// is, whether it is a plain socket.
func (c *Conn) Direct() bool { return c.net == nil || c.net.raw != nil }

// TryWrite writes as much of p as the kernel takes at once. When that is not
// all of it, the error is ErrWouldBlock. It never waits, and knows no deadline;
// the caller orders its writes. Where Direct is false the answer is always
// (0, ErrWouldBlock). It does not allocate.
func (c *Conn) TryWrite(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	switch {
	case c.net == nil:
		return c.writeOwn(p)
	case c.net.raw == nil:
		return 0, ErrWouldBlock
	}
	return c.writeRaw(p, false)
}

// Warm reads what TryWrite will, and does nothing.
func (c *Conn) Warm() { c.state.Load() }

// WriteSome waits until the kernel takes at least one byte of p, within the
// write deadline, and returns how many it took. Where Direct is false it is
// Write.
func (c *Conn) WriteSome(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	switch {
	case c.net == nil:
		n, err = c.awaitRoom(p)
	case c.net.raw == nil:
		return c.Write(p)
	default:
		n, err = c.writeRaw(p, true)
	}
	if errors.Is(err, ErrWouldBlock) {
		err = nil // some bytes were taken, which is all that was asked
	}
	return n, err
}

// Write writes all of p, waiting as long as the write deadline allows.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.port().Write(p)
	if err != nil {
		return n, fmt.Errorf("writing: %w", err)
	}
	return n, nil
}

// SetReadDeadline sets the time at which the connection ends with
// os.ErrDeadlineExceeded, unless it ended before; zero means never.
func (c *Conn) SetReadDeadline(t time.Time) error {
	if err := c.port().SetReadDeadline(t); err != nil {
		return fmt.Errorf("setting read deadline: %w", err)
	}
	return nil
}

// SetWriteDeadline sets the time at which every write but TryWrite begins to
// fail with os.ErrDeadlineExceeded; zero means never.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	if err := c.port().SetWriteDeadline(t); err != nil {
		return fmt.Errorf("setting write deadline: %w", err)
	}
	return nil
}

// CloseWrite ends the outgoing stream: the peer reads EOF, and what it still
// sends goes to the handler. With TLS it may wait a few seconds for a peer
// that does not read. A connection that has no half-close is closed.
func (c *Conn) CloseWrite() error {
	half, ok := c.port().(interface{ CloseWrite() error })
	if !ok {
		return c.Close()
	}
	if err := half.CloseWrite(); err != nil {
		return fmt.Errorf("ending output: %w", err)
	}
	return nil
}

// Close closes the socket at once, without a TLS farewell. It does not wait for
// the handler, whose Closed follows in another goroutine. Further calls do
// nothing.
func (c *Conn) Close() error {
	old := c.state.Or(closed)
	if old&closed != 0 {
		return nil
	}
	err := c.closeSocket()
	switch {
	case old&started == 0:
		go c.finish(net.ErrClosed)
	case c.net == nil:
		c.tell(0)
	}
	return err
}

// detach has the poller never close the connection. False means that it has been closed.
func (c *Conn) detach() bool { return c.state.Or(closed)&closed == 0 }

// Handler returns the handler that was added with the connection.
func (c *Conn) Handler() Handler { return c.h }

// LocalAddr returns the address that the peer has connected to.
func (c *Conn) LocalAddr() net.Addr { return c.port().LocalAddr() }

// RemoteAddr returns the peer's address.
func (c *Conn) RemoteAddr() net.Addr { return c.port().RemoteAddr() }

// Go runs f in a goroutine that Poller.Close waits for. It must be called
// before the handler's Closed has returned.
func (c *Conn) Go(f func()) {
	c.poller.begin()
	go func() {
		defer c.poller.end()
		f()
	}()
}

// closeSocket closes without waiting: tls.Conn.Close would write to the peer
// first, and wait for a peer that does not read.
func (c *Conn) closeSocket() error {
	conn := c.port()
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	if err := conn.Close(); err != nil {
		return fmt.Errorf("closing connection: %w", err)
	}
	return nil
}

// finish ends the connection; err is what Closed gets.
func (c *Conn) finish(err error) {
	defer c.poller.remove(c)
	if errors.Is(err, ErrDetached) {
		return
	}
	if c.state.Or(closed)&closed == 0 {
		if cerr := c.closeSocket(); cerr != nil && !errors.Is(cerr, net.ErrClosed) {
			err = errors.Join(err, cerr)
		}
	}
	c.h.Closed(err)
}

// readError is what Closed gets when a read failed with err.
func (c *Conn) readError(err error) error {
	if c.state.Load()&closed != 0 {
		return net.ErrClosed
	}
	return err
}
