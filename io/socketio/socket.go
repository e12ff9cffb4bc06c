package socketio

import (
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"

	"crier/io/engineio"
	"crier/io/hub"
)

// Reason says why a socket left its namespace, in the words of the Node server.
type Reason = engineio.Reason

// Reasons besides those of [engineio.Reason].
const (
	ClientDisconnect Reason = "client namespace disconnect" // the client called disconnect
	ServerDisconnect Reason = "server namespace disconnect" // Socket.Disconnect or Kick; the client stays away
)

// The phases of a socket.
const (
	joining    uint32 = iota // the middleware decides
	confirming               // the client is being told, with mu held
	entering                 // events can be sent; the functions of OnConnect run
	joined                   // they have returned
	left
)

// Socket is a client in a namespace. It is the [hub.Conn] of its connection
// there, and safe for concurrent use.
type Socket struct {
	// static
	client    *client
	namespace *Namespace
	id        string
	member    *hub.Member // set before anybody but the reader has the socket

	auth string // JSON, or ""; guarded by client.mu

	phase   atomic.Uint32 // written with mu held
	nextAck uint32        // guarded by mu, as what follows it
	mu      sync.Mutex
	reason  Reason // why it left; "" before
	acks    map[uint64]*pendingAck
}

// ID is the public id of the socket, as the client knows it.
func (s *Socket) ID() string { return s.id }

// Namespace is where the socket is.
func (s *Socket) Namespace() *Namespace { return s.namespace }

// Session is the connection underneath.
func (s *Socket) Session() *engineio.Session { return s.client.session }

// Member is the socket's place in the hub: its user and its rooms. It is there
// in a middleware already: who is logged in there is online by the time that
// the client hears that it has joined. Nothing is delivered before.
func (s *Socket) Member() *hub.Member { return s.member }

// Handshake is what the client sent when it connected; nil once forgotten
// ([Options] ForgetHandshake) or after the connection ended.
func (s *Socket) Handshake() *Handshake {
	s.client.mu.Lock()
	defer s.client.mu.Unlock()
	return s.client.handshake
}

// Auth is the object that a client sends along when it joins a namespace
// (3.x and 4.x: auth; 1.x and 2.x: the query of the namespace), or nil, also
// once forgotten. The caller owns it.
func (s *Socket) Auth() json.RawMessage {
	s.client.mu.Lock()
	defer s.client.mu.Unlock()
	if s.auth == "" {
		return nil
	}
	return json.RawMessage(s.auth)
}

// Emit sends an event. It does not block. Its errors are those of the
// arguments, [ErrReserved], [ErrDisconnected] before the client has joined and
// after it left, and those of [engineio.Session.Send].
func (s *Socket) Emit(event string, args ...Arg) error {
	m, err := NewMessage(event, args...)
	if err != nil {
		return err
	}
	if !s.present() {
		return ErrDisconnected
	}
	return s.client.session.Send(s.namespace.prepared(m))
}

// Deliver implements [hub.Conn].
func (s *Socket) Deliver(m *hub.Message) error {
	if !s.present() {
		return hub.ErrGone // the client would ignore it
	}
	p := s.namespace.prepared(m)
	if p == nil {
		return ErrReserved
	}
	var err error
	if m.Volatile {
		var sent bool
		if sent, err = s.client.session.SendVolatile(p); err == nil && !sent {
			return hub.ErrSlow
		}
	} else {
		err = s.client.session.Send(p)
	}
	switch {
	case errors.Is(err, engineio.ErrQueueFull):
		return hub.ErrSlow
	case err != nil:
		return hub.ErrGone
	default:
		return nil
	}
}

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

// present reports whether the client is in the namespace, as far as it knows.
func (s *Socket) present() bool {
	p := s.phase.Load()
	if p == confirming { // the client may have read it already
		s.mu.Lock()
		p = s.phase.Load()
		s.mu.Unlock()
	}
	return p == entering || p == joined
}

// send sends a packet while the client is in the namespace.
func (s *Socket) send(p Packet, list []json.RawMessage, attachments [][]byte) error {
	if !s.present() {
		return ErrDisconnected
	}
	return s.write(p, list, attachments)
}

func (s *Socket) write(p Packet, list []json.RawMessage, attachments [][]byte) error {
	p.Namespace = s.namespace.name
	return s.client.session.Send(prepare(p, list, attachments))
}

// enter gives the socket its place in the hub.
func (s *Socket) enter() (err error) {
	s.member, err = s.namespace.hub.Connect(s)
	return err
}

// confirm tells the client that it has joined. It reports whether the socket is
// in its namespace now; not if the connection has ended.
func (s *Socket) confirm() bool {
	var data json.RawMessage
	if s.client.session.Revision() != engineio.Revision3 {
		data = JSON(map[string]string{"sid": s.id}).json
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.phase.Store(confirming)
	// On the list first: a Kick that finds it there waits for mu.
	if !s.client.add(s) || s.write(Packet{Type: PacketConnect, Data: data}, nil, nil) != nil {
		s.phase.Store(left)
		return false
	}
	s.phase.Store(entering)
	return true
}

// announce runs the functions of OnConnect, unless the socket has left
// already; if it leaves meanwhile, those of OnDisconnect come after them.
func (s *Socket) announce() {
	if !s.present() {
		return
	}
	defer func() {
		s.mu.Lock()
		gone := s.phase.Load() == left
		if !gone {
			s.phase.Store(joined)
		}
		s.mu.Unlock()
		if gone {
			s.namespace.disconnected(s, s.reason)
		}
	}()
	s.namespace.connected(s)
}

// leave ends the socket, the first time that it is called after the client has joined.
func (s *Socket) leave(reason Reason) {
	s.mu.Lock()
	before := s.phase.Load()
	if before != entering && before != joined {
		s.mu.Unlock()
		return
	}
	s.phase.Store(left)
	s.reason = reason // never written again
	acks := s.acks
	s.acks = nil
	s.mu.Unlock()

	if reason == ServerDisconnect {
		if err := s.write(Packet{Type: PacketDisconnect}, nil, nil); err != nil {
			s.client.server.log.Debug("a client could not be told that it was disconnected", "error", err)
		}
	}
	s.client.remove(s)
	s.member.Gone()
	for _, a := range acks {
		a.timer.Stop()
		s.settle(a, ErrDisconnected)
	}
	if before == joined { // else announce does it
		s.namespace.disconnected(s, reason)
	}
}

// receive handles a packet other than CONNECT.
func (s *Socket) receive(p Packet, attachments [][]byte) error {
	switch p.Type {
	case PacketEvent, PacketBinaryEvent:
		return s.event(p, attachments)
	case PacketAck, PacketBinaryAck:
		return s.ack(p, attachments)
	default: // DISCONNECT
		s.leave(ClientDisconnect)
		return nil
	}
}

func (s *Socket) event(p Packet, attachments [][]byte) error {
	list, err := SplitArray(p.Data)
	if err != nil {
		return err
	}
	var name string
	if err := json.Unmarshal(list[0], &name); err != nil {
		name = string(list[0]) // a number, which Node allows
	}
	h := s.namespace.handler(name)
	if h == nil || !s.present() {
		return nil
	}
	e := &Event{Socket: s, Name: name, Args: Args{list[1:], attachments}}
	if p.HasID {
		e.ackID, e.acked = p.ID, new(atomic.Bool)
	}
	h(e)
	return nil
}
