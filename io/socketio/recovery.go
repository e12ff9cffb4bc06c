package socketio

import (
	"encoding/json"
	"errors"
	"slices"

	"crier/io/engineio"
	"crier/io/hub"
)

// Recovery says which clients can recover their connections: one of 4.6 or
// later that has lost its connection comes back as the same socket, with its
// id, user, rooms and Data, is sent what it has missed, and says so in its
// property recovered. [Socket.Recovered] says it here.
//
// Every event to such a client has one argument more, the last: the offset that
// it sends back. Handlers of the page see it, so by default only clients that
// say {recovery: true} in auth, or recovery=1 in the query, are among them.
type Recovery struct {
	// Recovery is for the hubs that the server makes, one for each namespace:
	// how long clients can be away, and how much is kept; Restore is of no use to
	// them. A hub that is given as [Options] Hub has its own Recovery, or none, and
	// then nobody in its namespace can recover.
	hub.Recovery
	// All makes all clients of 3.x and 4.x such clients.
	All bool
	// Allow is asked whether a client that comes back may go on where it was,
	// after the middleware has let it in: it has the id and the Data of the
	// socket that it was. If not, it joins as a new one, and the middleware is
	// asked again. The same goes for who is another user now, or, with
	// hub.Options.LoginFirst, has not been logged in by the middleware. Nil: it may.
	Allow func(*Socket, *hub.Past) bool
}

// wish is what a client asks for when it joins a namespace.
type wish struct {
	track       bool
	pid, offset string
}

// wishOf reads what the official client sends along: pid and offset, if it has
// had a connection that could be recovered.
func (c *client) wishOf(n *Namespace, auth json.RawMessage) (w wish) {
	o := c.server.opts.Recovery
	if o == nil || !n.hub.Recovers() || c.session.Revision() == engineio.Revision3 {
		return wish{}
	}
	said := false
	if len(auth) > 0 {
		var asked struct{ Recovery, PID, Offset any }
		if json.Unmarshal(auth, &asked) != nil {
			return wish{}
		}
		w.pid, _ = asked.PID.(string)
		w.offset, _ = asked.Offset.(string)
		said = asked.Recovery == true
	}
	inQuery, _ := c.queryValue("recovery")
	w.track = o.All || said || inQuery == "1"
	return w
}

// claim returns what the client's last socket in the namespace has left behind;
// nil if it cannot be recovered. If the server has not yet noticed that the
// connection of that socket is lost, it is now.
func (n *Namespace) claim(w wish) *hub.Past {
	if !w.track || w.pid == "" {
		return nil
	}
	conn, _ := n.hub.Tracked(w.pid)
	if last, ok := conn.(*Socket); ok {
		last.client.session.Close()
		last.awaitGone()
	}
	return n.hub.Claim(w.pid, w.offset)
}

// resumable reports whether s may go on where the socket was that it replaces.
func (s *Socket) resumable(p *hub.Past) bool {
	if uid := s.member.UID(); uid != "" && uid != p.UID() {
		return false
	}
	allow := s.client.server.opts.Recovery.Allow
	return allow == nil || allow(s, p)
}

// Recovered reports whether the client has come back to the socket that it had
// before, and has been sent what it had missed.
func (s *Socket) Recovered() bool { return s.phase.Load()&recovered != 0 }

// tracked reports whether the client can recover, and so gets offsets.
func (s *Socket) tracked() bool { return s.phase.Load()&tracked != 0 }

// begin returns the function that tells a client that can recover that it has
// joined, and what it has missed, in one go: a queue takes that, however large it is.
func (s *Socket) begin(kind uint32) func(hub.Beginning) error {
	return func(b hub.Beginning) error {
		list := make([]*engineio.Prepared, 0, 1+len(b.Missed))
		// Nothing in an id needs escaping.
		list = append(list, prepare(Packet{
			Type: PacketConnect, Namespace: s.namespace.name,
			Data: json.RawMessage(`{"sid":"` + s.id + `","pid":"` + b.PID + `"}`),
		}, nil, nil))
		for _, m := range b.Missed {
			list = append(list, s.namespace.stamped(m))
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.more().offset = b.Offset
		s.phase.Store(joining | kind)
		if !s.confirmLocked(func() error { return s.client.session.Send(engineio.Join(list...)) }) {
			return ErrDisconnected
		}
		return nil
	}
}

// deliverInOrder is Deliver for a client that can recover: its offset must never
// go back, so events and their offsets are sent with mu held.
func (s *Socket) deliverInOrder(m *hub.Message) error {
	switch {
	case reservedName(m.Event):
		return ErrReserved
	case m.Offset() == "" && m.Late():
		err := s.sendEvent(Packet{}, m, prepared(func(p *engineio.Prepared) error { return s.give(p, false) }))
		if errors.Is(err, ErrDisconnected) {
			err = hub.ErrGone
		}
		return err
	case m.Offset() == "":
		return hub.ErrGone // it was on its way before the client joined
	}
	p := s.namespace.stamped(m)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.presentLocked() {
		return hub.ErrGone
	}
	err := s.give(p, m.Volatile)
	if err == nil {
		s.rare.offset = m.Offset()
	}
	return err
}

// sender sends an event in a packet.
type sender func(p Packet, event string, args []json.RawMessage, attachments [][]byte) error

// prepared is the sender that has the packet encoded for send.
func prepared(send func(*engineio.Prepared) error) sender {
	return func(p Packet, event string, args []json.RawMessage, attachments [][]byte) error {
		return send(prepareEvent(p, event, args, attachments))
	}
}

// sendEvent sends an event, with the offset of the last one that the hub has
// delivered if the client wants that.
func (s *Socket) sendEvent(p Packet, m *hub.Message, send sender) error {
	p.Type, p.Namespace = PacketEvent, s.namespace.name
	if !s.tracked() {
		if !s.present() {
			return ErrDisconnected
		}
		return send(p, m.Event, argsOf(m), m.Attachments)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.presentLocked() {
		return ErrDisconnected
	}
	return send(p, m.Event, append(slices.Clip(argsOf(m)), quoted(s.rare.offset)), m.Attachments)
}

// stampedKey is the key of a message with its offset, beside that of it without.
type stampedKey struct{ *Namespace }

// stamped is prepared for clients that can recover. The name must be one that
// clients take.
func (n *Namespace) stamped(m *hub.Message) *engineio.Prepared {
	p, ok := m.Encoded(stampedKey{n}, func(m *hub.Message) any {
		p := Packet{Type: PacketEvent, Namespace: n.name}
		if m.Ask() != nil {
			p.ID, p.HasID = n.ask(m).id, true
		}
		return prepare(p, append(listOf(m), quoted(m.Offset())), m.Attachments)
	}).(*engineio.Prepared)
	if !ok { // the key is this namespace's own
		panic("socketio: foreign value under a namespace's key")
	}
	return p
}
