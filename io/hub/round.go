package hub

import "time"

const (
	// maxBatch is how many users the changes of one call of the observer are about.
	maxBatch = 10_000
	// attendBatch is the same for an Attendance: others wait while it takes them.
	attendBatch = 128
	// attendPause is how long at most an Attendance that has failed is left alone.
	attendPause = 500 * time.Millisecond
	// maxSpare is how large a buffer, in elements, is kept for the next time.
	maxSpare = 1024
	// forever is longer than anybody waits.
	forever = 365 * 24 * time.Hour
)

// round reports what has changed by now, up to maxBatch users. hold is how long to wait before the next one.
func (p *presence) round() (hold time.Duration) {
	p.take()
	p.gather()
	defer p.release()
	if len(p.changes) == 0 {
		return 0
	}
	if p.expired() {
		p.putBack()
		return 0
	}
	if p.attendance != nil {
		return p.attend()
	}
	if err := p.observe(p.changes); err != nil {
		p.putBack()
		return p.trouble.failed(err, len(p.pending))
	}
	p.trouble.over()
	for _, one := range p.subjects {
		p.settle(one)
	}
	return p.tick
}

// attend is the end of a round with an Attendance.
func (p *presence) attend() (hold time.Duration) {
	list := p.lists.Load()
	at, err := p.attendance.Attend(p.changes)
	if err != nil {
		p.putBack()
		return min(p.trouble.failed(err, len(p.pending)), attendPause)
	}
	p.trouble.over()
	for _, one := range p.subjects {
		p.settleStanding(one, at, list)
	}
	return p.tick
}

// putBack makes the subjects pending again, in front.
func (p *presence) putBack() {
	users := make([]*user, 0, len(p.subjects)+len(p.pending))
	for _, one := range p.subjects {
		users = append(users, one.user)
	}
	p.pending = append(users, p.pending...)
}

// release lets go of what the round has used.
func (p *presence) release() {
	clear(p.subjects)
	clear(p.changes)
	if cap(p.subjects) > maxSpare {
		p.subjects = nil
	}
	if cap(p.changes) > maxSpare {
		p.changes = nil
	}
	if len(p.pending) == 0 {
		p.pending = nil
	}
}

// take makes those pending who came, and those whose time is up.
func (p *presence) take() {
	now := time.Since(p.start)
	p.mu.Lock()
	// Taken together, so that a user who is in both is reported online first.
	p.pending = append(p.pending, p.arrivals...)
	p.arrivals = nil
	p.due = p.due[:0]
	if !p.keep || !p.draining && !p.stopping {
		if p.opened {
			p.due = p.absent.take(now, p.due)
		}
		p.due = p.leaving.take(now, p.due)
	}
	p.mu.Unlock()
	for _, d := range p.due {
		s := p.indexes.userShard(d.user.uid)
		s.mu.Lock()
		if d.user.departure == d && !d.user.dirty {
			d.user.dirty = true
			p.pending = append(p.pending, d.user)
		}
		s.mu.Unlock()
	}
	clear(p.due)
	if cap(p.due) > maxSpare {
		p.due = nil
	}
}

// untilDue returns how long the next departure has to wait.
func (p *presence) untilDue() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	due := forever
	if !p.keep || !p.draining {
		if d := p.leaving.head; d != nil {
			due = d.due
		}
		if d := p.absent.head; d != nil && p.opened {
			due = min(due, d.due)
		}
	}
	return max(due-time.Since(p.start), 0)
}

// gather takes users who are pending and makes the changes of those who are subjects of any.
func (p *presence) gather() {
	p.changes, p.subjects = p.changes[:0], p.subjects[:0]
	now := time.Now()
	n := 0
	for n < len(p.pending) && len(p.subjects) < p.batch {
		u := p.pending[n]
		n++
		s := p.indexes.userShard(u.uid)
		s.mu.Lock()
		if p.attendance != nil {
			p.compareStanding(s, u, now)
		} else {
			p.compare(s, u, now)
		}
		s.mu.Unlock()
	}
	p.pending = p.pending[n:]
}

// subject is a user whom changes are about.
type subject struct {
	user   *user
	online bool // what the last one says

	// With an Attendance only.
	trails      bool
	connections uint16
}

// compare makes u a subject of changes, if there are any. Called with mu of the user's shard held.
func (p *presence) compare(s *userShard, u *user, now time.Time) {
	present := u.present()
	if present == u.told && (present || p.trouble.n > 0) {
		// It has come to nothing. Visits that have ended do while the observer fails, or there could be any number of them.
		u.dirty = false
		if !present {
			delete(s.byUID, u.uid)
		}
		return
	}
	at := func(since time.Duration) time.Time { return now.Add(since - now.Sub(p.start)) }
	if !u.told {
		p.tell(PresenceChange{UID: u.uid, Online: true, Connections: max(len(u.members.list), 1), Time: at(u.arrived)})
	}
	if !present {
		p.tell(PresenceChange{UID: u.uid, Cause: u.departure.cause, Time: at(u.departure.due)})
	}
	p.subjects = append(p.subjects, subject{user: u, online: present})
}

// tell numbers a change and adds it to those to be reported.
func (p *presence) tell(c PresenceChange) {
	p.version = max(p.version+1, uint64(max(time.Now().UnixMicro(), 0)))
	c.Version = p.version
	p.changes = append(p.changes, c)
}

// settle notes that the observer has taken the changes of a user, who may have come back meanwhile.
func (p *presence) settle(one subject) {
	u := one.user
	s := p.indexes.userShard(u.uid)
	s.mu.Lock()
	defer s.mu.Unlock()
	u.told, u.dirty = one.online, false
	switch {
	case u.told:
	case u.present():
		u.dirty = true
		p.pending = append(p.pending, u)
	default:
		delete(s.byUID, u.uid) // the next login makes a new user
	}
}
