// Package netpoll hands a connection's bytes to a handler as they arrive, and
// holds no buffer for a connection while it is idle.
//
// A plain TCP or Unix connection costs one goroutine, parked without a buffer,
// which leaves most calls of the handler to a few that are kept for that; or,
// with epoll (Linux), no goroutine, and nothing that belongs to a net.Conn. Every
// other kind (TLS, wrappers) is read by a goroutine that blocks with a small
// buffer of its own.
package netpoll

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

const (
	// defaultReadBuffer is the size of a pooled read buffer, in bytes.
	defaultReadBuffer = 16 << 10
	// renewAfter is the age from which on a goroutine leaves the calls of the
	// handler to the crew. A busy connection does not notice, and of an idle one
	// with a heartbeat it halves the stack, from 4 KB or more to 2 KB.
	renewAfter = time.Second
	// earlyCalls is how many of the first calls of the handler are left to the
	// crew in any case: many connections say who they are and are then
	// idle. Ten thousand that have just logged in take 12 MB less.
	earlyCalls = 8
)

var (
	// ErrWouldBlock says that the kernel's send buffer is full, or that the
	// connection has no non-blocking write at all.
	ErrWouldBlock = errors.New("write would block")
	// ErrDetached is what Data returns when the connection is somebody else's: see
	// Conn.Release.
	ErrDetached = errors.New("connection was given away")
	// ErrPollerClosed is returned by Add after Close.
	ErrPollerClosed = errors.New("poller is closed")
	// ErrNoEpoll is returned by UseEpoll on systems other than Linux.
	ErrNoEpoll = errors.New("there is no epoll on this system")
)

// Handler receives what happens on one connection. Its methods are called one
// at a time, from a goroutine of the poller.
type Handler interface {
	// Data gets bytes just read. The handler may change p, which is valid only
	// during the call. An error closes the connection and is passed to Closed, but
	// for ErrDetached.
	Data(p []byte) error
	// Closed is called exactly once, unless Data has detached the connection, after the last Data: with io.EOF when the
	// peer ended the stream, net.ErrClosed after Close, os.ErrDeadlineExceeded
	// (wrapped) after a read deadline, Data's own error, or a network error.
	Closed(err error)
}

// Wrapper is what a net.Conn may implement in addition that stands before another one for a time only.
type Wrapper interface {
	// Bare returns the other one once reading, writing and closing it is the same, and nil before that.
	Bare() net.Conn
}

// Options configures a Poller.
type Options struct {
	// ReadBuffer is the size in bytes of a read buffer, that is, of the largest
	// p given to Data. Zero means 16 KiB.
	ReadBuffer int
}

// Poller reads a set of connections. Its methods may be called concurrently.
type Poller struct {
	// static
	size  int
	renew time.Duration
	bufs  sync.Pool // *readBuf
	ops   sync.Pool // *writeOp
	crew  *crew
	done  chan struct{}
	epoll *epoll // nil without UseEpoll

	// guarded by mu
	mu     sync.Mutex
	first  *Conn   // every connection not yet finished that Add has added
	own    []*Conn // by descriptor: those that Adopt has taken it of, until it is closed
	conns  int
	active int // connections, and functions started by Conn.Go
	closed bool
}

// New returns a Poller without connections.
func New(o Options) *Poller {
	p := &Poller{size: o.ReadBuffer, renew: renewAfter, done: make(chan struct{})}
	if p.size <= 0 {
		p.size = defaultReadBuffer
	}
	p.crew = newCrew(proceed, p.done)
	p.bufs.New = func() any { return &readBuf{b: make([]byte, p.size)} }
	p.ops.New = func() any { return newWriteOp() }
	return p
}

// Add takes over c, which nobody else may read, write or close from now on, and
// makes pc its Conn. pc must be zero, and may be a part of something larger of
// h's, which saves an object. It does not read before Start. A *net.TCPConn or *net.UnixConn is read without a
// buffer while idle; a wrapper around one, unless it is a Wrapper, is not recognised and is read by a
// blocking goroutine. After Close the error is ErrPollerClosed, and c is still
// the caller's.
func (p *Poller) Add(pc *Conn, c net.Conn, h Handler) error {
	c = bare(c)
	if s, ok := c.(*Socket); ok {
		whole, err := s.Whole()
		if err != nil {
			return fmt.Errorf("adding connection: %w", err)
		}
		c = whole
	}
	raw, err := rawConn(c)
	if err != nil {
		return fmt.Errorf("adding connection: %w", err)
	}
	pc.poller, pc.h, pc.net = p, h, &netConn{conn: c, raw: raw}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrPollerClosed
	}
	pc.net.next = p.first
	if p.first != nil {
		p.first.net.prev = pc
	}
	p.first = pc
	p.conns++
	p.active++
	return nil
}

// bare returns what is behind a Wrapper that is done.
func bare(c net.Conn) net.Conn {
	if w, ok := c.(Wrapper); ok {
		if inside := w.Bare(); inside != nil {
			return inside
		}
	}
	return c
}

// serve is Serve without an epoll.
func serve(l *Listener, take func(*Socket)) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		s, ok := c.(*Socket)
		if !ok {
			panic("netpoll: a Listener accepts Sockets")
		}
		take(s)
	}
}

// Len returns the number of connections whose Closed has not returned yet, a port that Serve accepts on among them.
func (p *Poller) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.conns
}

// Close closes every connection, then waits until every Closed and every
// function started by Conn.Go has returned, or until ctx ends. It must not be
// called from a handler. It may be called again, to wait again.
func (p *Poller) Close(ctx context.Context) error {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		p.checkIdle()
	}
	conns := make([]*Conn, 0, p.conns)
	for c := p.first; c != nil; c = c.net.next {
		conns = append(conns, c)
	}
	for _, c := range p.own {
		if c != nil {
			conns = append(conns, c)
		}
	}
	p.mu.Unlock()

	var errs []error
	for _, c := range conns {
		errs = append(errs, c.Close())
	}
	select {
	case <-p.done:
		p.epoll.wait() // as the crew, for nothing but the end of who has nothing to do
		p.crew.wait()
	case <-ctx.Done():
		errs = append(errs, fmt.Errorf("waiting for connections to end: %w", context.Cause(ctx)))
	}
	return errors.Join(errs...)
}

// remove takes c out of the list.
func (p *Poller) remove(c *Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := c.net; n != nil {
		if n.prev != nil {
			n.prev.net.next = n.next
		} else {
			p.first = n.next
		}
		if n.next != nil {
			n.next.net.prev = n.prev
		}
		n.prev, n.next = nil, nil
	}
	p.conns--
	p.active--
	p.checkIdle()
}

// begin counts a function that Close has to wait for.
func (p *Poller) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.active++
}

// end is the counterpart of begin.
func (p *Poller) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.active--
	p.checkIdle()
}

// checkIdle tells Close when the last goroutine has ended; p.mu is held.
func (p *Poller) checkIdle() {
	if !p.closed || p.active > 0 {
		return
	}
	select {
	case <-p.done:
	default:
		close(p.done)
		p.epoll.stopLocked()
	}
}

// buffer takes a read buffer from the pool.
func (p *Poller) buffer() *readBuf { return p.bufs.Get().(*readBuf) }
