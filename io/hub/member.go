package hub

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Conn is one connection, as its transport shows it to the hub. Its methods are called by many goroutines at once, also
// after [Member.Gone], by pushes that had begun before.
type Conn interface {
	// ID names the connection, unguessably, among all there are. It never changes.
	ID() string
	// Deliver takes the message or returns [ErrSlow] or [ErrGone]; nil means that it will be sent unless the connection
	// ends. It never blocks. A connection whose queue is full ends itself if it must; the hub only counts.
	Deliver(m *Message) error
	// Kick ends the connection in such a way that its client stays away. It does not wait for the end.
	Kick()
}

// Member is a connection's place in the hub. All its methods may be called by many goroutines at once.
type Member struct {
	// What is looked at for each message lies together.
	user    atomic.Pointer[user]  // written with mu held; nil while not logged in
	conn    Conn                  // static
	aside   atomic.Pointer[aside] // nil as long as there has been nothing of it
	heard   atomic.Uint64         // the number of the last message in the lane that it has been given, or beyond
	hearing sync.Mutex            // held while it is given what is in the lane: its Conn is called with it

	hub   *Hub       // static
	slot  int32      // in the list of everybody, or outside; guarded by its mu
	own   int32      // how many of rooms it has joined itself; in the others it is since its user is a member; ended at last; guarded by mu
	mu    sync.Mutex // taken before the mu of any shard
	rooms []*room    // guarded by mu
}

// ended is what own is once the connection has ended: a flag of its own would make every member larger.
const ended = -1

// gone tells whether the connection has ended. Called with mu held.
func (m *Member) gone() bool { return m.own == ended }

// aside is what few members have, or only for a while.
type aside struct {
	trail atomic.Pointer[trail]   // written with mu of the member held; nil unless it can be recovered
	mail  atomic.Pointer[mailbox] // nil while nothing of its user's inbox is under way
	turns atomic.Bool             // [Member.WillTrack]
}

// more returns what is aside, made if there has been nothing.
func (m *Member) more() *aside {
	if a := m.aside.Load(); a != nil {
		return a
	}
	m.aside.CompareAndSwap(nil, new(aside))
	return m.aside.Load()
}

// trail returns what the connection can be recovered by, or nil.
func (m *Member) trail() *trail {
	if a := m.aside.Load(); a != nil {
		return a.trail.Load()
	}
	return nil
}

// hasTurn tells whether the connection is given what several hubs are given in its turn, and not before.
func (m *Member) hasTurn() bool {
	a := m.aside.Load()
	return a != nil && (a.turns.Load() || a.trail.Load() != nil)
}

// mail returns the mailbox, or nil.
func (m *Member) mail() *mailbox {
	if a := m.aside.Load(); a != nil {
		return a.mail.Load()
	}
	return nil
}

// Conn returns the connection.
func (m *Member) Conn() Conn { return m.conn }

// UID returns the user the connection is logged in as, or "".
func (m *Member) UID() string {
	if u := m.user.Load(); u != nil {
		return u.uid
	}
	return ""
}

// Login binds the connection to the user uid. The first login wins: on a connection that is logged in, it changes nothing
// and returns nil; [Member.UID] tells who it is. What is stored for the user is delivered before anything newer. With an
// [Attendance] it waits for that, a second at most. It fails with [ErrBadUID], [ErrGone] or [ErrClosed].
func (m *Member) Login(uid string) error {
	if !validName(uid) {
		return ErrBadUID
	}
	if err := m.foretell(SpanUser, uid); err != nil {
		return err
	}
	err := m.login(uid)
	if err == nil {
		m.settleIn()
	}
	m.catchUp()
	return err
}

func (m *Member) login(uid string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.gone() {
		return ErrGone
	}
	if m.user.Load() != nil {
		return nil
	}
	since := m.hub.recovery.taken()
	if err := m.bind(uid); err != nil {
		return err
	}
	if m.hub.loginFirst {
		m.hub.indexes.everybody.enter(m)
	}
	m.noteLogin(m.UID(), since)
	for _, r := range m.rooms {
		m.hub.rooms.enter(r.name, m.UID())
	}
	for _, room := range m.hub.Memberships(uid) {
		if m.roomIndex(room) < 0 {
			m.enterRoom(room)
		}
	}
	return nil
}

// bind gives the member to the user. Called with mu held.
func (m *Member) bind(uid string) error {
	h := m.hub
	s := h.indexes.userShard(uid)
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.closed.Load() {
		return ErrClosed
	}
	u, _ := s.user(uid)
	m.openMailbox(uid) // while no push can find it as the user's
	u.members.add(m)
	m.user.Store(u)
	h.counter.connections.Add(1)
	u.trails = u.trails || m.trail() != nil
	if len(u.members.list) > 1 {
		h.presence.touch(u)
		return nil
	}
	h.counter.users.Add(1)
	if h.presence == nil {
		return nil
	}
	h.presence.arrive(u)
	return nil
}

// Logout unbinds the connection from its user; another login may follow. The connection stays in the rooms that it has
// joined itself, except with [Options].LoginFirst. A push to the user that has begun before may still reach the
// connection. It cannot be recovered any more. Without a login it does nothing.
func (m *Member) Logout() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.user.Load() == nil {
		return
	}
	m.forbidLocked()
	keep := int(m.own)
	if m.hub.loginFirst {
		m.hub.indexes.everybody.exit(m)
		keep = 0
	}
	m.leaveRooms(keep)
	m.unbind(CauseLogout)
	m.closeMailbox(false)
}

// Join puts the connection into the room. Joining twice changes nothing. It fails with [ErrBadRoom], [ErrGone] or
// [ErrLoginFirst].
func (m *Member) Join(room string) error {
	if !validName(room) {
		return ErrBadRoom
	}
	if err := m.foretell(SpanRoom, room); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.gone() {
		return ErrGone
	}
	if m.hub.loginFirst && m.user.Load() == nil {
		return ErrLoginFirst
	}
	i := m.roomIndex(room)
	known := i >= 0
	if !known {
		i = m.enterRoom(room)
	}
	if i >= int(m.own) {
		m.moveRoom(i, int(m.own))
		m.own++
		if known { // else it was foretold
			m.saveLocked()
		}
	}
	return nil
}

// Leave takes the connection out of the room, unless its user is a member of it ([Hub.AddMembership]). A push to the room
// that has begun before may still reach it. Without having joined it does nothing.
func (m *Member) Leave(room string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := m.roomIndex(room)
	if i < 0 || i >= int(m.own) {
		return
	}
	m.own--
	if u := m.user.Load(); u != nil && m.hub.isMember(u.uid, room) {
		m.moveRoom(i, len(m.rooms)-1)
	} else {
		m.leaveRoom(i)
	}
	m.saveLocked()
}

// enroll has the connection in the room since its user is a member of it, if that is uid. It reports whether it was not in
// the room.
func (m *Member) enroll(uid, room string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.UID() != uid || m.roomIndex(room) >= 0 {
		return false
	}
	m.enterRoom(room)
	return true
}

// expel undoes enroll, unless the connection has joined the room itself. It reports whether it has left.
func (m *Member) expel(uid, room string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := m.roomIndex(room)
	if m.UID() != uid || i < int(m.own) {
		return false
	}
	m.leaveRoom(i)
	m.saveLocked()
	return true
}

// Rooms returns the names of the rooms the connection is in: those that it has joined itself, in the order of that, before
// those that its user is a member of.
func (m *Member) Rooms() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	names := make([]string, len(m.rooms))
	for i, r := range m.rooms {
		names[i] = r.name
	}
	return names
}

// Gone says that the connection has ended for good: it leaves its user, its rooms and the hub, and its id is free again.
// Calling it again does nothing.
func (m *Member) Gone() { m.leave(false, nil) }

// Away is Gone for a connection that was lost. If it can be recovered ([Member.Track]), its client may come back with another
// one within [Recovery].Window, which is then handed kept ([Past.Kept]).
func (m *Member) Away(kept any) { m.leave(true, kept) }

func (m *Member) leave(back bool, kept any) {
	id := m.conn.ID()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.gone() {
		return
	}
	if t := m.trail(); t != nil {
		b := m.mail()
		m.withdraw(t)
		m.hub.recovery.depart(m, t, b, back && !b.behindhand(), kept)
		m.more().trail.Store(nil) // what follows is no part of it
		defer m.hub.recovery.departed(t)
	}
	m.unbind(CauseDisconnect)
	m.closeMailbox(true)
	m.leaveRooms(0)
	m.own = ended
	m.hub.indexes.everybody.exit(m)
	m.hub.indexes.connShard(id).remove(id)
	m.hub.counter.sockets.Add(-1)
}

// enterRoom puts the member into a room that it is not in, the last of its rooms, and returns the index of that. Called with
// mu held.
func (m *Member) enterRoom(name string) int {
	since := m.hub.recovery.taken()
	r := m.hub.indexes.roomShard(name).join(name, m)
	m.rooms = append(m.rooms, r)
	m.noteBegin(SpanRoom, r.name, since)
	if u := m.user.Load(); u != nil {
		m.hub.rooms.enter(r.name, u.uid)
	}
	return len(m.rooms) - 1
}

// leaveRoom takes the member out of one of its rooms. Called with mu held.
func (m *Member) leaveRoom(i int) {
	r := m.rooms[i]
	m.hub.indexes.roomShard(r.name).leave(r, m)
	m.noteEnd(SpanRoom, r.name)
	if u := m.user.Load(); u != nil {
		m.hub.rooms.exit(r.name, u.uid, false)
	}
	if m.rooms = slices.Delete(m.rooms, i, i+1); len(m.rooms) == 0 {
		m.rooms = nil
	}
}

// leaveRooms takes the member out of all rooms but the first so many. Called with mu held.
func (m *Member) leaveRooms(keep int) {
	m.own = min(m.own, int32(keep))
	for i := len(m.rooms) - 1; i >= keep; i-- {
		m.leaveRoom(i)
	}
}

// moveRoom gives one of the member's rooms another place among them. Called with mu held.
func (m *Member) moveRoom(from, to int) {
	r := m.rooms[from]
	m.rooms = slices.Insert(slices.Delete(m.rooms, from, from+1), to, r)
}

// unbind takes the member from its user, if it has one. Called with mu held.
func (m *Member) unbind(cause string) {
	u := m.user.Load()
	if u == nil {
		return
	}
	m.user.Store(nil)
	h := m.hub
	for _, r := range m.rooms {
		h.rooms.exit(r.name, u.uid, cause == CauseDisconnect)
	}
	s := h.indexes.userShard(u.uid)
	s.mu.Lock()
	defer s.mu.Unlock()
	u.members.remove(m)
	m.noteLogout(u.uid)
	h.counter.connections.Add(-1)
	if len(u.members.list) > 0 {
		h.presence.touch(u)
		return
	}
	h.counter.users.Add(-1)
	if h.presence == nil || u.flushed {
		delete(s.byUID, u.uid)
		return
	}
	u.departure = h.presence.depart(u, cause)
	h.presence.touch(u)
}

// roomIndex finds the room among the member's, or returns -1. Called with mu held.
func (m *Member) roomIndex(name string) int {
	return slices.IndexFunc(m.rooms, func(r *room) bool { return r.name == name })
}
