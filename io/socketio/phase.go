package socketio

import (
	"errors"

	"crier/io/engineio"
	"crier/io/hub"
)

// The phases of a socket.
const (
	joining    uint32 = iota // the middleware decides
	confirming               // the client is being told, with mu held
	entering                 // events can be sent; the functions of OnConnect run
	joined                   // they have returned
	left                     // nothing is sent any more; the functions of OnDisconnecting run
	gone                     // the hub has let go of it
)

// What the phase of a socket may have besides.
const (
	tracked   uint32 = 1 << 8 // it can be recovered
	recovered uint32 = 1 << 9 // it has been

	flags = tracked | recovered
)

// now returns the phase.
func (s *Socket) now() uint32 { return s.phase.Load() &^ flags }

// move changes the phase. Called with mu held.
func (s *Socket) move(to uint32) { s.phase.Store(s.phase.Load()&flags | to) }

// present reports whether the client is in the namespace, as far as it knows.
func (s *Socket) present() bool {
	if s.now() == confirming { // the client may have read it already
		s.mu.Lock()
		defer s.mu.Unlock()
	}
	return s.presentLocked()
}

func (s *Socket) presentLocked() bool {
	p := s.now()
	return p == entering || p == joined
}

// hasLeft reports whether the client has been told that it is out, or knows.
func (s *Socket) hasLeft() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now() >= left
}

// enter gives the socket its place in the hub. Clients of 1.x and 2.x that come
// back have the id they had, and so have those that recover; so it may have to
// wait for their last socket.
func (s *Socket) enter(recovers bool) error {
	for {
		err := s.namespace.hub.Enter(&s.member, s)
		if !errors.Is(err, hub.ErrDuplicateID) {
			return err
		}
		there, findErr := s.namespace.hub.Members(hub.Audience{Connections: []string{s.id}})
		if findErr != nil {
			return findErr
		}
		for _, m := range there {
			last, ok := m.Conn().(*Socket)
			if !ok || last.client != s.client && !recovers {
				return err
			}
			last.awaitGone()
		}
	}
}

// awaitGone waits for a socket that has left.
func (s *Socket) awaitGone() {
	s.mu.Lock()
	if s.now() == gone {
		s.mu.Unlock()
		return
	}
	end := s.ending()
	if end.gone == nil {
		end.gone = make(chan struct{})
	}
	wait := end.gone
	s.mu.Unlock()
	<-wait
}

// leaveHub gives its place in the hub back, which the client may come back for
// unless it, or the program, has ended the socket itself.
func (s *Socket) leaveHub(reason Reason) {
	if reason == ClientDisconnect || reason == ServerDisconnect {
		s.member.Gone()
	} else {
		s.member.Away(s.Data())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.move(gone)
	if s.rare != nil && s.rare.end != nil && s.rare.end.gone != nil {
		close(s.rare.end.gone)
		s.rare.end.gone = nil
	}
}

// forfeit ends a socket that nobody has been told of.
func (s *Socket) forfeit(reason Reason) {
	s.leaveHub(reason)
	s.namespace.server.leave(s.namespace)
}

// confirm tells the client that it has joined. It reports whether the socket is
// in its namespace now; not if the connection has ended.
func (s *Socket) confirm() bool {
	p := Packet{Type: PacketConnect, Namespace: s.namespace.name}
	var room [64]byte
	if s.client.session.Revision() != engineio.Revision3 {
		p.Data = append(append(append(room[:0], `{"sid":"`...), s.id...), `"}`...) // nothing in an id needs escaping
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.confirmLocked(func() error { return s.client.say(p, nil, nil) })
}

// confirmLocked has tell tell the client that it has joined.
func (s *Socket) confirmLocked(tell func() error) bool {
	s.move(confirming)
	// On the list first: a Kick that finds it there waits for mu.
	if !s.client.add(s) || tell() != nil {
		s.move(left)
		return false
	}
	s.move(entering)
	return true
}

// announce runs the functions of OnConnect, unless the socket has left
// already; if it leaves meanwhile, those of OnDisconnect come after them.
func (s *Socket) announce() {
	if !s.present() {
		s.mu.Lock()
		reason := s.rare.end.reason
		s.mu.Unlock()
		s.forfeit(reason)
		return
	}
	defer func() {
		s.mu.Lock()
		var reason Reason
		over := s.now() == left
		if over {
			reason = s.rare.end.reason
		} else {
			s.move(joined)
		}
		s.mu.Unlock()
		if over {
			s.depart(reason)
		}
	}()
	s.namespace.tellConnected(s)
}

// leave ends the socket, the first time that it is called after the client has joined.
func (s *Socket) leave(reason Reason) {
	s.mu.Lock()
	before := s.now()
	if before != entering && before != joined {
		s.mu.Unlock()
		return
	}
	s.move(left)
	var err error
	if reason == ServerDisconnect {
		err = s.write(Packet{Type: PacketDisconnect}, nil, nil)
	}
	// With mu held until now, so that neither a client that comes back at once
	// nor a Kick finds the socket half gone.
	s.client.remove(s)
	if before == entering {
		s.ending().reason = reason
	}
	var acks map[uint64]*pendingAck
	if s.rare != nil {
		acks, s.rare.acks = s.rare.acks, nil
	}
	s.mu.Unlock()

	if err != nil {
		s.client.server.log.Debug("a client could not be told that it was disconnected", "error", err)
	}
	for _, a := range acks {
		if a.timer != nil {
			a.timer.Stop()
		}
		s.settle(a, ErrDisconnected)
	}
	if before == joined { // else announce does it
		s.depart(reason)
	}
}

// depart runs the functions that belong to the end of the socket.
func (s *Socket) depart(reason Reason) {
	defer s.namespace.server.leave(s.namespace)
	s.namespace.tellDisconnecting(s, reason)
	s.leaveHub(reason)
	s.namespace.tellDisconnected(s, reason)
}
