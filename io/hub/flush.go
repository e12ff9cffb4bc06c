package hub

import "time"

// flush reports what is pending and, unless the observer remembers, everybody offline. There are no logins any more.
func (p *presence) flush() {
	users := p.fence()
	p.finish()
	owed := p.collect(make([]PresenceChange, 0, users))
	if p.keep { // who comes back is reported then, and who was not reported was never there
		p.unreported = 0
		return
	}
	if p.dismiss(owed); p.unreported > 0 {
		p.log.Warn("presence changes not reported", "users", p.unreported)
	}
}

// fence waits until every login that was not refused has finished, and returns how many users there are.
func (p *presence) fence() (users int) {
	for i := range p.indexes.users {
		s := &p.indexes.users[i]
		s.mu.Lock()
		users += len(s.byUID)
		s.mu.Unlock()
	}
	return users
}

// finish reports what is pending, if Close has the time. An observer that remembers and fails is not asked again.
func (p *presence) finish() {
	for {
		hold := p.round()
		switch {
		case len(p.pending) == 0, p.expired(), p.keep && p.trouble.n > 0:
			return
		case p.trouble.n > 0:
			p.pause(hold)
		}
	}
}

// pause waits, unless Close runs out of time.
func (p *presence) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.abort:
	}
}

// collect appends the offline changes of all users who are in the index, and leaves there only those with connections,
// marked as done with.
func (p *presence) collect(owed []PresenceChange) []PresenceChange {
	now := time.Since(p.start)
	for i := range p.indexes.users {
		s := &p.indexes.users[i]
		s.mu.Lock()
		for uid, u := range s.byUID {
			c := PresenceChange{UID: uid, Cause: CauseShutdown}
			if d := u.departure; d != nil {
				p.mu.Lock()
				if d.cause == CauseLogout || d.due <= now {
					c.Cause = d.cause
				}
				if d.in != nil {
					d.in.unlink(d)
				}
				p.mu.Unlock()
				u.departure = nil
				delete(s.byUID, uid)
			}
			u.flushed = true
			switch {
			case u.told:
				owed = append(owed, c)
			case u.dirty: // finish had no time
				p.unreported++
			}
		}
		s.mu.Unlock()
	}
	return owed
}

// dismiss reports users offline, for as long as Close has time.
func (p *presence) dismiss(owed []PresenceChange) {
	for len(owed) > 0 && !p.expired() {
		n := min(len(owed), maxBatch)
		p.changes = p.changes[:0]
		for _, c := range owed[:n] {
			c.Time = time.Now()
			p.tell(c)
		}
		if err := p.observe(p.changes); err != nil {
			p.pause(p.trouble.failed(err, len(owed)))
			continue
		}
		p.trouble.over()
		owed = owed[n:]
	}
	p.unreported += len(owed)
}
