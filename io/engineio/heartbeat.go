package engineio

import "time"

// tickLate is how late a tick usually is at most; so much is taken off the
// peer's time to answer, so that time-outs are those that were announced.
const tickLate = 50 * time.Millisecond

// beatGrid is which part of the interval a ping may be late, so that those of many clients leave together, and the answers come together: to
// wake up for each took more than to send it.
const beatGrid = 100

// nextBeat is when the next ping is due from us (revision 4), or from the client at the latest, counted from now.
func (s *Session) nextBeat() time.Duration {
	o := &s.server.opts
	at := s.server.now() + o.PingInterval
	if s.rev == Revision3 {
		return at + o.PingTimeout
	}
	grid := max(o.PingInterval/beatGrid, 1)
	return (at + grid - 1) / grid * grid
}

// Tick implements [wsconn.Timed]: all the time-outs of a session hang on one
// timer of the shared wheel.
func (s *Session) Tick(at time.Time) time.Time {
	now := at.Sub(s.server.start)
	s.mu.Lock()
	if s.load() == stateClosed {
		s.mu.Unlock()
		return time.Time{}
	}
	if s.deadline != 0 && now >= s.deadline {
		lingered := s.load() == stateClosing
		s.mu.Unlock()
		if lingered {
			s.end(nil) // the receiver knows
		} else if s.shut(ForcedClose) {
			s.tellLater(ForcedClose)
		}
		return s.again()
	}
	lost := s.tickCandidateLocked(now)
	overdue, err := s.tickHeartbeatLocked(now)
	s.mu.Unlock()

	if lost != nil {
		lost.Abort()
	}
	switch {
	case overdue:
		if s.end(nil) {
			s.tellLater(PingTimeout)
		}
	case err != nil:
		s.sendFailed(err)
	}
	return s.again()
}

// tickHeartbeatLocked sends the ping that is due, or reports that the peer's
// answer (revision 4) or its own ping (revision 3) is overdue.
func (s *Session) tickHeartbeatLocked(now time.Duration) (overdue bool, err error) {
	if s.load() != stateOpen || now < s.beat {
		return false, nil
	}
	if s.rev == Revision3 || s.awaiting {
		return true, nil
	}
	s.heartbeatLocked()
	s.beat = max(s.beat, now-tickLate) + s.server.opts.PingTimeout
	return false, s.transport.Send(s.server.ping)
}

// expired reports whether the peer's heartbeat is overdue, although the wheel
// has not come round to it.
func (s *Session) expired() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.load() == stateOpen && (s.awaiting || s.rev == Revision3) && s.server.now() >= s.beat
}

// tickCandidateLocked keeps an upgrade moving. It returns the WebSocket that
// did not complete its upgrade in time.
func (s *Session) tickCandidateLocked(now time.Duration) (lost *webSocket) {
	c := s.candidateLocked()
	switch {
	case c == nil:
		return nil
	case now >= c.deadline:
		return s.dropCandidateLocked()
	case c.probed:
		if t, ok := s.transport.(RequestTransport); ok {
			t.Nudge()
		}
	}
	return nil
}

// again is when the wheel is to call next; the zero time once the session has ended.
func (s *Session) again() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.nextLocked()
}

func (s *Session) nextLocked() time.Time {
	var next time.Duration
	switch s.load() {
	case stateNew, stateClosed:
		return time.Time{}
	case stateClosing:
		next = s.deadline
	case stateOpen:
		next = s.beat
		if s.deadline != 0 {
			next = min(next, s.deadline)
		}
		if c := s.candidateLocked(); c != nil {
			next = min(next, c.deadline)
			if c.probed {
				next = min(next, s.server.now()+nudgeInterval)
			}
		}
	}
	return s.server.start.Add(next)
}

// rearmLocked files the session anew after a deadline came nearer.
func (s *Session) rearmLocked() {
	if next := s.nextLocked(); !next.IsZero() {
		s.server.wheel.Set(&s.timer, s, next)
	}
}
