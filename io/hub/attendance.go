package hub

import (
	"slices"
	"time"
)

// attendWait is how long a login waits for the [Attendance], and for what was pushed before it is there.
const attendWait = time.Second

// Attendance is what several hubs that are to be one have in common: each says in it who is with it, so that the others
// find them. It decides who is online and who is not, which no hub can by itself.
type Attendance interface {
	// Attend takes the place of [Options.Presence], and is called as that is. It is also told, by a change with Online set
	// like the one before it, when only the Connections of a user, or Trails, are other than it was told; none of the
	// changes has a Version. With an error it must have taken none of them, for certain. That somebody has gone of whom it does
	// not know is nothing to it. What is pushed at positions behind
	// the one that it returns reaches this hub if it is for one of the users that the changes have added; 0: they have added none.
	Attend(changes []PresenceChange) (at Position, err error)
	// Reachable tells whether a login should wait for it.
	Reachable() bool
}

// standing is what the Attendance of a hub has last taken of a user, beside told.
type standing struct {
	trails      bool // a connection that can be recovered was there, since the user came
	toldTrails  bool
	toldConnect uint16 // capped
}

// connections is how many a user has, capped to what the Attendance is told. Called with the shard's mu held.
func (u *user) connections() uint16 { return uint16(min(len(u.members.list), 1<<16-1)) }

// stands tells whether the Attendance has been told what there is to tell of a user who is present. Called with the shard's mu held.
func (u *user) stands() bool { return u.connections() == u.toldConnect && u.trails == u.toldTrails }

// reached tells whether what is for the user comes to this hub, and to trails if there is to be one. Called with the shard's
// mu held.
func (u *user) reached(trail bool) bool {
	return u.told && !u.ebb && u.toldConnect > 0 && (u.toldTrails || !trail)
}

// touch says that the standing of a user may have changed. Called with the mu of u's shard held.
func (p *presence) touch(u *user) {
	if p == nil || p.attendance == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.touchLocked(u)
}

// touchLocked makes u pending, unless run has the user in hand.
func (p *presence) touchLocked(u *user) {
	if u.dirty {
		return
	}
	u.dirty = true
	if p.arrivals = append(p.arrivals, u); len(p.arrivals) == 1 {
		p.signal()
	}
}

// compareStanding is compare for an Attendance.
func (p *presence) compareStanding(s *userShard, u *user, now time.Time) {
	present := u.present()
	if present == u.told && (present && u.stands() || !present && p.trouble.n > 0) {
		u.dirty, u.ebb = false, false
		if !present {
			delete(s.byUID, u.uid)
		}
		return
	}
	at := func(since time.Duration) time.Time { return now.Add(since - now.Sub(p.start)) }
	one := subject{user: u, online: present, trails: u.trails, connections: u.connections()}
	u.ebb = one.connections == 0
	if present || !u.told {
		p.changes = append(p.changes, PresenceChange{
			UID: u.uid, Online: true, Connections: int(one.connections), Trails: one.trails, Time: at(u.arrived),
		})
	}
	if !present {
		p.changes = append(p.changes, PresenceChange{UID: u.uid, Cause: u.departure.cause, Trails: one.trails, Time: at(u.departure.due)})
	}
	p.subjects = append(p.subjects, one)
}

// settleStanding is settle for an Attendance, which has taken the changes at a position. list is what lists was before.
func (p *presence) settleStanding(one subject, at Position, list uint64) {
	u := one.user
	s := p.indexes.userShard(u.uid)
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.lists.Load() != list { // it may have forgotten it
		p.pending = append(p.pending, u)
		return
	}
	u.told, u.ebb, u.toldTrails, u.toldConnect = one.online, false, one.trails, one.connections
	present := u.present()
	u.dirty = present && (!u.told || !u.stands())
	switch {
	case u.dirty:
		p.pending = append(p.pending, u)
	case !u.told:
		delete(s.byUID, u.uid)
	}
	if u.told && u.toldConnect > 0 {
		p.attended(u.uid, at)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.settled = max(p.settled, at)
	waits := slices.DeleteFunc(p.waits[u], func(w *wait) bool {
		if !u.told || u.toldConnect == 0 || w.trail && !u.toldTrails {
			return false
		}
		w.at = p.settled
		p.crossing = append(p.crossing, w)
		return true
	})
	p.keepWaits(u, waits)
	p.cross()
}

// wait is a login that waits until what is for its user comes to this hub, and what was before that has come.
type wait struct {
	trail bool          // for a connection that can be recovered
	done  chan struct{} // closed then
	at    Position      // from when on it comes; 0: not known yet, or for long
}

// await waits until all that is pushed from now on and is for the connection comes to this hub. It reports from which
// position on it does, 0 if that is for long; and false if it was not to be found out in time.
func (m *Member) await() (from Position, ok bool) {
	p := m.hub.presence
	if p == nil || p.attendance == nil {
		return 0, true
	}
	u := m.user.Load()
	if u == nil {
		return 0, true
	}
	w := &wait{trail: m.trail() != nil, done: make(chan struct{})}
	if p.enqueue(u, w) {
		return 0, true
	}
	if !p.attendance.Reachable() {
		p.dequeue(u, w)
		return 0, false
	}
	timer := time.NewTimer(attendWait)
	defer timer.Stop()
	select {
	case <-w.done:
		return w.at, true
	case <-timer.C:
	case <-p.stop:
	}
	p.dequeue(u, w)
	return 0, false
}

// enqueue has w wait, unless the user is reached already, and what was before that has come, which it reports.
func (p *presence) enqueue(u *user, w *wait) (reached bool) {
	s := p.indexes.userShard(u.uid)
	s.mu.Lock()
	defer s.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if u.reached(w.trail) {
		if w.at = p.settled; w.at <= p.passed {
			return true
		}
		p.crossing = append(p.crossing, w)
		return false
	}
	if p.waits == nil {
		p.waits = make(map[*user][]*wait)
	}
	p.waits[u] = append(p.waits[u], w)
	return false
}

// dequeue lets go of w.
func (p *presence) dequeue(u *user, w *wait) {
	p.mu.Lock()
	defer p.mu.Unlock()
	is := func(other *wait) bool { return other == w }
	p.crossing = slices.DeleteFunc(p.crossing, is)
	p.keepWaits(u, slices.DeleteFunc(p.waits[u], is))
}

// keepWaits notes who still waits for a user. Called with mu held.
func (p *presence) keepWaits(u *user, waits []*wait) {
	if len(waits) == 0 {
		delete(p.waits, u)
	} else {
		p.waits[u] = waits
	}
}

// cross lets those go on whose position has been reached. Called with mu held.
func (p *presence) cross() {
	p.crossing = slices.DeleteFunc(p.crossing, func(w *wait) bool {
		if w.at > p.passed {
			return false
		}
		close(w.done)
		return true
	})
}

// Reached says that everything up to a position that has come to this hub from others has been carried out. It is for hubs
// with an [Attendance]; positions grow.
func (h *Hub) Reached(at Position) {
	if h.shared != nil {
		if h.drift.stranding() {
			h.strandAll()
		}
		h.outbox.reached(at)
		h.land(at)
	}
	p := h.presence
	if p == nil || p.attendance == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.passed = max(p.passed, at)
	p.cross()
}

// Relist tells the [Attendance] once more of everybody who is here: it has lost that, or given it up, or something has not come here
// that should have. When it has them, they are given what is stored and has not come. Of who has no connection
// any more it is told only that he has gone, when he has: it may not know him.
func (h *Hub) Relist() {
	p := h.presence
	if p == nil || p.attendance == nil {
		return
	}
	h.strand()
	p.lists.Add(1) // what Attend has in hand is told again, too
	for i := range p.indexes.users {
		s := &p.indexes.users[i]
		s.mu.Lock()
		for _, u := range s.byUID {
			u.toldConnect, u.toldTrails = 0, u.trails
			if len(u.members.list) > 0 {
				u.told = false
				p.touch(u)
			}
		}
		s.mu.Unlock()
	}
}

// retell tells the [Attendance] once more of the connection's user. When it has taken that, those of him who are adrift catch up.
func (m *Member) retell() {
	p, u := m.hub.presence, m.user.Load()
	if p == nil || p.attendance == nil || u == nil {
		return
	}
	s := p.indexes.userShard(u.uid)
	s.mu.Lock()
	defer s.mu.Unlock()
	u.toldConnect = 0
	p.touch(u)
}

// attest has the Attendance know that a connection can be recovered, and waits for that.
func (m *Member) attest() {
	p, u := m.hub.presence, m.user.Load()
	if p == nil || p.attendance == nil || u == nil {
		return
	}
	s := p.indexes.userShard(u.uid)
	s.mu.Lock()
	if s.byUID[u.uid] == u && !u.trails {
		u.trails = true
		p.touch(u)
	}
	s.mu.Unlock()
	m.await()
}
