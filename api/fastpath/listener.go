package fastpath

import (
	"context"
	"errors"
	"fmt"
	"log"
	"math"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"crier/io/netpoll"
)

const (
	// maxWaiting is how many goroutines wait for a connection.
	maxWaiting = 64
	// maxRest is for how long one waits. Each has 25 KB, which 10,000 clients would have 160 bytes each of.
	maxRest = time.Second
)

// Options says what a Listener needs.
type Options struct {
	// Listener is the port. Required. The Listener closes it.
	Listener net.Listener

	// Server is what serves the Listener. Its Handler answers what is taken here too, and must keep nothing of such a request
	// or its ResponseWriter beyond its return: they are used again. It cannot hijack, flush or send informational
	// answers. ReadHeaderTimeout, IdleTimeout (up to a second later) and ErrorLog count here; ConnState hears only of
	// connections that the server gets. ReadTimeout, WriteTimeout, BaseContext and ConnContext must not be set, nor MaxHeaderBytes
	// to less than 8 KB. Required.
	Server *http.Server

	// Admit says whether a connection that has just been accepted is to be served; otherwise it has been closed. It is asked of one after
	// the other. Nil: each is.
	Admit func(nc net.Conn) bool

	// Takes says which requests are taken that ask for no WebSocket. Nil: none.
	Takes func(method, path string) bool

	// Poller watches the connections of a [netpoll.Listener] that wait for a request, if it is one that uses epoll: without a goroutine
	// each. Nil: each has one.
	Poller *netpoll.Poller
	// Upgrades says which are that ask for one. Their handlers can hijack the connection, or, without the buffers
	// that go with that, call the method Takeover of the ResponseWriter. Nil: none.
	Upgrades func(path, query string) bool
}

// Listener is a net.Listener for an http.Server, which gets the connections that are not, or no longer, served here.
type Listener struct {
	// static
	inner    net.Listener
	server   *http.Server
	admit    func(nc net.Conn) bool
	takes    func(method, path string) bool
	upgrades func(path, query string) bool
	poller   *netpoll.Poller
	conns    sync.Pool // *conn, for guests
	handed   chan net.Conn
	failed   chan error
	closing  chan struct{} // closed by Close

	came     chan struct{} // has a token when there is a guest, and was none
	work     chan net.Conn // to a goroutine that waits for its next connection
	born     time.Time     // the zero of guest.until
	stopping atomic.Bool
	deaf     atomic.Bool    // the port is closed, but not the listener
	waiting  atomic.Int32   // goroutines that do
	running  sync.WaitGroup // these, those that have a connection, and the one that accepts

	// guarded by mu
	mu     sync.Mutex
	open   map[*conn]net.Conn
	guests guests
	begun  bool // to accept

	coming atomic.Int32 // accepted, and not in open yet
}

// New returns a Listener. The caller must call Close, as [http.Server.Shutdown] does, and then Wait.
func New(o Options) (*Listener, error) {
	switch {
	case o.Listener == nil || o.Server == nil || o.Server.Handler == nil || o.Takes == nil && o.Upgrades == nil:
		return nil, errors.New("fastpath: Listener, Server, its Handler, and Takes or Upgrades are required")
	case o.Server.ReadTimeout != 0 || o.Server.WriteTimeout != 0 || o.Server.BaseContext != nil || o.Server.ConnContext != nil:
		return nil, errors.New("fastpath: the server must have no ReadTimeout, WriteTimeout, BaseContext or ConnContext")
	case o.Server.MaxHeaderBytes != 0 && o.Server.MaxHeaderBytes < bufferSize:
		return nil, fmt.Errorf("fastpath: the server's MaxHeaderBytes must not be under %d", bufferSize)
	}
	l := &Listener{
		born:   time.Now(),
		inner:  o.Listener,
		server: o.Server,
		admit:  o.Admit,
		takes:  o.Takes,

		upgrades: o.Upgrades,
		poller:   o.Poller,

		handed:  make(chan net.Conn),
		failed:  make(chan error),
		closing: make(chan struct{}),
		came:    make(chan struct{}, 1),
		work:    make(chan net.Conn),
		open:    make(map[*conn]net.Conn),
	}
	l.conns.New = func() any { return newConn(l) }
	if l.admit == nil {
		l.admit = func(net.Conn) bool { return true }
	}
	return l, nil
}

// Addr returns the address of the port.
func (l *Listener) Addr() net.Addr { return l.inner.Addr() }

// Accept returns the next connection that is for the server, or the error of the port. From the first call on all
// connections are accepted.
func (l *Listener) Accept() (net.Conn, error) {
	l.begin()
	select {
	case nc := <-l.handed:
		return nc, nil
	case err := <-l.failed:
		return nil, err
	case <-l.closing:
		return nil, net.ErrClosed
	}
}

// begin starts to accept, once.
func (l *Listener) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.begun || l.stopping.Load() {
		return
	}
	l.begun = true
	l.running.Go(l.accept)
	if l.poller != nil {
		l.running.Go(l.sweep)
	}
}

// accept accepts until the port is closed. An error goes to the server, which waits a little before it asks again, or ends.
func (l *Listener) accept() {
	for {
		err := l.serveAll()
		if l.deaf.Load() {
			return
		}
		select {
		case l.failed <- err:
		case <-l.closing:
			return
		}
	}
}

// serveAll has those served who connect, until accepting fails: without a goroutine, if they can be.
func (l *Listener) serveAll() error {
	if port, ok := l.inner.(*netpoll.Listener); ok && l.poller != nil {
		return l.poller.Serve(port, l.invite)
	}
	for {
		nc, err := l.inner.Accept()
		if err != nil {
			return err
		}
		if l.admit(nc) {
			l.start(nc)
		}
	}
}

// start has a connection served by a goroutine, one that waits if there is one.
func (l *Listener) start(nc net.Conn) {
	l.coming.Add(1)
	select {
	case l.work <- nc:
	default:
		l.running.Go(func() { l.run(nc) })
	}
}

// run serves connections. A few goroutines are kept when theirs has ended, with their memory: to grow the stack of a new one
// would take a tenth of a push on a connection of its own.
func (l *Listener) run(nc net.Conn) {
	c := newConn(l)
	rest := time.NewTimer(maxRest)
	defer rest.Stop()
	for l.serve(c, nc) {
		if l.waiting.Add(1) > maxWaiting {
			l.waiting.Add(-1)
			return
		}
		rest.Reset(maxRest)
		select {
		case nc = <-l.work:
			l.waiting.Add(-1)
		case <-rest.C:
			l.waiting.Add(-1)
			return
		case <-l.closing:
			return
		}
	}
}

// serve serves one connection, and reports whether c can be used again: not when it ends by a panic.
func (l *Listener) serve(c *conn, nc net.Conn) bool {
	l.mu.Lock()
	l.open[c] = nc
	l.coming.Add(-1)
	l.mu.Unlock()
	defer l.leave(c)
	c.serve(nc)
	return true
}

// leave forgets a connection and, unless the server has it, closes it. It must be deferred: a handler that panics ends its
// connection only, and may leave c in any state.
func (l *Listener) leave(c *conn) {
	if reason := recover(); reason != nil {
		c.logPanic(reason)
	}
	l.forget(c)
	if c.broken {
		c.release()
	}
	if c.nc != nil {
		if err := c.nc.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			l.logf("http: closing the connection of %v: %v", c.remote, err)
		}
		c.nc = nil
	}
}

// forget takes a connection off the list of those that are here.
func (l *Listener) forget(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.guest != nil {
		l.guests.remove(c.guest)
		c.guest = nil
	}
	delete(l.open, c)
}

// Open returns how many connections are here, and not with the server or a handler. One counts from when it is accepted, so that
// whoever accepts for the Listener can tell when there are too many.
func (l *Listener) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.open) + l.guests.count + int(l.coming.Load())
}

// Deafen closes the port, while all that has been accepted is served on until Close.
func (l *Listener) Deafen() error {
	l.deaf.Store(true)
	return l.inner.Close()
}

// pass gives a connection to the server or, when there is none any more, closes it.
func (l *Listener) pass(nc net.Conn) {
	select {
	case l.handed <- nc:
	case <-l.closing:
		if err := nc.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			l.logf("http: closing the connection of %v: %v", nc.RemoteAddr(), err)
		}
	}
}

// Close closes the port and the connections that wait for a request; requests under way are answered, and their connections
// closed then. It does not wait.
func (l *Listener) Close() error {
	if l.stopping.Swap(true) {
		return nil
	}
	close(l.closing)
	err := l.inner.Close()
	if l.deaf.Load() && errors.Is(err, net.ErrClosed) {
		err = nil
	}
	l.mu.Lock()
	idle := l.guests.idle(math.MaxInt64)
	for c, nc := range l.open {
		if !c.idle.Load() {
			continue
		}
		if nc.SetReadDeadline(time.Unix(1, 0)) != nil {
			continue // it has ended meanwhile
		}
	}
	l.mu.Unlock()
	l.sendHome(idle)
	return err
}

// Wait waits, after Close, for the requests under way. When ctx ends it cuts them off and says so.
func (l *Listener) Wait(ctx context.Context) error {
	ended := make(chan struct{})
	go func() {
		l.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.open)+l.guests.count == 0 {
		return nil
	}
	errs := []error{fmt.Errorf("waiting for %d requests: %w", len(l.open)+l.guests.count, ctx.Err())}
	for _, nc := range l.open {
		errs = append(errs, nc.Close())
	}
	for g := l.guests.first; g != nil; g = g.next {
		errs = append(errs, g.Close())
	}
	return errors.Join(errs...)
}

// logf logs to the server's ErrorLog.
func (l *Listener) logf(format string, args ...any) {
	if l.server.ErrorLog != nil {
		l.server.ErrorLog.Printf(format, args...)
		return
	}
	log.Printf(format, args...)
}
