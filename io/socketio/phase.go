package socketio

import (
	"encoding/json"
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

// present reports whether the client is in the namespace, as far as it knows.
func (s *Socket) present() bool {
	if s.phase.Load() == confirming { // the client may have read it already
		s.mu.Lock()
		defer s.mu.Unlock()
	}
	return s.presentLocked()
}

func (s *Socket) presentLocked() bool {
	p := s.phase.Load()
	return p == entering || p == joined
}

// hasLeft reports whether the client has been told that it is out, or knows.
func (s *Socket) hasLeft() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.phase.Load() >= left
}

// enter gives the socket its place in the hub. Clients of 1.x and 2.x that come
// back have the id they had, so it may have to wait for their last socket.
func (s *Socket) enter() error {
	for {
		var err error
		s.member, err = s.namespace.hub.Connect(s)
		if !errors.Is(err, hub.ErrDuplicateID) {
			return err
		}
		there, findErr := s.namespace.hub.Members(hub.Audience{Connections: []string{s.id}})
		if findErr != nil {
			return findErr
		}
		for _, m := range there {
			last, ok := m.Conn().(*Socket)
			if !ok || last.client != s.client {
				return err
			}
			last.awaitGone()
		}
	}
}

// awaitGone waits for a socket that has left.
func (s *Socket) awaitGone() {
	s.mu.Lock()
	if s.phase.Load() == gone {
		s.mu.Unlock()
		return
	}
	more := s.more()
	if more.gone == nil {
		more.gone = make(chan struct{})
	}
	wait := more.gone
	s.mu.Unlock()
	<-wait
}

// leaveHub gives its place in the hub back.
func (s *Socket) leaveHub() {
	s.member.Gone()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.phase.Store(gone)
	if s.rare != nil && s.rare.gone != nil {
		close(s.rare.gone)
		s.rare.gone = nil
	}
}

// forfeit ends a socket that nobody has been told of.
func (s *Socket) forfeit() {
	s.leaveHub()
	s.namespace.server.leave(s.namespace)
}

// confirm tells the client that it has joined. It reports whether the socket is
// in its namespace now; not if the connection has ended.
func (s *Socket) confirm() bool {
	var data json.RawMessage
	if s.client.session.Revision() != engineio.Revision3 {
		data = json.RawMessage(`{"sid":"` + s.id + `"}`) // nothing in an id needs escaping
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
		s.forfeit()
		return
	}
	defer func() {
		s.mu.Lock()
		var reason Reason
		over := s.phase.Load() == left
		if over {
			reason = s.rare.reason
		} else {
			s.phase.Store(joined)
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
	before := s.phase.Load()
	if before != entering && before != joined {
		s.mu.Unlock()
		return
	}
	s.phase.Store(left)
	var err error
	if reason == ServerDisconnect {
		err = s.write(Packet{Type: PacketDisconnect}, nil, nil)
	}
	// With mu held until now, so that neither a client that comes back at once
	// nor a Kick finds the socket half gone.
	s.client.remove(s)
	if before == entering {
		s.more().reason = reason
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
	s.leaveHub()
	s.namespace.tellDisconnected(s, reason)
}
