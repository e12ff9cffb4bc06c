package socketio

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
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
	// here is not closed by the server.
	Hub *hub.Hub
	// ForgetHandshake drops a connection's [Handshake] once it is in the main
	// namespace and the functions of OnConnect there have returned, and what
	// [Socket.Auth] returns likewise in each namespace. It saves about 2 KB a
	// connection.
	ForgetHandshake bool

	Logger *slog.Logger // nil: discards
}

// Server is a Socket.IO server. It is an [http.Handler] for its path, such as
// /socket.io/, whatever the path is.
type Server struct {
	// static
	opts   Options
	log    *slog.Logger
	engine *engineio.Server

	mu         sync.RWMutex
	namespaces map[string]*Namespace
	closed     bool
}

// New returns a server with the main namespace, "/".
func New(o Options) (*Server, error) {
	if o.ConnectTimeout < 0 || o.MaxAttachments < 0 {
		return nil, errors.New("socketio: a limit in Options is negative")
	}
	if o.ConnectTimeout == 0 {
		o.ConnectTimeout = 45 * time.Second
	}
	if o.MaxAttachments == 0 {
		o.MaxAttachments = 10
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Engine.Logger == nil {
		o.Engine.Logger = o.Logger
	}
	srv := &Server{opts: o, log: o.Logger, namespaces: make(map[string]*Namespace)}
	var err error
	if srv.engine, err = engineio.New(o.Engine, srv); err != nil {
		return nil, err
	}
	if _, err := srv.addNamespace("/", o.Hub); err != nil {
		return nil, errors.Join(err, srv.engine.Close(context.Background()))
	}
	return srv, nil
}

// Main is the namespace "/", which every client joins.
func (srv *Server) Main() *Namespace { return srv.namespace("/") }

// maxNamespace is the greatest length of a namespace's name in bytes: ids of
// 2.x clients contain it, and the hub takes ids of up to 255.
const maxNamespace = 200

// Of returns the namespace of that name, which begins with "/", and makes it
// if there is none. Clients can join a namespace from then on. A name has at
// most 200 bytes, no comma, question mark or control character.
func (srv *Server) Of(name string) (*Namespace, error) {
	if n := srv.namespace(name); n != nil {
		return n, nil
	}
	return srv.addNamespace(name, nil)
}

func (srv *Server) namespace(name string) *Namespace {
	srv.mu.RLock()
	defer srv.mu.RUnlock()
	return srv.namespaces[name]
}

func (srv *Server) addNamespace(name string, h *hub.Hub) (*Namespace, error) {
	if !strings.HasPrefix(name, "/") || strings.ContainsAny(name, ",?") || len(name) > maxNamespace || hub.CheckUID(name) != nil {
		return nil, fmt.Errorf("socketio: namespace %q: want a name that begins with /, of at most %d bytes, "+
			"without a comma, question mark or control character", name, maxNamespace)
	}
	n := &Namespace{server: srv, name: name, hub: h, handlers: make(map[string]Handler)}
	n.encode = n.prepare
	if h == nil {
		own, err := hub.New(hub.Options{Logger: srv.log})
		if err != nil {
			return nil, fmt.Errorf("making the hub of namespace %q: %w", name, err)
		}
		n.hub, n.ownHub = own, true
	}
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if there := srv.namespaces[name]; there != nil || srv.closed {
		if n.ownHub {
			if err := n.hub.Close(context.Background()); err != nil {
				return nil, fmt.Errorf("closing the hub of namespace %q: %w", name, err)
			}
		}
		if there == nil {
			return nil, engineio.ErrClosed
		}
		return there, nil
	}
	srv.namespaces[name] = n
	return n, nil
}

// ServeHTTP implements [http.Handler].
func (srv *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	srv.engine.ServeHTTP(w, r)
}

// Engine is the Engine.IO server underneath.
func (srv *Server) Engine() *engineio.Server { return srv.engine }

// Accept implements [engineio.Handler].
func (srv *Server) Accept(s *engineio.Session, r *http.Request) engineio.Receiver {
	return &client{server: srv, session: s, handshake: newHandshake(r)}
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
