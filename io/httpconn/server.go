package httpconn

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"crier/io/wsconn"
)

// closeTimeout is how long Wait waits while nobody takes anything of an answer.
const closeTimeout = time.Second

// Options says what a Server needs.
type Options struct {
	// Upgrader has the poller and the limits of the connections. Required.
	Upgrader *wsconn.Upgrader
	// Server is what the connections are taken over from. It has to serve the [Server] as a listener too, which hands
	// connections back. Its Handler, with [Server.Around] around it, answers what is taken here, and must keep nothing of such a request
	// or its ResponseWriter beyond its return: they are used again. IdleTimeout counts here. Required.
	Server *http.Server
	// Takes says which requests are taken, by what their first line has. Required.
	Takes func(method, path, query string) bool
	// Logger gets what goes wrong. Nil: nobody.
	Logger *slog.Logger
}

// Server keeps connections. It is the [net.Listener] of those that it gives back.
type Server struct {
	// static
	o         Options
	log       *slog.Logger
	wheel     *wsconn.Wheel
	start     time.Time // zero of the connections' times
	exchanges sync.Pool // *exchange
	latest    atomic.Pointer[fields]
	handed    chan net.Conn
	closing   chan struct{} // closed by Close
	stopping  atomic.Bool

	mu      sync.Mutex
	open    map[*conn]struct{}
	drained chan struct{} // made by Wait; closed when none is open
}

// New returns a Server, which must be closed in the end.
func New(o Options) (*Server, error) {
	if o.Upgrader == nil || o.Server == nil || o.Takes == nil {
		return nil, errors.New("httpconn: Options need an Upgrader, a Server and Takes")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		o: o, log: o.Logger, start: time.Now(),
		wheel:   wsconn.NewWheel(time.Second, 0),
		handed:  make(chan net.Conn),
		closing: make(chan struct{}),
		open:    make(map[*conn]struct{}),
	}
	s.exchanges.New = func() any { return newExchange(s) }
	return s, nil
}

// Around makes requests parkable for next, and their connections the Server's, those that it takes.
func (s *Server) Around(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ours := w.(*exchange); ours || !s.wants(r) {
			next.ServeHTTP(w, r)
			return
		}
		g := &guest{ResponseWriter: w, server: s, request: r}
		done := false
		defer func() { g.finish(done) }()
		next.ServeHTTP(g, r)
		done = true
	})
}

// wants reports whether the connection of a request that net/http has read can be taken over, and is to be. The body of a GET is read
// by nobody, and would be taken for the next request.
func (s *Server) wants(r *http.Request) bool {
	return r.TLS == nil && r.ProtoMajor == 1 && r.ProtoMinor == 1 && !r.Close && (r.ContentLength == 0 || r.ContentLength > 0 && r.Method == http.MethodPost) &&
		!s.stopping.Load() && s.o.Takes(r.Method, r.URL.Path, r.URL.RawQuery)
}

// now is the monotonic time since the Server was made.
func (s *Server) now() time.Duration { return time.Since(s.start) }

// Stats counts what a Server has.
type Stats struct {
	Open    int // connections
	Waiting int // of these, those on which a request waits
}

// Stats returns the Server's counts. It looks at each connection.
func (s *Server) Stats() Stats {
	list := s.list()
	n := Stats{Open: len(list)}
	for _, c := range list {
		if c.waits() {
			n.Waiting++
		}
	}
	return n
}

func (s *Server) add(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[c] = struct{}{}
}

func (s *Server) remove(c *conn) {
	s.wheel.Stop(&c.timer)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
	s.checkDrainedLocked()
}

// checkDrainedLocked tells Wait when no connection is left.
func (s *Server) checkDrainedLocked() {
	if s.drained == nil || len(s.open) > 0 {
		return
	}
	select {
	case <-s.drained:
	default:
		close(s.drained)
	}
}

func (s *Server) list() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.open))
}

// Accept implements [net.Listener]: it returns the next connection that goes back to net/http.
func (s *Server) Accept() (net.Conn, error) {
	select {
	case nc := <-s.handed:
		return nc, nil
	case <-s.closing:
		return nil, net.ErrClosed
	}
}

// Addr implements [net.Listener].
func (s *Server) Addr() net.Addr { return &net.TCPAddr{} }

// handBack gives a connection to net/http; not once the Server has closed.
func (s *Server) handBack(nc net.Conn) bool {
	select {
	case s.handed <- nc:
		return true
	case <-s.closing:
		return false
	}
}

// Close implements [net.Listener], as [http.Server.Shutdown] calls it: connections on which no request waits are closed, others with their answer.
// It does not wait.
func (s *Server) Close() error {
	if s.stopping.Swap(true) {
		return nil
	}
	close(s.closing)
	for _, c := range s.list() {
		c.closeIdle()
	}
	return nil
}

// Wait waits, after Close, until the requests that wait have been answered, up to a second and as long as ctx allows. Then it cuts off
// who is left.
func (s *Server) Wait(ctx context.Context) {
	s.mu.Lock()
	if s.drained == nil {
		s.drained = make(chan struct{})
	}
	s.checkDrainedLocked()
	s.mu.Unlock()
	s.o.Upgrader.Linger(ctx, s.drained, closeTimeout)
	for _, c := range s.list() {
		c.cutOff()
	}
	s.wheel.Close()
}
