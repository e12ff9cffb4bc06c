package fallback

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"crier/io/engineio"
	"crier/io/hub"
	"crier/io/wsconn"
)

// closeGrace is how long Close waits for clients to take something of what is queued for them.
const closeGrace = time.Second

// Handler is what the program makes of clients. Its methods are called by many
// goroutines at once.
type Handler interface {
	// Admit says who may connect, by the request that a client comes with; it may
	// take its time. A refusal is a [Reason].
	Admit(r *Request) (*Admission, error)
	// Event handles an event. Those of one client come one at a time, in their order,
	// and hold up only that client.
	Event(e *Event)
	// Closed is called once for every client that was let into the hub, when it has
	// gone, before it leaves the hub; also if enter refused it. It must be quick.
	Closed(c *Client)
}

// Admission is what the program makes of a client that may connect.
type Admission struct {
	// UID is whom Enter logs the client in as; "" if it does not. Who is somebody else cannot go on where it was.
	UID string
	// Enter is called when the client has its place in the hub, and can still refuse it.
	Enter func(*Client) error
	// MayEnter says whether the client may be in a room that it was in when it was here last. Nil: it may.
	MayEnter func(room string) bool
}

// Options configures a [Server].
type Options struct {
	Hub     *hub.Hub // required
	Handler Handler  // required
	// Plain returns the arguments of a message that has attachments, with {"$binary":"<base64>"} in the place of each.
	// Required.
	Plain func(*hub.Message) ([]json.RawMessage, error)
	// Upgrader makes WebSockets and streams; it bounds what is queued for them, and what they bring. Required.
	Upgrader *wsconn.Upgrader
	Origins  engineio.Origins
	// Enter is asked before anything is done for a new client, and refuses it with a [Reason]. leave, unless nil, is called
	// once when the client has gone, or was not let in after all. Nil: everybody may come.
	Enter func(r *http.Request) (leave func(), err error)
	// PingInterval is how often a WebSocket is pinged, PingTimeout how long an answer may take; both together are how
	// long a comet client may be away between two polls. 25 s, 20 s.
	PingInterval, PingTimeout time.Duration
	MaxPayload                int64 // bytes of a POST; 1,000,000
	QueueBytes                int   // what waits for one client between two requests, or on a stream over HTTP/2; 1 MiB
	QueueMessages             int   // 1,000
	// Budget counts what waits for clients between two requests, and on streams over HTTP/2; nil: nothing does. The Upgrader's is
	// for the others, and should be the same.
	Budget *wsconn.Budget
	// EventsPerSecond bounds what is handled of one client: what comes faster, beyond the events of one second at once, is
	// read later. 0: no bound.
	EventsPerSecond int
	Logger          *slog.Logger
}

func (o *Options) check() error {
	if o.Hub == nil || o.Handler == nil || o.Plain == nil || o.Upgrader == nil {
		return errors.New("fallback: Options need a Hub, a Handler, Plain and an Upgrader")
	}
	if o.PingInterval < 0 || o.PingTimeout < 0 || o.MaxPayload < 0 || o.QueueBytes < 0 || o.QueueMessages < 0 || o.EventsPerSecond < 0 {
		return errors.New("fallback: a limit in Options is negative")
	}
	setDefault(&o.PingInterval, 25*time.Second)
	setDefault(&o.PingTimeout, 20*time.Second)
	setDefault(&o.MaxPayload, 1_000_000)
	setDefault(&o.QueueBytes, 1<<20)
	setDefault(&o.QueueMessages, 1000)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// Server serves clients that speak no Socket.IO. It is an [http.Handler] for the
// paths that [Serves] names.
type Server struct {
	// static
	o       Options
	hub     *hub.Hub
	handler Handler
	log     *slog.Logger
	wheel   *wsconn.Wheel
	start   time.Time // zero of the clients' paces
	pieces  sync.Pool // *[]byte that a message is put together in
	slow    *wsconn.Laggards

	questions atomic.Uint64
	rests     atomic.Uint64

	mu      sync.Mutex
	clients map[*Client]struct{}
	comets  map[string]*comet       // by their secret
	socks   map[string]*sockSession // by their name
	held    int                     // by hold
	closed  bool
	drained chan struct{} // made by Close; closed when nothing is left
}

// Stats counts what a server has done.
type Stats struct {
	Clients       int              // connected now
	SlowConsumers wsconn.LagCounts // clients disconnected since they read too slowly
	Rests         uint64           // times that a client was not read for a while, since it said too much
}

// New returns a server, which must be closed in the end.
func New(o Options) (*Server, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	s := &Server{
		o: o, hub: o.Hub, handler: o.Handler, log: o.Logger,
		wheel:   wsconn.NewWheel(0, 0),
		slow:    wsconn.NewLaggards(o.Logger),
		start:   time.Now(),
		clients: make(map[*Client]struct{}),
		comets:  make(map[string]*comet),
		socks:   make(map[string]*sockSession),
	}
	s.pieces.New = func() any { return new([]byte) }
	return s, nil
}

// Serves reports whether a path is one of the server's.
func Serves(path string) bool {
	return path == "/ws" || path == "/sse" || path == "/comet" || path == "/sockjs" || strings.HasPrefix(path, "/sockjs/")
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := s.o.Origins.Check(r); err != nil {
		s.refuse(w, r, Reason{http.StatusForbidden, "bad_origin", err.Error()})
		return
	}
	s.o.Origins.AllowCORS(w.Header(), r)
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	switch r.URL.Path {
	case "/ws":
		s.serveWebSocket(w, r, false)
	case "/sse":
		s.serveEvents(w, r)
	case "/comet":
		s.servePoll(w, r)
	default:
		s.serveSockJS(w, r, strings.TrimPrefix(r.URL.Path, "/sockjs"))
	}
}

// refuse answers a request that brings no client.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	s.log.Debug("refused a client", "path", r.URL.Path, "remote", r.RemoteAddr, "error", err)
	writeError(w, err)
}

// allows answers requests of other methods, and reports whether the method is the one that is allowed.
func (s *Server) allows(method string, w http.ResponseWriter, r *http.Request) bool {
	if r.Method == method {
		return true
	}
	w.Header().Set("Allow", method+", OPTIONS")
	s.refuse(w, r, Reason{http.StatusMethodNotAllowed, "bad_method", fmt.Sprintf("%s takes %s", r.URL.Path, method)})
	return false
}

// newClient makes a client, whose line the caller sets.
func (s *Server) newClient() *Client { return &Client{server: s, id: engineio.NewID()} }

// enter asks whether the client that comes with a request may. If it may and is not opened then, the caller calls exit.
func (s *Server) enter(c *Client, r *http.Request) (err error) {
	if s.o.Enter != nil {
		c.entered, err = s.o.Enter(r)
	}
	return err
}

// admit asks whether the client may come, and as whom.
func (s *Server) admit(c *Client, r *http.Request, q *Request) (*Admission, error) {
	if err := s.enter(c, r); err != nil {
		return nil, err
	}
	a, err := s.handler.Admit(q)
	if err != nil {
		c.exit()
	}
	return a, err
}

// exit undoes enter, once.
func (c *Client) exit() {
	if c.entered != nil {
		c.entered()
		c.entered = nil
	}
}

// Stats returns the server's counts.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{Clients: len(s.clients), SlowConsumers: s.slow.Counts(), Rests: s.rests.Load()}
}

// Census counts the clients that are connected now, by how: sse, comet, ws or sockjs. It looks at each of them.
func (s *Server) Census() map[string]int {
	all := make(map[string]int)
	for _, c := range s.list() {
		all[c.line.kind()]++
	}
	return all
}

// add lists a client; not once the server has closed.
func (s *Server) add(c *Client) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.clients[c] = struct{}{}
	}
	return !s.closed
}

func (s *Server) remove(c *Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.clients, c)
	s.checkDrainedLocked()
}

// hold counts something that Close waits for, until release: a connection that has not ended, or a goroutine.
func (s *Server) hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held++
}

func (s *Server) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held--
	s.checkDrainedLocked()
}

// spawn runs f in a goroutine that Close waits for.
func (s *Server) spawn(f func()) {
	s.hold()
	go func() {
		defer s.release()
		f()
	}()
}

// checkDrainedLocked tells Close that nothing is left to wait for.
func (s *Server) checkDrainedLocked() {
	if s.drained == nil || len(s.clients) > 0 || s.held > 0 {
		return
	}
	select {
	case <-s.drained:
	default:
		close(s.drained)
	}
}

// Retire lets nobody in any more, and returns what disconnects each of the clients that there are, as Close does: for who lets
// them end one after the other before that, since they come back at once.
func (s *Server) Retire() []func() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	list := s.list()
	ends := make([]func(), len(list))
	for i, c := range list {
		ends[i] = func() { c.line.close(Stopping) }
	}
	return ends
}

// Close disconnects every client, so that it comes back (to whoever listens
// then). It waits until all have been told and their connections have ended; but
// not longer than ctx, and no more than a second in which nobody takes anything of what
// is queued. Then it cuts off who is still there. The poller of the Upgrader has the rest.
func (s *Server) Close(ctx context.Context) error {
	for _, end := range s.Retire() {
		end()
	}
	s.mu.Lock()
	if s.drained == nil {
		s.drained = make(chan struct{})
	}
	s.checkDrainedLocked()
	s.mu.Unlock()
	s.o.Upgrader.Linger(ctx, s.drained, closeGrace)
	for _, c := range s.list() {
		c.line.abort()
	}
	s.wheel.Close()
	return nil
}

func (s *Server) list() []*Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.clients))
}
