package socketio

import (
	"context"
	"encoding/json"
	"regexp"
)

// Parent stands for all namespaces whose names it allows. They are made when a
// client asks for one, have a hub each, and share what is registered with the
// Parent, also what is registered later. What is registered with one of them
// alone comes after it. All methods are safe for concurrent use.
//
// A namespace that was made for a client ends when the last client has left it,
// unless [Options] KeepEmpty is set or the program has named it with [Server.Of]:
// its hub is closed, and the next client gets a new one.
type Parent struct {
	handlers

	// static
	server  *Server
	allow   func(name string, auth json.RawMessage) bool
	pattern *regexp.Regexp // nil: only allow
}

// OfPattern lets clients join every namespace whose name the pattern matches
// anywhere; write ^ and $ for the whole name. [Server.Of] with such a name
// returns a namespace of this Parent too.
func (srv *Server) OfPattern(pattern *regexp.Regexp) *Parent {
	return srv.addParent(&Parent{
		pattern: pattern,
		allow:   func(name string, _ json.RawMessage) bool { return pattern.MatchString(name) },
	})
}

// OfFunc lets clients join every namespace that allow says may be. It is asked
// when a client wants to join a namespace that does not exist, with what
// [Socket.Auth] will return, on the goroutine of that client's connection. It
// must not keep auth.
func (srv *Server) OfFunc(allow func(name string, auth json.RawMessage) bool) *Parent {
	return srv.addParent(&Parent{allow: allow})
}

func (srv *Server) addParent(p *Parent) *Parent {
	p.server = srv
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.parents = append(srv.parents, p)
	return p
}

// Children returns the namespaces there are at the moment.
func (p *Parent) Children() []*Namespace {
	p.server.mu.RLock()
	defer p.server.mu.RUnlock()
	var list []*Namespace
	for _, n := range p.server.namespaces {
		if n.parent == p {
			list = append(list, n)
		}
	}
	return list
}

var (
	errUnknownNamespace = &ConnectError{Message: "Invalid namespace"} // as the Node server says
	errManyNamespaces   = &ConnectError{Message: "Too many namespaces"}
)

// enter returns the namespace that a client wants to join, made if a parent
// allows it, or why there is none. Each namespace that it returns needs a leave.
func (srv *Server) enter(name string, auth json.RawMessage) (*Namespace, *ConnectError) {
	if n := srv.enterExisting(name); n != nil {
		return n, nil
	}
	parent := srv.parentFor(name, auth)
	if parent == nil || checkNamespace(name) != nil {
		return nil, errUnknownNamespace
	}
	n, refused := srv.enterChild(name, parent)
	if refused == errManyNamespaces && !srv.fullLogged.Swap(true) {
		srv.log.Warn("no more namespaces are made for clients", "limit", srv.opts.MaxDynamic)
	}
	return n, refused
}

func (srv *Server) enterChild(name string, parent *Parent) (*Namespace, *ConnectError) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	n := srv.namespaces[name]
	switch {
	case n != nil: // made meanwhile
	case srv.closed:
		return nil, errUnknownNamespace
	case srv.dynamic >= srv.opts.MaxDynamic:
		return nil, errManyNamespaces
	default:
		var err error
		if n, err = newNamespace(srv, name, nil); err != nil {
			return nil, &ConnectError{Message: err.Error()}
		}
		n.parent = parent
		srv.namespaces[name] = n
		srv.dynamic++
	}
	n.clients++
	return n, nil
}

func (srv *Server) enterExisting(name string) *Namespace {
	n := srv.namespace(name)
	if n == nil || n.parent == nil {
		return n
	}
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if n = srv.namespaces[name]; n != nil {
		n.clients++
	}
	return n
}

// parentFor returns the first parent that allows the name.
func (srv *Server) parentFor(name string, auth json.RawMessage) *Parent {
	srv.mu.RLock()
	parents := srv.parents // only ever appended to
	srv.mu.RUnlock()
	for _, p := range parents {
		if p.allow(name, auth) {
			return p
		}
	}
	return nil
}

// patternFor returns the first parent whose pattern matches the name.
func (srv *Server) patternFor(name string) *Parent {
	srv.mu.RLock()
	defer srv.mu.RUnlock()
	for _, p := range srv.parents {
		if p.pattern != nil && p.pattern.MatchString(name) {
			return p
		}
	}
	return nil
}

// leave counts a client out of n, and ends n with the last one of its clients.
func (srv *Server) leave(n *Namespace) {
	if n.parent == nil {
		return
	}
	srv.mu.Lock()
	n.clients--
	over := n.clients == 0 && !n.kept && !srv.opts.KeepEmpty
	if over {
		delete(srv.namespaces, n.name)
		srv.dynamic--
	}
	srv.mu.Unlock()
	if !over {
		return
	}
	srv.fullLogged.Store(false)
	if err := n.hub.Close(context.Background()); err != nil { // it has nothing to wait for
		srv.log.Error("the hub of a namespace was not closed", "namespace", n.name, "error", err)
	}
}
