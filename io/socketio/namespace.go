package socketio

import (
	"encoding/json"
	"errors"
	"slices"
	"sync"

	"crier/io/engineio"
	"crier/io/hub"
)

// Namespace is one of the channels that a connection can carry. Register
// handlers before clients connect; all methods are safe for concurrent use.
type Namespace struct {
	// static
	server *Server
	name   string
	hub    *hub.Hub
	ownHub bool
	encode func(*hub.Message) any // prepare, bound once

	mu         sync.RWMutex
	middleware []Middleware
	connect    []func(*Socket)
	disconnect []func(*Socket, Reason)
	handlers   map[string]Handler
	fallback   Handler
}

// Middleware decides whether a client may join a namespace: an error refuses
// it, with the error's text, or as a [*ConnectError] says.
type Middleware func(*Socket) error

// ConnectError refuses a client: what its connect_error handler gets (in 2.x,
// its error handler: Data, or Message where there is none).
type ConnectError struct {
	Message string
	Data    json.RawMessage // JSON, or nil
}

func (e *ConnectError) Error() string { return e.Message }

// Name begins with "/".
func (n *Namespace) Name() string { return n.name }

// Hub delivers messages to the namespace's sockets.
func (n *Namespace) Hub() *hub.Hub { return n.hub }

// Use adds a middleware; they run in the order of Use. One that logs the socket
// in should be the last: being refused afterwards looks like coming and going.
func (n *Namespace) Use(m Middleware) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.middleware = append(n.middleware, m)
}

// OnConnect adds a function that is called for each socket that joins, before
// any of its events is handled.
func (n *Namespace) OnConnect(fn func(*Socket)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.connect = append(n.connect, fn)
}

// OnDisconnect adds a function that is called once for each socket that
// leaves, after those of OnConnect have returned; it may overlap with a
// handler of the same socket. It runs on whatever goroutine noticed the end,
// so it must be quick.
func (n *Namespace) OnDisconnect(fn func(*Socket, Reason)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.disconnect = append(n.disconnect, fn)
}

// On sets the handler of an event, replacing an earlier one.
func (n *Namespace) On(event string, h Handler) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.handlers[event] = h
}

// OnOther sets the handler of the events that have none of their own.
func (n *Namespace) OnOther(h Handler) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fallback = h
}

func (n *Namespace) handler(event string) Handler {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if h := n.handlers[event]; h != nil {
		return h
	}
	return n.fallback
}

// admit runs the middleware for s.
func (n *Namespace) admit(s *Socket) *ConnectError {
	n.mu.RLock()
	chain := slices.Clip(n.middleware)
	n.mu.RUnlock()
	for _, m := range chain {
		err := m(s)
		var refused *ConnectError
		switch {
		case errors.As(err, &refused):
			return refused
		case err != nil:
			return &ConnectError{Message: err.Error()}
		}
	}
	return nil
}

func (n *Namespace) connected(s *Socket) {
	n.mu.RLock()
	fns := slices.Clip(n.connect)
	n.mu.RUnlock()
	for _, fn := range fns {
		fn(s)
	}
}

func (n *Namespace) disconnected(s *Socket, reason Reason) {
	n.mu.RLock()
	fns := slices.Clip(n.disconnect)
	n.mu.RUnlock()
	for _, fn := range fns {
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
	return prepare(p, eventList(m.Event, m.Args), m.Attachments)
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
