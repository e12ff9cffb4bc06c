package socketio

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"crier/io/engineio"
	"crier/io/hub"
)

// Namespace is one of the channels that a connection can carry. Register
// handlers before clients connect; all methods are safe for concurrent use.
type Namespace struct {
	handlers

	// static
	server *Server
	name   string
	parent *Parent // nil: made by the program alone
	hub    *hub.Hub
	ownHub bool
	encode func(*hub.Message) any // prepare, bound once

	rounds atomic.Uint32 // how many there have been

	// guarded by server.mu; only with a parent
	kept    bool // Of has named it
	clients int  // in it, or at its door
}

// maxNamespace is the greatest length of a namespace's name in bytes: ids of
// 2.x clients contain it, and the hub takes ids of up to 255.
const maxNamespace = 200

func checkNamespace(name string) error {
	if !strings.HasPrefix(name, "/") || strings.ContainsAny(name, ",?") || len(name) > maxNamespace || hub.CheckUID(name) != nil {
		return fmt.Errorf("namespace %q: %w", name, ErrBadNamespace)
	}
	return nil
}

// newNamespace returns a namespace with a hub of its own if h is nil.
func newNamespace(srv *Server, name string, h *hub.Hub) (*Namespace, error) {
	n := &Namespace{server: srv, name: name, hub: h}
	n.encode = n.prepare
	if h == nil {
		own, err := hub.New(srv.hubOptions())
		if err != nil {
			return nil, fmt.Errorf("making the hub of namespace %q: %w", name, err)
		}
		n.hub, n.ownHub = own, true
	}
	return n, nil
}

// hubOptions are those of the hubs that the server makes.
func (srv *Server) hubOptions() hub.Options {
	o := hub.Options{Logger: srv.log}
	if srv.opts.Recovery != nil {
		recovery := srv.opts.Recovery.Recovery
		recovery.Restore = nil // what there is is of one hub
		o.Recovery = &recovery
	}
	return o
}

// Name begins with "/".
func (n *Namespace) Name() string { return n.name }

// Hub delivers messages to the namespace's sockets.
func (n *Namespace) Hub() *hub.Hub { return n.hub }

// Emit sends an event to everybody in the namespace; see [Broadcast.Emit].
func (n *Namespace) Emit(event string, args ...Arg) (hub.Result, error) {
	return n.All().Emit(event, args...)
}

// route returns the way of an event. Its memory stays the caller's.
func (n *Namespace) route(event []byte) route {
	own := n.ways()
	way, fallback, wrappers := own.events[string(event)], own.fallback, own.wrappers
	if n.parent != nil {
		outer := n.parent.ways()
		if way.handle == nil {
			way = outer.events[string(event)]
		}
		if fallback == nil {
			fallback = outer.fallback
		}
		wrappers = slices.Concat(outer.wrappers, wrappers)
	}
	if way.handle == nil {
		way = route{event: string(event), handle: fallback}
	}
	if way.handle == nil && len(wrappers) > 0 {
		way.handle = func(*Event) {}
	}
	for _, wrap := range slices.Backward(wrappers) {
		way.handle, way.brief = wrap(way.handle), false // which may keep the event
	}
	return way
}

// admit runs the middleware for s.
func (n *Namespace) admit(s *Socket) *ConnectError {
	for _, m := range gather(n, func(h *handlers) []Middleware { return h.middleware }) {
		err := m(s)
		if refused, ok := errors.AsType[*ConnectError](err); ok {
			return refused
		}
		if err != nil {
			return &ConnectError{Message: err.Error()}
		}
	}
	return nil
}

func (n *Namespace) tellConnected(s *Socket) {
	for _, fn := range gather(n, func(h *handlers) []func(*Socket) { return h.connect }) {
		fn(s)
	}
}

func (n *Namespace) tellDisconnecting(s *Socket, reason Reason) {
	for _, fn := range gather(n, func(h *handlers) []func(*Socket, Reason) { return h.disconnecting }) {
		n.server.guard(func() { fn(s, reason) })
	}
}

func (n *Namespace) tellDisconnected(s *Socket, reason Reason) {
	for _, fn := range gather(n, func(h *handlers) []func(*Socket, Reason) { return h.disconnect }) {
		n.server.guard(func() { fn(s, reason) })
	}
}

// prepare is the wire form of a message of the hub in this namespace; nil if
// its name is one that clients refuse.
func (n *Namespace) prepare(m *hub.Message) any {
	if reservedName(m.Event) {
		return (*engineio.Prepared)(nil)
	}
	p := Packet{Type: PacketEvent, Namespace: n.name}
	return prepareEvent(p, m.Event, argsOf(m), m.Attachments)
}

// prepared returns m as it goes to every socket of the namespace, encoded once;
// nil if it cannot be sent.
func (n *Namespace) prepared(m *hub.Message) *engineio.Prepared {
	p, ok := m.Encoded(n, n.encode).(*engineio.Prepared)
	if !ok { // the key is this namespace's own
		panic("socketio: foreign value under a namespace's key")
	}
	return p
}

// bundle returns what prepared makes of the messages of r, in one piece; nil if one of them cannot be sent.
func (n *Namespace) bundle(r *hub.Run) *engineio.Prepared {
	p, ok := r.Encoded(n, func(r *hub.Run) any {
		var list []*engineio.Prepared
		for _, m := range r.Messages() {
			p := n.prepared(m)
			if p == nil {
				return p
			}
			list = append(list, p)
		}
		return engineio.Bundle(list...)
	}).(*engineio.Prepared)
	if !ok { // the key is this namespace's own
		panic("socketio: foreign value under a namespace's key")
	}
	return p
}
