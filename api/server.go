// Package api is the business side of Crier: the push port that back ends call over HTTP.
//
// A request goes through one question, who may call (access.go), and then to what its path names: the JSON form under
// /v1 (v1.go has its routes, codes.go its errors), the two health checks and, on every other path, the legacy form of
// web-msg-sender (legacy.go).
package api

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"crier/api/schedule"
	"crier/io/hub"
	"crier/io/wsconn"
)

// DefaultMaxBody is the largest request body accepted when Options.MaxBody is zero, in bytes.
const DefaultMaxBody = 16 << 20

// Pusher sends a message to its audience. *hub.Hub is one.
//
// It never waits for a receiver. An error means that nobody got the message.
type Pusher interface {
	Push(ctx context.Context, p hub.Push) (hub.Result, error)
}

// Warmer is what a Pusher may be in addition: one that several pushes, each to one user, cost less if it is told of the users
// before the first of them. *hub.Hub is one.
type Warmer interface {
	Warm(uids []string)
}

// Sender pushes to all of several servers. It does not wait for them: done is called once, when it is known what became of the
// push. An error means that nobody got the message.
type Sender interface {
	Send(ctx context.Context, p hub.Push, done func(hub.Result)) error
}

// Options says what a Server needs.
type Options struct {
	// Pusher takes the accepted messages. Required.
	Pusher Pusher

	// Sender, if not nil, takes the messages of the JSON form in Pusher's place.
	Sender Sender

	// IDs, if not nil, know the ids of what Sender and Asker push, at all servers.
	IDs IDs

	// Directory answers what is asked about users and rooms, and dry runs. Nil means Pusher, if it is one; without any,
	// those calls are answered with 422.
	Directory Directory

	// Roster knows memberships. Nil means Pusher, if it is one; without any, changes are answered with 422.
	Roster Roster

	// Asker pushes what clients are to acknowledge. Nil means Pusher, if it is one; without any, such pushes are answered
	// with 422.
	Asker Asker

	// Keeper pushes what is to be kept for users until it has arrived. Nil means that nothing can: such pushes are answered
	// with 422, and WhyNotKept, a sentence that names the setting.
	Keeper     Keeper
	WhyNotKept string

	// TTL is how long a message is kept whose push does not say so; zero means 24 h.
	TTL time.Duration

	// Receipts know what became of messages. Nil means that there are none.
	Receipts Receipts

	// ShowIDs has clients shown the id of every message.
	ShowIDs bool

	// Upgrader makes the WebSockets of /v1/stream. Its MaxPayload bounds a line. Nil means that there are none: the call
	// is answered with 422.
	Upgrader *wsconn.Upgrader

	// Access says who may call. Its zero value lets in loopback peers only. SetAccess replaces it later.
	Access Access

	// MaxBody is the most bytes one request body may have; zero means DefaultMaxBody. More is answered with 413.
	MaxBody int64

	// MaxContent is the most bytes that one message may have: its event and JSON arguments (in the legacy form, the
	// argument of new_msg once escaped) and attachments. Zero means no limit but that of MaxBody. More is answered with
	// 413, in the legacy form with fail.
	MaxContent int64

	// Ready says why the program cannot serve now, or nil if it can. Its error's text is shown by /readyz to
	// anybody. Nil means always ready.
	Ready func() error

	// Docs answers /docs and what is under it, to anybody: it says nothing that is secret. Nil means that those paths are
	// like any other.
	Docs http.Handler

	// Metrics answers /metrics, to who may read, and Profiles what is under /debug/pprof/, to administrators. Nil means
	// that those paths are like any other.
	Metrics, Profiles http.Handler

	// Dashboard answers /admin/ and what is under it, but for the session and the calls that its pages make, to anybody: it
	// says nothing that is secret. Nil means that there is no dashboard, and those paths are like any other.
	Dashboard http.Handler

	// Pulse has the samples of GET /v1/stats/live. Nil means that there are none.
	Pulse Pulse

	// Mail shows what is stored for users. Nil means that nothing is.
	Mail Mail

	// Callbacks are listed and sent again by the calls under /v1/webhooks. Nil means that there are none.
	Callbacks Callbacks

	// Schedules are the timed pushes, whose Push is PushScheduled. Nil means that there are none.
	Schedules *schedule.Book

	// Lead returns what is there on one of several servers only, in place of Callbacks and Schedules; false on the others.
	// Nil means that this server is alone.
	Lead func() (Lead, bool)

	// Online returns how many users have connections on all servers, and how many these are. Nil means that this server is alone.
	Online func() (users, connections int)

	// Store returns the figures of what survives a crash. Nil means that nothing does.
	Store func() StoreFigures

	// Inbox returns the figures of stored messages. Nil means that there are none.
	Inbox func() (InboxFigures, error)

	// Leader answers the calls under /v1/schedules and /v1/webhooks while another server does that for all. Nil: they are refused
	// then.
	Leader Leader

	// Redis returns the figures of the connection to Redis. Nil means that there is none.
	Redis func() RedisFigures

	// Cluster returns the figures of a server that is one of several. Nil means that it is alone.
	Cluster func(context.Context) ClusterFigures
	// Limits returns the figures of what clients were refused. Nil means that there are none.
	Limits func() LimitFigures

	// Logger gets refused calls (warn) and failed pushes (debug), never a key or a message. Nil discards them.
	Logger *slog.Logger
}

// Server answers the push port. It is an http.Handler for any number of requests at a time, and starts no goroutine.
// Close ends what does not end by itself: links that callers keep open.
type Server struct {
	// static
	pusher     Pusher
	warmer     Warmer    // nil: none
	sender     Sender    // may be nil
	ids        IDs       // may be nil
	directory  Directory // may be nil
	asker      Asker     // may be nil
	keeper     Keeper    // may be nil
	whyNotKept string
	ttl        time.Duration
	receipts   Receipts // may be nil
	showIDs    bool
	roster     Roster           // may be nil
	upgrader   *wsconn.Upgrader // may be nil
	docs       http.Handler     // may be nil
	metrics    http.Handler     // may be nil
	profiles   http.Handler     // may be nil
	dashboard  http.Handler     // may be nil
	pulse      Pulse            // may be nil
	mail       Mail             // may be nil
	doorToken  string           // of who needs no session
	lead       func() (Lead, bool)
	online     func() (users, connections int)      // may be nil
	store      func() StoreFigures                  // may be nil
	inbox      func() (InboxFigures, error)         // may be nil
	redis      func() RedisFigures                  // may be nil
	cluster    func(context.Context) ClusterFigures // may be nil
	limits     func() LimitFigures                  // may be nil
	maxLine    int
	mux        *http.ServeMux // of the JSON form
	pushes     http.Handler   // of the path of it that is called most, which need not be looked up
	passed     *http.ServeMux // of calls in it that another server has passed on
	dashed     *http.ServeMux // of those that pages of the dashboard make
	leader     Leader         // may be nil
	maxBody    int64
	maxContent int64
	ready      func() error
	log        *slog.Logger
	plain      []string // the Content-Type of every answer
	noStore    []string // its Cache-Control
	ok         []byte
	offline    []byte
	// headers of the JSON form
	jsonType, linesType, problemType, noSniff []string

	rules     atomic.Pointer[rules]
	throttle  *throttle
	sessions  sessions
	crowd     atomic.Int64 // bytes of the bodies of strangers
	repeats   *repeats
	links     links
	scheduled turns     // owned by who calls PushScheduled
	scratch   sync.Pool // of *scratch
	works     sync.Pool // of *work
	parcels   sync.Pool // of *parcel
}

// New returns a Server. Its errors name the setting that is wrong.
func New(o Options) (*Server, error) {
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	s := &Server{
		pusher:      o.Pusher,
		sender:      o.Sender,
		ids:         o.IDs,
		maxBody:     o.MaxBody,
		maxContent:  o.MaxContent,
		ready:       o.Ready,
		leader:      o.Leader,
		redis:       o.Redis,
		limits:      o.Limits,
		log:         o.Logger,
		plain:       []string{"text/plain; charset=utf-8"},
		noStore:     []string{"no-store"},
		ok:          []byte("ok"),
		offline:     []byte("offline"),
		directory:   o.Directory,
		asker:       o.Asker,
		keeper:      o.Keeper,
		whyNotKept:  o.WhyNotKept,
		ttl:         o.TTL,
		receipts:    o.Receipts,
		showIDs:     o.ShowIDs,
		roster:      o.Roster,
		upgrader:    o.Upgrader,
		docs:        o.Docs,
		metrics:     o.Metrics,
		profiles:    o.Profiles,
		dashboard:   o.Dashboard,
		pulse:       o.Pulse,
		mail:        o.Mail,
		doorToken:   rand.Text(),
		lead:        o.Lead,
		online:      o.Online,
		cluster:     o.Cluster,
		store:       o.Store,
		inbox:       o.Inbox,
		maxLine:     MaxLine(o.MaxBody, o.MaxContent),
		jsonType:    []string{"application/json"},
		linesType:   []string{"application/x-ndjson"},
		problemType: []string{"application/problem+json"},
		noSniff:     []string{"nosniff"},
		throttle:    newThrottle(),
		repeats:     newRepeats(maxRepeats),
	}
	s.mux, s.passed, s.dashed = s.newMux(s.authorize), s.newMux(vouched), s.newMux(s.admit)
	s.pushes, _ = s.mux.Handler(&http.Request{Method: http.MethodPost, URL: &url.URL{Path: pushPath}})
	if s.sender == nil { // else it is for other servers to say where users are
		s.warmer, _ = o.Pusher.(Warmer)
	}
	s.works.New = func() any { return new(work) }
	s.parcels.New = func() any { return new(parcel) }
	s.scratch.New = func() any { return new(scratch) }
	if err := s.SetAccess(o.Access); err != nil {
		return nil, err
	}
	return s, nil
}

// complete checks the options and puts in what was left out.
func (o *Options) complete() error {
	if o.Pusher == nil {
		return errors.New("Options.Pusher is nil")
	}
	if o.MaxBody < 0 {
		return fmt.Errorf("api.max_body %d is negative", o.MaxBody)
	}
	if o.MaxContent < 0 {
		return fmt.Errorf("Options.MaxContent %d is negative", o.MaxContent)
	}
	if o.MaxBody == 0 {
		o.MaxBody = DefaultMaxBody
	}
	if o.Directory == nil {
		o.Directory, _ = o.Pusher.(Directory)
	}
	if o.Asker == nil {
		o.Asker, _ = o.Pusher.(Asker)
	}
	if o.Roster == nil {
		o.Roster, _ = o.Pusher.(Roster)
	}
	if o.TTL < 0 {
		return fmt.Errorf("inbox.ttl %s is negative", o.TTL)
	}
	if o.TTL == 0 {
		o.TTL = defaultTTL
	}
	if o.Lead == nil {
		alone := Lead{Callbacks: o.Callbacks, Schedules: o.Schedules}
		o.Lead = func() (Lead, bool) { return alone, true }
	}
	if o.WhyNotKept == "" {
		o.WhyNotKept = "This server cannot store messages: leave store and ttl out."
	}
	if o.Ready == nil {
		o.Ready = func() error { return nil }
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// SetAccess replaces the rules of who may call, for every request that begins after it returns. It may be called at
// any time from any goroutine. On an error, which names the setting, the old rules stay.
func (s *Server) SetAccess(a Access) error {
	r, err := newRules(a, s.rules.Load())
	if err != nil {
		return fmt.Errorf("api: %w", err)
	}
	s.rules.Store(r)
	return nil
}

// Frequent says whether a request is one of those that back ends make most: a push in the JSON form or, to the path that
// web-msg-sender had, in the legacy form. Their handlers read the body, answer as a whole, and keep nothing of either.
func Frequent(method, path string) bool {
	return method == http.MethodPost && (path == pushPath || path == "/") || method == http.MethodGet && path == "/"
}

// ServeHTTP answers one request of the push port.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case pushPath:
		if r.URL.RawPath != "" { // has escapes, which the mux looks at
			s.mux.ServeHTTP(w, r)
			return
		}
		r.Pattern = pushPath // as the mux says
		s.pushes.ServeHTTP(w, r)
	case "/healthz":
		s.health(w, r, nil, s.ok)
	case "/readyz":
		s.health(w, r, s.ready(), s.readiness())
	default:
		switch {
		case isV1(r.URL.Path):
			s.mux.ServeHTTP(w, r)
		case s.docs != nil && (r.URL.Path == "/docs" || strings.HasPrefix(r.URL.Path, "/docs/")):
			s.docs.ServeHTTP(w, r)
		case s.dashboard != nil && (r.URL.Path == "/admin" || strings.HasPrefix(r.URL.Path, dashboardPath)):
			s.serveDashboard(w, r)
		case s.metrics != nil && r.URL.Path == "/metrics":
			s.show(w, r, RightRead, s.metrics)
		case s.profiles != nil && strings.HasPrefix(r.URL.Path, "/debug/pprof/"):
			s.show(w, r, RightAdmin, s.profiles)
		default:
			s.legacy(w, r)
		}
	}
}

// show answers with h who has the right, and may see everything: neither figures nor profiles are of some users alone.
func (s *Server) show(w http.ResponseWriter, r *http.Request, right Right, h http.Handler) {
	who, refused := s.authorize(r, right)
	if refused == nil {
		refused = who.reaches(&hub.Audience{All: true})
	}
	if refused != nil {
		s.refuseV1(w, r, refused.fault())
		return
	}
	w.Header()["X-Content-Type-Options"] = s.noSniff
	h.ServeHTTP(w, r)
}

// readiness is what /readyz answers while the program can serve. Redis takes nothing from that, and whoever asks must not
// send everybody away because of it; so it is told in the text alone.
func (s *Server) readiness() []byte {
	if s.redis == nil {
		return s.ok
	}
	r := s.redis()
	if r.Up {
		return s.ok
	}
	return fmt.Appendf(nil, "ok\nRedis is away since %s: pushes reach the clients of this server alone, and what emitters publish does not arrive\n", r.Since.UTC().Format(time.RFC3339))
}

// health answers /healthz and /readyz, to anybody.
func (s *Server) health(w http.ResponseWriter, r *http.Request, err error, fine []byte) {
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		s.refuse(w, r, &problem{kind: badMethod, allow: "GET, HEAD", text: "This path answers GET and HEAD only."})
	case err != nil:
		s.refuse(w, r, &problem{kind: notReady, text: err.Error()})
	default:
		s.write(w, r, http.StatusOK, fine)
	}
}

// write sends a whole plain text answer.
func (s *Server) write(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	h := w.Header()
	h["Content-Type"] = s.plain
	h["Cache-Control"] = s.noStore
	if status != http.StatusOK { // it can have something of the request in it
		h["X-Content-Type-Options"] = s.noSniff
	}
	w.WriteHeader(status)
	if _, err := w.Write(body); err != nil {
		s.log.LogAttrs(r.Context(), slog.LevelDebug, "answer not sent", slog.Any("error", err))
	}
}
