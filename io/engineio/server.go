package engineio

import (
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"crier/io/netpoll"
	"crier/io/wsconn"
)

// Options configures a [Server]. Zero values stand for the defaults of the
// Node server.
type Options struct {
	PingInterval   time.Duration // 25 s
	PingTimeout    time.Duration // 20 s
	UpgradeTimeout time.Duration // 10 s
	MaxPayload     int64         // bytes of one WebSocket message or POST body; 1,000,000
	QueueBytes     int           // unsent output of one connection; 1 MiB
	QueueMessages  int           // 1,000
	// MessagesPerSecond bounds what is handled of one session, attachments not counted: what comes faster, beyond the
	// messages of one second at once, is read later. 0: no bound.
	MessagesPerSecond int

	// RefuseRevision3 keeps Socket.IO 1.x and 2.x clients out.
	RefuseRevision3 bool
	// NoWebSocket leaves the WebSocket transport out.
	NoWebSocket bool
	// PerMessageDeflate has WebSocket messages compressed, in both directions, where a client offers it (RFC 7692): those of
	// 1,024 bytes or more on the way out. MaxPayload is the limit of what they are inflated to.
	PerMessageDeflate bool
	// Tag begins the id of every session, so that several servers can tell whose it is. Letters and digits.
	Tag string
	// Enter is asked before a session is opened, and refuses it with an error. leave, unless nil, is called once when the
	// session has ended, or has not begun after all. Nil: everybody may.
	Enter func(r *http.Request) (leave func(), e *RequestError)
	// Polling makes the polling transport of a new session; nil: not offered.
	Polling func(*Session) RequestTransport

	Budget  *wsconn.Budget // of what waits for all sessions, maybe with others; nil: there is none
	Origins Origins
	Poller  *netpoll.Poller // nil: one of its own
	Logger  *slog.Logger    // nil: discards
}

func (o *Options) setDefaults() error {
	for _, d := range []struct {
		name  string
		value *time.Duration
		def   time.Duration
	}{
		{"PingInterval", &o.PingInterval, 25 * time.Second},
		{"PingTimeout", &o.PingTimeout, 20 * time.Second},
		{"UpgradeTimeout", &o.UpgradeTimeout, 10 * time.Second},
	} {
		if *d.value < 0 {
			return fmt.Errorf("engineio: Options.%s is negative", d.name)
		}
		if *d.value == 0 {
			*d.value = d.def
		}
	}
	if o.MaxPayload < 0 || o.QueueBytes < 0 || o.QueueMessages < 0 || o.MessagesPerSecond < 0 {
		return errors.New("engineio: a limit in Options is negative")
	}
	if o.MaxPayload == 0 {
		o.MaxPayload = 1_000_000
	}
	if o.QueueBytes == 0 {
		o.QueueBytes = 1 << 20
	}
	if o.QueueMessages == 0 {
		o.QueueMessages = 1000
	}
	if o.NoWebSocket && o.Polling == nil {
		return errors.New("engineio: Options leave no transport")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// Server accepts sessions. It is an [http.Handler] for the path of Engine.IO,
// such as /socket.io/, whatever the path is.
type Server struct {
	// static
	opts     Options
	handler  Handler
	log      *slog.Logger
	start    time.Time // zero of the sessions' monotonic times
	upgrader *wsconn.Upgrader
	wheel    *wsconn.Wheel
	refused  *wsconn.Notices
	laggards *wsconn.Laggards
	poller   *netpoll.Poller
	ownPoll  bool

	ping, probePong, pong *Prepared
	terms                 string // the end of every open packet

	lists  sync.Pool // *[]*Session, empty
	drafts sync.Pool // *[]byte, of Headroom bytes or more

	rests    atomic.Int64
	upgrades atomic.Int64
	held     atomic.Int64 // WebSockets and goroutines that have not ended

	mu       sync.Mutex // may be taken with a session's lock held, not the other way round
	sessions map[string]*Session
	leaving  map[*Session]func() // what Options.Enter wants called, of those that are opening or open
	closed   bool
	drained  chan struct{} // made by Close; closed when nothing is left
}

// rejectTimeout is how long the body of a refused request may take to arrive.
const rejectTimeout = 5 * time.Second

// New returns a server that hands its sessions to h.
func New(o Options, h Handler) (*Server, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	srv := &Server{
		opts:      o,
		handler:   h,
		log:       o.Logger,
		refused:   wsconn.NewNotices(o.Logger, "refused a client"),
		laggards:  wsconn.NewLaggards(o.Logger),
		start:     time.Now(),
		poller:    o.Poller,
		ping:      control(Ping, ""),
		pong:      control(Pong, ""),
		probePong: control(Pong, "probe"),
		terms:     termsOf(o),
		sessions:  make(map[string]*Session),
	}
	if srv.poller == nil {
		srv.poller = netpoll.New(netpoll.Options{})
		srv.ownPoll = true
		if err := srv.poller.UseEpoll(); err != nil && !errors.Is(err, netpoll.ErrNoEpoll) {
			return nil, fmt.Errorf("setting up websocket: %w", err)
		}
	}
	srv.drafts.New = func() any {
		b := make([]byte, Headroom)
		return &b
	}
	var err error
	srv.upgrader, err = wsconn.NewUpgrader(wsconn.Options{
		Poller:        srv.poller,
		MaxPayload:    o.MaxPayload,
		QueueBytes:    o.QueueBytes,
		QueueMessages: o.QueueMessages,
		Budget:        o.Budget,
		Deflate:       o.PerMessageDeflate,
	})
	if err != nil {
		return nil, fmt.Errorf("setting up websocket: %w", err)
	}
	srv.wheel = wsconn.NewWheel(0, 0)
	return srv, nil
}

// Options returns the options in force, defaults filled in.
func (srv *Server) Options() Options { return srv.opts }

// Stats counts what a server has done.
type Stats struct {
	Sessions      int              // open now
	WebSockets    int64            // open now, those that sessions are to move to included
	Upgrades      int64            // sessions that moved to WebSocket
	SlowConsumers wsconn.LagCounts // sessions closed since their clients read too slowly
	Rests         int64            // times that a session was not read for a while, since it said too much
}

// Stats returns the server's counts.
func (srv *Server) Stats() Stats {
	srv.mu.Lock()
	n := len(srv.sessions)
	srv.mu.Unlock()
	return Stats{Sessions: n, WebSockets: srv.upgrader.Stats().Open, Upgrades: srv.upgrades.Load(), SlowConsumers: srv.laggards.Counts(), Rests: srv.rests.Load()}
}

// now is the monotonic time since the server was made.
func (srv *Server) now() time.Duration { return time.Since(srv.start) }

// ServeHTTP implements [http.Handler].
func (srv *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := srv.opts.Origins.Check(r); err != nil {
		srv.reject(w, r, refuse(Forbidden, "%v", err))
		return
	}
	isUpgrade := strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
	if !isUpgrade { // whose answer no page can read
		srv.opts.Origins.AllowCORS(w.Header(), r)
	}
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	query, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		srv.reject(w, r, refuse(BadRequest, "the query string cannot be parsed"))
		return
	}
	s, rev, e := srv.verify(r.Method, query, isUpgrade)
	switch {
	case e != nil:
		srv.reject(w, r, e)
	case s == nil && srv.retired():
		srv.turnAway(w)
	case isUpgrade && s != nil:
		srv.serveWebSocket(w, r, s, false)
	case s == nil:
		srv.openSession(w, r, srv.newSession(r, query, rev), isUpgrade)
	default:
		srv.continuePolling(w, r, s)
	}
}

// openSession opens s on the transport that the client wants, if it may enter.
func (srv *Server) openSession(w http.ResponseWriter, r *http.Request, s *Session, isUpgrade bool) {
	if srv.opts.Enter != nil {
		leave, e := srv.opts.Enter(r)
		if e != nil {
			srv.reject(w, r, e)
			return
		}
		srv.noteLeave(s, leave)
	}
	if isUpgrade {
		srv.serveWebSocket(w, r, s, true)
	} else {
		srv.openPolling(w, r, s)
	}
}

func (srv *Server) noteLeave(s *Session, leave func()) {
	if leave == nil {
		return
	}
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.leaving == nil {
		srv.leaving = make(map[*Session]func())
	}
	srv.leaving[s] = leave
}

// left tells Options.Enter that a session has not begun after all.
func (srv *Server) left(s *Session) {
	srv.mu.Lock()
	leave := srv.leaveLocked(s)
	srv.mu.Unlock()
	if leave != nil {
		leave()
	}
}

// leaveLocked returns what tells Options.Enter that a session has ended, or nil.
func (srv *Server) leaveLocked(s *Session) func() {
	if len(srv.leaving) == 0 {
		return nil
	}
	leave := srv.leaving[s]
	delete(srv.leaving, s)
	return leave
}

// verify checks a request in the order in which the Node server does, and
// returns the session that it names, or the revision of the one it opens.
func (srv *Server) verify(method string, q query, isUpgrade bool) (*Session, Revision, *RequestError) {
	transport, _ := q.get("transport")
	if transport == "" {
		return nil, 0, refuse(UnknownTransport, "the query names no transport; is this Socket.IO 0.9? Clients from 1.0 on are served")
	}
	if !srv.offers(transport) {
		return nil, 0, refuse(UnknownTransport, "%q is not one of %s (setting `socketio.transports`)",
			transport, strings.Join(srv.transports(), ", "))
	}
	if isUpgrade && transport != "websocket" {
		return nil, 0, refuse(BadRequest, "a WebSocket handshake needs transport=websocket")
	}
	if j, has := q.get("j"); has && !isUpgrade && !isIndex(j) {
		return nil, 0, refuse(BadRequest, "j, which asks for JSONP, is not a number: it is the index of a callback")
	}
	if sid, _ := q.get("sid"); sid != "" {
		s := srv.session(sid)
		if s == nil {
			return nil, 0, refuse(UnknownSession, "the server does not have this session; it timed out, "+
				"or the server restarted, or a balancer sent the request to another node: connect again")
		}
		if current := s.Transport(); !isUpgrade && current != transport {
			return nil, 0, refuse(BadRequest, "the session is on %s, not on %s", current, transport)
		}
		return s, s.rev, nil
	}
	if method != http.MethodGet {
		return nil, 0, refuse(BadHandshakeMethod, "a session is opened with GET, not %s", method)
	}
	if transport == "websocket" && !isUpgrade {
		return nil, 0, refuse(BadRequest, "transport=websocket without a WebSocket handshake; "+
			"a proxy in front must pass the Upgrade and Connection headers on")
	}
	switch eio, _ := q.get("EIO"); {
	case eio == "4":
		return nil, Revision4, nil
	case (eio == "3" || eio == "2") && !srv.opts.RefuseRevision3:
		return nil, Revision3, nil
	case eio == "3" || eio == "2":
		return nil, 0, refuse(UnsupportedVersion, "Socket.IO 1.x and 2.x clients are not let in (setting `socketio.allow_eio3`)")
	default:
		return nil, 0, refuse(UnsupportedVersion, "EIO=%q; the server speaks 3 and 4 (Socket.IO 1.x to 4.x clients)", eio)
	}
}

// isIndex reports whether text can be the index of a callback.
func isIndex(text string) bool {
	_, err := strconv.ParseUint(text, 10, 32)
	return err == nil
}

func (srv *Server) transports() []string {
	var list []string
	if srv.opts.Polling != nil {
		list = append(list, "polling")
	}
	if !srv.opts.NoWebSocket {
		list = append(list, "websocket")
	}
	return list
}

func (srv *Server) offers(transport string) bool {
	switch transport {
	case "polling":
		return srv.opts.Polling != nil
	case "websocket":
		return !srv.opts.NoWebSocket
	}
	return false
}

func (srv *Server) reject(w http.ResponseWriter, r *http.Request, e *RequestError) {
	srv.refused.Add(e.Code.String(), "remote", r.RemoteAddr, "error", e)
	if r.ContentLength != 0 { // net/http reads the body before it answers, as long as that takes
		err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(rejectTimeout))
		if err != nil && !errors.Is(err, http.ErrNotSupported) {
			srv.log.Debug("cannot bound the reading of a refused request", "error", err)
		}
	}
	WriteError(w, e)
}

// turnAway answers who wants a new session of a server that stops. A balancer
// takes that for a reason to ask another one, and clients come back by themselves.
func (srv *Server) turnAway(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Retry-After", "1")
	h.Set("Connection", "close")
	http.Error(w, "the server is stopping; come back in a moment", http.StatusServiceUnavailable)
}

// openPolling opens a session on the polling transport.
func (srv *Server) openPolling(w http.ResponseWriter, r *http.Request, s *Session) {
	t := srv.opts.Polling(s)
	srv.open(s, t, r)
	t.ServeHTTP(w, r)
}

func (srv *Server) continuePolling(w http.ResponseWriter, r *http.Request, s *Session) {
	s.mu.Lock()
	t, ok := s.transport.(RequestTransport)
	s.mu.Unlock()
	if !ok {
		srv.reject(w, r, refuse(BadRequest, "the session has moved to a WebSocket"))
		return
	}
	t.ServeHTTP(w, r)
}

func (srv *Server) newSession(r *http.Request, q query, rev Revision) *Session {
	return &Session{
		server:  srv,
		id:      srv.opts.Tag + NewID(),
		rev:     rev,
		dialect: dialectOf(q, r.UserAgent()),
	}
}

// open starts a session on t.
func (srv *Server) open(s *Session, t Transport, r *http.Request) {
	s.mu.Lock()
	s.transport = t
	s.mu.Unlock()
	receiver := srv.handler.Accept(s, r)

	s.mu.Lock()
	s.receiver = receiver
	s.state.Store(uint32(stateOpen))
	s.beat = s.nextBeat()
	late := !srv.remember(s)
	s.rearmLocked()
	s.mu.Unlock()

	if err := srv.greet(s); err != nil {
		s.abort(TransportClose) // the transport ended before the session began
		return
	}
	s.receiver.Opened()
	if late {
		s.closeFor(ServerShuttingDown)
	}
}

// remember lists s, which is new; not once the server has closed.
func (srv *Server) remember(s *Session) bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.closed {
		return false
	}
	srv.sessions[s.id] = s
	return true
}

// greet sends the open packet (v4-current.md, "Handshake").
func (srv *Server) greet(s *Session) error {
	draft := srv.drafts.Get().(*[]byte)
	defer srv.drafts.Put(draft)
	text := append((*draft)[:Headroom], `{"sid":"`...)
	text = append(append(text, s.id...), `","upgrades":[`...)
	if s.transport.Name() == "polling" && !srv.opts.NoWebSocket {
		text = append(text, `"websocket"`...)
	}
	*draft = append(text, srv.terms...)
	return s.sendOnce(Open, *draft, 0)
}

// termsOf is what the open packet says to every client.
func termsOf(o Options) string {
	return fmt.Sprintf(`],"pingInterval":%d,"pingTimeout":%d,"maxPayload":%d}`, o.PingInterval.Milliseconds(), o.PingTimeout.Milliseconds(), o.MaxPayload)
}

// pongFor answers a ping of revision 3, with the text of the ping.
func (srv *Server) pongFor(p Packet) *Prepared {
	if len(p.Data) == 0 || p.Binary {
		return srv.pong
	}
	return control(Pong, string(p.Data))
}

// Nudge has the poll of a session answered that waits, if one does; its client comes with the next one.
func (srv *Server) Nudge(id string) {
	s := srv.session(id)
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, polls := s.transport.(RequestTransport); polls {
		t.Nudge()
	}
}

// session finds a session that has not timed out.
func (srv *Server) session(id string) *Session {
	srv.mu.Lock()
	s := srv.sessions[id]
	srv.mu.Unlock()
	if s != nil && s.expired() {
		s.abort(PingTimeout)
		return nil
	}
	return s
}

// forget takes a session that has ended out of the server's lists.
func (srv *Server) forget(s *Session) {
	srv.wheel.Stop(&s.timer)
	srv.mu.Lock()
	leave := srv.leaveLocked(s)
	delete(srv.sessions, s.id)
	srv.checkDrainedLocked()
	srv.mu.Unlock()
	if leave != nil {
		leave()
	}
}

// NewID returns an id that nobody can guess: 120 random bits in 24 characters.
func NewID() string {
	var random [15]byte
	rand.Read(random[:]) // never fails
	var text [24]byte
	base32.StdEncoding.Encode(text[:], random[:])
	return string(text[:])
}
