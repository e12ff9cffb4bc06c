package hub

import (
	"slices"
	"time"
)

// Shared keeps sessions, by which clients are recovered, for several hubs that are one server: what the client of one has
// left behind, another one finds. Positions are then those of the order that the hubs have in common ([Hub.Receive]). Its
// methods are called by many goroutines at once, those that do not wait with locks held.
type Shared interface {
	// Save keeps a session in place of what was kept of it, unless another hub has taken it over. It does not wait; what is
	// saved of one session later is kept later. saved, unless nil, is called once and must be quick: with nil as soon as a
	// hub that takes the session over finds what was saved.
	Save(s *Recoverable, saved func(error))
	// Forget ends a session, unless another hub has taken it over. It does not wait.
	Forget(pid string)
	// Up tells whether something can be saved now.
	Up() bool
	// Owner returns who is logged in in a session, "" for nobody.
	Owner(pid string) (uid string, there bool)
	// Claim has the hub have a session, and nobody else. If it is mine, which the hub says that thinks so, that may be
	// confirmed; otherwise it is taken away from the hub that has it ([Hub.Expel]), and Claim returns when [Hub.TakeOver]
	// has been called. It waits, and fails if there is nothing to be had, or somebody else is at it.
	Claim(pid string, mine bool) error
	// Replay returns what was pushed at the positions after < p ≤ until and can have been for the client of the session. It
	// waits, and fails if something may be missing.
	Replay(s *Recoverable, after, until Position) (*Replay, error)
}

// Replay is what a [Shared] has of a while.
type Replay struct {
	// Changes are in order.
	Changes []Change
	// Find returns the messages that can be for one of the spans, in order; some may be for others. It fails if one may be
	// missing.
	Find func(spans []Span) ([]*Logged, error)
}

// Change is something that was ordered by a caller and is no message: that connections are disconnected, or that a user has
// become a member of a room, or is none any more.
type Change struct {
	At         Position
	Disconnect *Audience // nil if it is about a membership
	UID, Room  string
	Added      bool
}

// Recoverable is a session: what a client is recovered by.
type Recoverable struct {
	// PID names it, and is known to the client alone.
	PID string
	// ID is that of its connection, and UID the user, "" without a login.
	ID, UID string
	// Own are the rooms that the connection has joined itself.
	Own []string `json:",omitempty"`
	// Start is where it began. Of what was pushed up to Left, and is for it, the last has the position Last.
	Start, Last, Left Position
	// Inbox is the position up to which it was given what is stored for its user without being told positions.
	Inbox Position `json:",omitempty"`
	// Spans say what it belonged to, and when.
	Spans []Span
	// Path is for the [Shared].
	Path string `json:",omitempty"`
}

// patience is how long a change of a session may take to be saved, before it is made, and who has claimed one to take its place.
const patience = time.Second

// sessionLocked returns what is to be saved of a connection. Called with the member's mu held.
func (m *Member) sessionLocked(t *trail) *Recoverable {
	s := t.session()
	s.ID, s.UID, s.Left = m.conn.ID(), m.UID(), m.hub.recovery.taken()
	s.Last = Position(t.last.Load()) // behind taken: whoever raises that has raised this before
	s.Own = make([]string, max(m.own, 0))
	for i := range s.Own {
		s.Own[i] = m.rooms[i].name
	}
	return s
}

// session returns what a trail has of it.
func (t *trail) session() *Recoverable {
	return &Recoverable{
		PID: t.pid, ID: t.id, UID: t.uid, Own: t.own, Start: t.start, Last: Position(t.last.Load()), Left: t.left, Inbox: t.inbox,
		Spans: slices.Clone(t.spans), Path: t.path,
	}
}

// newTrail undoes session.
func newTrail(s *Recoverable) *trail {
	t := &trail{pid: s.PID, start: s.Start, spans: slices.Clone(s.Spans), id: s.ID, uid: s.UID, own: s.Own, left: s.Left, inbox: s.Inbox, path: s.Path}
	t.last.Store(uint64(s.Last))
	return t
}

// saveLocked saves what has changed, if others have it. Called with the member's mu held.
func (m *Member) saveLocked() {
	r := m.hub.recovery
	t := m.trail()
	if r != nil && r.Shared != nil && t != nil && !t.unshared && !t.over {
		r.Shared.Save(m.sessionLocked(t), nil)
	}
}

// Shared reports whether other hubs can take the connection up, which are told of a login and of a room before they are.
func (m *Member) Shared() bool {
	r := m.hub.recovery
	return r != nil && r.Shared != nil && m.trail() != nil
}

// foretell has the connection belong to something in the eyes of other hubs before it does, so that none can come to think
// that it has missed nothing there. What cannot be saved must not be: the connection ends, for its client to come back as a
// new one. It returns [ErrGone] then. Called without locks.
func (m *Member) foretell(kind SpanKind, name string) error {
	if !m.Shared() {
		return nil
	}
	r := m.hub.recovery
	m.mu.Lock()
	t := m.trail()
	without := m.user.Load() == nil
	refused := kind == SpanUser && !without || kind == SpanRoom && without && m.hub.loginFirst
	if refused || t == nil || t.over || t.unshared || t.find(kind, name) >= 0 {
		m.mu.Unlock()
		return nil
	}
	t.begin(kind, name, r.taken())
	if kind == SpanUser && m.hub.inbox != nil { // nothing of that has come yet, and whatever is kept has to, before anything newer
		t.inbox = open
	}
	s := m.sessionLocked(t)
	if kind == SpanUser {
		s.UID = name
		if m.hub.loginFirst && t.find(SpanEverybody, "") < 0 {
			s.Spans = append(s.Spans, Span{SpanEverybody, "", r.taken(), open})
		}
	} else {
		s.Own = append(s.Own, name)
	}
	saved := make(chan error, 1)
	r.Shared.Save(s, func(err error) { saved <- err })
	m.mu.Unlock()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case err := <-saved:
		if err == nil {
			return nil
		}
		m.hub.log.Debug("a client has to come back, since what it belongs to could not be noted for others", "error", err)
	case <-timer.C:
	}
	m.forbid()
	m.sendBack()
	return ErrGone
}

// withdraw takes back what was foretold and has not come to be, since the connection has ended before: what is for that is not for its client. Called with
// the member's mu held, before it leaves what it belongs to.
func (m *Member) withdraw(t *trail) {
	t.spans = slices.DeleteFunc(t.spans, func(s Span) bool { return s.Until == open && !m.belongs(s) })
}

// belongs tells whether the connection is in what the span is about. Called with the member's mu held.
func (m *Member) belongs(s Span) bool {
	switch s.Kind {
	case SpanUser:
		return s.Name == m.UID()
	case SpanRoom:
		return m.roomIndex(s.Name) >= 0
	default:
		return m.UID() != "" || !m.hub.loginFirst
	}
}

// Returner is a [Conn] that can be ended so that its client comes back.
type Returner interface {
	Conn
	// SendBack ends the connection in such a way that its client comes back. It does not wait for the end.
	SendBack()
}

// sendBack ends the connection, for its client to come back.
func (m *Member) sendBack() {
	switch c := m.conn.(type) {
	case Returner:
		c.SendBack()
	case Confirmer:
		c.Drop()
	default:
		c.Kick()
	}
}

// Tracks calls fn for each connection here that can be recovered: Last and Left of its session are as they are now, and
// nothing else is set but its PID.
func (h *Hub) Tracks(fn func(Recoverable)) {
	r := h.recovery
	if r == nil {
		return
	}
	r.mu.Lock()
	left := r.taken()
	list := make([]*trail, 0, len(r.here))
	for _, m := range r.here {
		if t := m.trail(); t != nil {
			list = append(list, t)
		}
	}
	r.mu.Unlock()
	for _, t := range list {
		fn(Recoverable{PID: t.pid, Last: Position(t.last.Load()), Left: left})
	}
}

// SaveSession saves a session of this hub once more, because what was saved is not there any more, or never was.
func (h *Hub) SaveSession(pid string) {
	r := h.recovery
	if r == nil {
		return
	}
	r.mu.Lock()
	if t := r.away.byPID[pid]; t != nil {
		t.unshared = false
		r.share(t)
	}
	m := r.here[pid]
	r.mu.Unlock()
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if t := m.trail(); t != nil && t.pid == pid {
		t.unshared = false
		m.saveLocked()
	}
}

// Passed says that everything up to a position that has come from other hubs has been carried out.
func (h *Hub) Passed(at Position) {
	r := h.recovery
	if r == nil || r.taken() >= at {
		return
	}
	r.baton.with(func() {
		if r.current() < at {
			r.begun.Store(uint64(at))
			r.ended.Store(uint64(at))
		}
	})
}

// hasAway tells whether a session is that of a client which is away from here.
func (r *recovery) hasAway(pid string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.away.byPID[pid] != nil
}

// TakeOver says that this hub has a session from now on: its client is away until it is recovered, like one that was
// connected here. at is the position of that; everything before has been received.
func (h *Hub) TakeOver(at Position, s *Recoverable) {
	r := h.recovery
	if r == nil {
		return
	}
	r.baton.with(func() {
		r.begun.Store(uint64(at))
		r.adopt(at, s, h.Memberships(s.UID))
		r.ended.Store(uint64(at))
	})
}

// adopt files the trail of a client that was somewhere else. Called with the baton.
func (r *recovery) adopt(at Position, s *Recoverable, rooms []string) {
	t := newTrail(s)
	t.origin = s
	t.base, t.until = at, time.Now().Add(r.Window)
	for i := range t.spans { // what it became or ceased to be a member of while nobody was there who could note it
		one := &t.spans[i]
		if one.Kind == SpanRoom && one.Until == open && !slices.Contains(t.own, one.Name) && !slices.Contains(rooms, one.Name) {
			one.Until = at
		}
	}
	for _, room := range rooms {
		if t.find(SpanRoom, room) < 0 {
			t.begin(SpanRoom, room, at)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.here[t.pid] != nil || r.away.byPID[t.pid] != nil {
		return
	}
	if r.away.order == nil {
		r.wake(r.Window)
	}
	r.tracked.Add(1)
	r.release(r.away.add(t, r.MaxBytes))
}

// Expel says that another hub has taken a session over. A connection that is still there ends: nobody hears it any more.
func (h *Hub) Expel(pid string) {
	r := h.recovery
	if r == nil {
		return
	}
	r.mu.Lock()
	if t := r.away.byPID[pid]; t != nil && r.away.remove(t) {
		r.release(1)
	}
	m := r.here[pid]
	r.mu.Unlock()
	if m != nil && m.disown(pid) {
		m.sendBack()
	}
}

// disown takes a session away from its connection, which is given nothing any more. It reports whether that had it.
func (m *Member) disown(pid string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.trail()
	if t == nil || t.pid != pid {
		return false
	}
	r := m.hub.recovery
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.here, pid)
	r.moves.Add(1)
	r.release(1)
	m.more().trail.Store(nil)
	return true
}

// Interrupt says that something may have been lost that was for anybody: nobody who has been here until now is recovered.
// Clients that could be are sent away, and come back as new ones. Offsets begin with epoch from now on, unless it is empty. It
// returns how many sessions have ended.
func (h *Hub) Interrupt(epoch string) (sessions int) {
	r := h.recovery
	if r == nil {
		return 0
	}
	var here []*Member
	r.baton.with(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, m := range r.here {
			here = append(here, m)
		}
		sessions = len(here) + len(r.away.byPID)
		for _, t := range r.away.byPID {
			r.forget(t.pid)
			r.away.remove(t)
			r.tracked.Add(-1)
		}
		r.log.Forget(r.current())
		r.oldest.Store(r.begun.Load())
		if epoch != "" {
			r.memory.epoch = epoch
		}
	})
	for _, m := range here {
		m.forbid()
		m.sendBack()
	}
	return sessions
}

// forget ends a session in the eyes of others.
func (r *recovery) forget(pid string) {
	if r.Shared != nil {
		r.Shared.Forget(pid)
	}
}
