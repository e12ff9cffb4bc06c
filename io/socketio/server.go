package socketio

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"crier/io/engineio"
	"crier/io/hub"
)

// Options configures a [Server]. Zero values stand for the defaults of the
// Node server.
type Options struct {
	Engine engineio.Options

	// ConnectTimeout closes a client that has joined no namespace by then; 45 s.
	ConnectTimeout time.Duration
	// MaxAttachments bounds the binary attachments of one packet; 10.
	MaxAttachments int
	// Hub delivers in the main namespace; nil: one of its own. A hub given
	// here is not closed by the server. One made with hub.Options.LoginFirst has
	// a socket only from [hub.Member.Login] on: nothing that is sent to a room, a
	// user, an id or everybody reaches who has not logged in.
	Hub *hub.Hub
	// ForgetHandshake drops a connection's [Handshake] once it is in the main
	// namespace and the functions of OnConnect there have returned, and what
	// [Socket.Auth] returns likewise in each namespace. It saves about 2 KB a
	// connection.
	ForgetHandshake bool
	// NoHeader leaves the header out of the [Handshake], for programs that do not look at it.
	NoHeader bool
	// Recovery lets clients recover their connections; nil: none.
	Recovery *Recovery
	// MaxDynamic bounds the namespaces that exist because clients asked for them
	// ([Server.OfPattern], [Server.OfFunc]), of about 6 KB each; 1,000. Whoever
	// wants one more is refused.
	MaxDynamic int
	// KeepEmpty keeps such namespaces when their last client has left. The Node
	// server does, unless told otherwise; then clients can use up MaxDynamic for good.
	KeepEmpty bool

	Logger *slog.Logger // nil: discards
}

// Server is a Socket.IO server. It is an [http.Handler] for its path, such as
// /socket.io/, whatever the path is.
type Server struct {
	// static
	opts   Options
	log    *slog.Logger
	engine *engineio.Server

	drafts sync.Pool // *[]byte, of [engineio.Headroom] bytes or more
	events sync.Pool // *received

	fullLogged atomic.Bool // that clients want more than MaxDynamic namespaces

	mu         sync.RWMutex // guards what follows, and some fields of each Namespace
	namespaces map[string]*Namespace
	parents    []*Parent
	dynamic    int // namespaces that count against MaxDynamic
	closed     bool
}

// New returns a server with the main namespace, "/".
func New(o Options) (*Server, error) {
	if o.ConnectTimeout < 0 || o.MaxAttachments < 0 || o.MaxDynamic < 0 {
		return nil, errors.New("socketio: a limit in Options is negative")
	}
	if o.ConnectTimeout == 0 {
		o.ConnectTimeout = 45 * time.Second
	}
	if o.MaxAttachments == 0 {
		o.MaxAttachments = 10
	}
	if o.MaxDynamic == 0 {
		o.MaxDynamic = 1000
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Engine.Logger == nil {
		o.Engine.Logger = o.Logger
	}
	srv := &Server{opts: o, log: o.Logger, namespaces: make(map[string]*Namespace)}
	srv.drafts.New = func() any {
		draft := make([]byte, 256)
		return &draft
	}
	srv.events.New = func() any { return new(received) }
	var err error
	if srv.engine, err = engineio.New(o.Engine, srv); err != nil {
		return nil, err
	}
	if _, err := srv.of("/", o.Hub); err != nil {
		return nil, errors.Join(err, srv.engine.Close(context.Background()))
	}
	return srv, nil
}

// Main is the namespace "/", which clients of 1.x and 2.x always join, and later
// ones unless they ask for another.
func (srv *Server) Main() *Namespace { return srv.namespace("/") }

// Of returns the namespace of that name, which begins with "/", and makes it
// if there is none; it then stays. Clients can join it from now on. A name has
// at most 200 bytes, no comma, question mark or control character. The errors
// are [ErrBadNamespace] and, after Close, [engineio.ErrClosed].
func (srv *Server) Of(name string) (*Namespace, error) {
	return srv.of(name, nil)
}

func (srv *Server) of(name string, h *hub.Hub) (*Namespace, error) {
	if err := checkNamespace(name); err != nil {
		return nil, err
	}
	parent := srv.patternFor(name)
	srv.mu.Lock()
	defer srv.mu.Unlock()
	n := srv.namespaces[name]
	switch {
	case n != nil && n.parent != nil && !n.kept: // clients were first
		srv.dynamic--
	case n != nil:
		return n, nil
	case srv.closed:
		return nil, engineio.ErrClosed
	default:
		var err error
		if n, err = newNamespace(srv, name, h); err != nil {
			return nil, err
		}
		n.parent = parent
		srv.namespaces[name] = n
	}
	n.kept = true
	return n, nil
}

func (srv *Server) namespace(name string) *Namespace {
	srv.mu.RLock()
	defer srv.mu.RUnlock()
	return srv.namespaces[name]
}

// ServeHTTP implements [http.Handler].
func (srv *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	srv.engine.ServeHTTP(w, r)
}

// Engine is the Engine.IO server underneath.
func (srv *Server) Engine() *engineio.Server { return srv.engine }

// Accept implements [engineio.Handler].
func (srv *Server) Accept(s *engineio.Session, r *http.Request) engineio.Receiver {
	return &client{server: srv, session: s, handshake: newHandshake(r, !srv.opts.NoHeader)}
}

// guard runs a function of the program's author and reports whether it
// returned. A panic is logged and ends no more than one connection.
func (srv *Server) guard(fn func()) (returned bool) {
	defer func() {
		if returned {
			return
		}
		if p := recover(); p != nil {
			srv.log.Error("a handler panicked; its connection is closed",
				"panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	fn()
	return true
}

// Retire refuses new connections from now on, and returns what closes each of
// those that there are, as Close does: for who lets them end one after the other
// before that.
func (srv *Server) Retire() []func() { return srv.engine.Retire() }

// Close closes every connection, in such a way that clients come back, and
// the hubs that the server made.
func (srv *Server) Close(ctx context.Context) error {
	errs := []error{srv.engine.Close(ctx)}
	srv.mu.Lock()
	srv.closed = true
	namespaces := make([]*Namespace, 0, len(srv.namespaces))
	for _, n := range srv.namespaces {
		namespaces = append(namespaces, n)
	}
	srv.mu.Unlock()
	for _, n := range namespaces {
		if n.ownHub {
			errs = append(errs, n.hub.Close(ctx))
		}
	}
	return errors.Join(errs...)
}
