package socketio

import (
	"context"
	"errors"
	"slices"

	"crier/io/hub"
)

// Broadcast says whom an event is for: sockets of one namespace. It begins with
// [Namespace.All], [Namespace.To] and their like, or with [Socket.Broadcast];
// its methods return others and change nothing, so it can be kept and used by
// many goroutines. A socket that is meant in several ways is one socket.
//
// Rooms, users and socket ids are three separate name spaces: a room that has
// the name of an id or of a user is still a room. Its methods fail with
// [hub.ErrBadRoom] or [hub.ErrBadUID] where a name cannot be one at all; names
// that nobody has mean nobody, and so does a list without names.
type Broadcast struct {
	namespace *Namespace
	all       bool // everybody, unless somebody is named
	to        hub.Audience
	except    hub.Audience
	volatile  bool
}

// All means everybody in the namespace.
func (n *Namespace) All() Broadcast { return Broadcast{namespace: n, all: true} }

// To means the sockets in at least one of the rooms.
func (n *Namespace) To(rooms ...string) Broadcast { return n.All().To(rooms...) }

// ToUser means the sockets that are logged in as one of the users.
func (n *Namespace) ToUser(uids ...string) Broadcast { return n.All().ToUser(uids...) }

// ToSocket means the sockets with these ids.
func (n *Namespace) ToSocket(ids ...string) Broadcast { return n.All().ToSocket(ids...) }

// Except means everybody but the sockets in the rooms.
func (n *Namespace) Except(rooms ...string) Broadcast { return n.All().Except(rooms...) }

// Broadcast means everybody in the namespace but s.
func (s *Socket) Broadcast() Broadcast { return s.namespace.All().ExceptSocket(s.id) }

// To means the sockets in at least one of the rooms, without s.
func (s *Socket) To(rooms ...string) Broadcast { return s.Broadcast().To(rooms...) }

// To adds the sockets in the rooms.
func (b Broadcast) To(rooms ...string) Broadcast {
	b.all = false
	b.to.Rooms = slices.Concat(b.to.Rooms, rooms)
	return b
}

// ToUser adds the sockets that are logged in as one of the users.
func (b Broadcast) ToUser(uids ...string) Broadcast {
	b.all = false
	b.to.Users = slices.Concat(b.to.Users, uids)
	return b
}

// ToSocket adds the sockets with these ids.
func (b Broadcast) ToSocket(ids ...string) Broadcast {
	b.all = false
	b.to.Connections = slices.Concat(b.to.Connections, ids)
	return b
}

// Except leaves out the sockets in the rooms, however they were added.
func (b Broadcast) Except(rooms ...string) Broadcast {
	b.except.Rooms = slices.Concat(b.except.Rooms, rooms)
	return b
}

// ExceptUser leaves out the sockets that are logged in as one of the users.
func (b Broadcast) ExceptUser(uids ...string) Broadcast {
	b.except.Users = slices.Concat(b.except.Users, uids)
	return b
}

// ExceptSocket leaves out the sockets with these ids.
func (b Broadcast) ExceptSocket(ids ...string) Broadcast {
	b.except.Connections = slices.Concat(b.except.Connections, ids)
	return b
}

// Volatile lets the event be dropped for sockets that cannot take it at once.
func (b Broadcast) Volatile() Broadcast {
	b.volatile = true
	return b
}

// audience is whom b means, as the hub says it.
func (b Broadcast) audience() hub.Audience {
	a := b.to
	a.All = b.all
	if len(b.except.Rooms)+len(b.except.Users)+len(b.except.Connections) > 0 {
		a.Except = &b.except
	}
	return a
}

// Emit sends an event, encoded once, to everybody meant. It does not block. The
// result says how many were meant and how many of them took it; to send to
// nobody is no error. Errors are those of [NewMessage] and names, and
// [hub.ErrClosed]; then nobody got anything.
func (b Broadcast) Emit(event string, args ...Arg) (hub.Result, error) {
	m, err := NewMessage(event, args...)
	if err != nil {
		return hub.Result{}, err
	}
	m.Volatile = b.volatile
	// No context: Push never waits.
	return b.namespace.hub.Push(context.Background(), hub.Push{To: b.audience(), Message: m})
}

// FetchSockets returns the sockets that are meant, in no order. Not among them
// are those that have not joined yet, or are leaving.
func (b Broadcast) FetchSockets() ([]*Socket, error) {
	members, err := b.namespace.hub.Members(b.audience())
	if err != nil {
		return nil, err
	}
	list := make([]*Socket, 0, len(members))
	for _, m := range members {
		// A hub of the program's own may have connections of other kinds.
		if s, ok := m.Conn().(*Socket); ok && s.namespace == b.namespace && s.present() {
			list = append(list, s)
		}
	}
	return list, nil
}

// SocketsJoin puts the sockets that are meant into the rooms.
func (b Broadcast) SocketsJoin(rooms ...string) error {
	return b.each(func(s *Socket) error { return s.Join(rooms...) })
}

// SocketsLeave takes the sockets that are meant out of the rooms.
func (b Broadcast) SocketsLeave(rooms ...string) error {
	return b.each(func(s *Socket) error {
		s.Leave(rooms...)
		return nil
	})
}

// DisconnectSockets calls [Socket.Disconnect] of the sockets that are meant.
func (b Broadcast) DisconnectSockets() error {
	return b.each(func(s *Socket) error {
		s.Disconnect()
		return nil
	})
}

// each calls do until it fails. Who has left meanwhile is no failure.
func (b Broadcast) each(do func(*Socket) error) error {
	list, err := b.FetchSockets()
	if err != nil {
		return err
	}
	for _, s := range list {
		if err := do(s); err != nil && !errors.Is(err, hub.ErrGone) {
			return err
		}
	}
	return nil
}
