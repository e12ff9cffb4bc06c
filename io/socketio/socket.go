package socketio

import (
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"crier/io/engineio"
	"crier/io/hub"
)

// Socket is a client in a namespace. It is the [hub.Conn] of its connection
// there, and safe for concurrent use.
type Socket struct {
	// What is looked at for each packet and message lies together, with the beginning of the member.
	client    *client       // static
	namespace *Namespace    // static
	phase     atomic.Uint32 // written with mu held
	nextAck   uint32        // guarded by mu
	member    hub.Member    // has entered before anybody but the reader has the socket

	id   string // static
	mu   sync.Mutex
	rare *rare // nil while it would be empty; guarded by mu
}

// rare is what few sockets have, or only for a while.
type rare struct {
	auth   string // JSON, or ""
	offset string // of the last event that the hub has delivered, if the client can recover
	data   any
	acks   map[uint64]*pendingAck
	end    *end
}

// end is what there is to tell when a socket leaves.
type end struct {
	reason Reason        // why it left while entering
	gone   chan struct{} // closed when the phase is gone, for those who wait; nil if nobody does
}

// ending returns the end, made if there is none. Called with mu held.
func (s *Socket) ending() *end {
	more := s.more()
	if more.end == nil {
		more.end = new(end)
	}
	return more.end
}

// more returns what is rare, made if there is nothing. Called with mu held.
func (s *Socket) more() *rare {
	if s.rare == nil {
		s.rare = new(rare)
	}
	return s.rare
}

// less lets go of what has become empty. Called with mu held.
func (s *Socket) less() {
	r := s.rare
	if len(r.acks) == 0 {
		r.acks = nil
	}
	if r.auth == "" && r.offset == "" && r.data == nil && r.acks == nil && r.end == nil {
		s.rare = nil
	}
}

// ID is the public id of the socket, as the client knows it.
func (s *Socket) ID() string { return s.id }

// Namespace is where the socket is.
func (s *Socket) Namespace() *Namespace { return s.namespace }

// Session is the connection underneath.
func (s *Socket) Session() *engineio.Session { return s.client.session }

// Siblings are the sockets of the same connection in other namespaces, those
// that have joined and not left.
func (s *Socket) Siblings() []*Socket {
	return slices.DeleteFunc(s.client.all(), func(other *Socket) bool { return other == s })
}

// Member is the socket's place in the hub: its user and its rooms. It is there
// in a middleware already: who is logged in there is online by the time that
// the client hears that it has joined. Nothing is delivered before.
func (s *Socket) Member() *hub.Member { return &s.member }

// Join puts the socket into the rooms. Its errors are [hub.ErrBadRoom], for the
// first name that cannot be one, and [hub.ErrGone] after the socket has left.
func (s *Socket) Join(rooms ...string) error {
	for _, room := range rooms {
		if err := s.member.Join(room); err != nil {
			return err
		}
	}
	return nil
}

// Leave takes the socket out of the rooms. It stays in the namespace.
func (s *Socket) Leave(rooms ...string) {
	for _, room := range rooms {
		s.member.Leave(room)
	}
}

// Rooms returns the rooms that the socket is in, in the order it joined them;
// none once it has left. Its id is not among them.
func (s *Socket) Rooms() []string { return s.member.Rooms() }

// Data returns what SetData was given last, or nil.
func (s *Socket) Data() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rare == nil {
		return nil
	}
	return s.rare.data
}

// SetData keeps a value with the socket, such as a pointer to what the program
// knows of its client. It stays when the socket has left.
func (s *Socket) SetData(v any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.more().data = v
	s.less()
}

// Handshake is what the client sent when it connected; nil once forgotten
// ([Options] ForgetHandshake) or after the connection ended.
func (s *Socket) Handshake() *Handshake {
	s.client.mu.Lock()
	defer s.client.mu.Unlock()
	return s.client.handshake.whole()
}

// QueryValue returns the first value of a name in the query of [Socket.Handshake], and whether it is there, without making the whole
// of that.
func (s *Socket) QueryValue(name string) (value string, has bool) { return s.client.queryValue(name) }

// Auth is the object that a client sends along when it joins a namespace
// (3.x and 4.x: auth; 1.x and 2.x: the query of the namespace), or nil, also
// once forgotten. The caller owns it.
func (s *Socket) Auth() json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rare == nil || s.rare.auth == "" {
		return nil
	}
	return json.RawMessage(s.rare.auth)
}

// setAuth keeps what Auth returns; "" forgets it.
func (s *Socket) setAuth(auth string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if auth != "" || s.rare != nil {
		s.more().auth = auth
		s.less()
	}
}

// Emit sends an event. It does not block. Its errors are those of [NewMessage],
// [ErrDisconnected] before the client has joined and after it left, and
// [ErrQueueFull].
func (s *Socket) Emit(event string, args ...Arg) error {
	m, err := NewMessage(event, args...)
	if err != nil {
		return err
	}
	return sendError(s.sendEvent(Packet{}, m, s.client.sayEvent))
}

// Tell is Emit with arguments that are valid JSON. Their memory is the caller's again when it returns.
func (s *Socket) Tell(event string, args []json.RawMessage) error {
	if reservedName(event) {
		return ErrReserved
	}
	return sendError(s.sendEvent(Packet{}, &hub.Message{Event: event, Args: args}, s.client.sayEvent))
}

// EmitVolatile sends an event if it can leave at once, and else drops it; sent
// tells which. Otherwise it is as Emit.
func (s *Socket) EmitVolatile(event string, args ...Arg) (sent bool, err error) {
	m, err := NewMessage(event, args...)
	if err != nil {
		return false, err
	}
	err = s.sendEvent(Packet{}, m, prepared(func(p *engineio.Prepared) (err error) {
		sent, err = s.client.session.SendVolatile(p)
		return err
	}))
	return sent, sendError(err)
}

// Deliver implements [hub.Conn].
func (s *Socket) Deliver(m *hub.Message) error {
	if !s.present() {
		return hub.ErrGone // the client would ignore it
	}
	if m.Ask() != nil {
		return s.ask(m)
	}
	if s.tracked() {
		return s.deliverInOrder(m)
	}
	p := s.namespace.prepared(m)
	if p == nil {
		return ErrReserved
	}
	return s.give(p, m.Volatile)
}

// Borrow implements [hub.Borrower].
func (s *Socket) Borrow(m *hub.Message) (ok bool, err error) {
	if m.Volatile || m.Ask() != nil || len(m.Attachments) > 0 || !s.present() || s.tracked() || reservedName(m.Event) {
		return false, nil
	}
	p := Packet{Type: PacketEvent, Namespace: s.namespace.name}
	return true, hubError(s.client.sayEvent(p, m.Event, argsOf(m), nil))
}

// Warm implements [hub.Warmer].
func (s *Socket) Warm() {
	if s.now() == joined {
		s.client.session.Warm()
	}
}

// DeliverAll implements [hub.Taker]. What a client that can recover is given has an offset in each.
func (s *Socket) DeliverAll(r *hub.Run) (done bool, err error) {
	if !s.present() {
		return true, hub.ErrGone
	}
	if s.tracked() {
		return false, nil
	}
	p := s.namespace.bundle(r)
	if p == nil {
		return false, nil
	}
	return true, s.give(p, false)
}

// give sends p; what becomes of it is said in the hub's errors.
func (s *Socket) give(p *engineio.Prepared, volatile bool) error {
	var err error
	if volatile {
		var sent bool
		if sent, err = s.client.session.SendVolatile(p); err == nil && !sent {
			return hub.ErrSlow
		}
	} else {
		err = s.client.session.Send(p)
	}
	return hubError(err)
}

// hubError returns what the hub is told of an error of a session.
func hubError(err error) error {
	switch {
	case errors.Is(err, ErrQueueFull):
		return hub.ErrSlow
	case err != nil:
		return hub.ErrGone
	default:
		return nil
	}
}

// Present implements [hub.Confirmer].
func (s *Socket) Present() bool { return s.present() }

// Confirm implements [hub.Confirmer]; see [engineio.Session.Confirm].
func (s *Socket) Confirm(taken func(), arrived func(ok bool)) {
	s.client.session.Confirm(taken, arrived)
}

// Drop implements [hub.Confirmer].
func (s *Socket) Drop() { s.client.session.Overflow() }

// SendBack implements [hub.Returner].
func (s *Socket) SendBack() { s.client.session.SendBack() }

// Disconnect makes the socket leave its namespace; the client is told and
// does not come back by itself. Other namespaces of the connection stay. It
// does nothing in a middleware, and once the socket has left.
func (s *Socket) Disconnect() { s.leave(ServerDisconnect) }

// Kick implements [hub.Conn]: Disconnect, in all namespaces of the connection,
// so that the client has no reason to come back, and the end of the connection.
func (s *Socket) Kick() {
	for _, each := range s.client.all() {
		each.Disconnect()
	}
	s.client.session.Close()
}

// send sends a packet while the client is in the namespace.
func (s *Socket) send(p Packet, list []json.RawMessage, attachments [][]byte) error {
	if !s.present() {
		return ErrDisconnected
	}
	return sendError(s.write(p, list, attachments))
}

func (s *Socket) write(p Packet, list []json.RawMessage, attachments [][]byte) error {
	p.Namespace = s.namespace.name
	return s.client.say(p, list, attachments)
}
