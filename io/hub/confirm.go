package hub

import "slices"

// Confirmer is a [Conn] that can tell when its client has got what was delivered. To a Conn that is none, what it has taken
// counts as confirmed.
type Confirmer interface {
	Conn
	// Present reports whether it can take messages yet. One that could not when its user logged in calls [Member.Ready]
	// when it can; what is for the user waits until then.
	Present() bool
	// Confirm calls arrived(true) once everything that was delivered before has reached the client, or arrived(false) when
	// the connection has ended before that; once, possibly before Confirm returns. If the client may say so later, when it comes
	// back to a connection that can be recovered, arrived(true) may follow then, or nothing. Before arrived(true), and if it knows so
	// much earlier, it calls taken: everything has left the queue, so that there is room for more. taken may be nil. Neither
	// is called under a lock that Deliver takes.
	Confirm(taken func(), arrived func(ok bool))
	// Drop ends the connection in such a way that its client comes back, as if its queue had been full.
	Drop()
}

// maxNoted is how many messages of one connection may wait to be confirmed. The oldest beyond that are forgotten: they are
// kept, and come again with the next login.
const maxNoted = 10_000

// note remembers that a stored message was given to the connection, and has that confirmed.
func (m *Member) note(place uint64) {
	c, ok := m.conn.(Confirmer)
	uid := m.UID()
	switch {
	case uid == "" || place == 0:
	case !ok:
		m.hub.inbox.Confirm(uid, []uint64{place})
	default:
		b := m.mailbox(uid)
		for !b.note(uid, place) {
			b = m.mailbox(uid)
		}
		b.confirm(c)
	}
}

// note adds to what is to be confirmed. It reports false if the mailbox is not the member's any more.
func (b *mailbox) note(uid string, place uint64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return false
	}
	if b.uid != uid { // the user has just gone: what is not confirmed comes again
		return true
	}
	if len(b.noted) >= maxNoted {
		b.noted = slices.Delete(b.noted, 0, maxNoted/2)
	}
	b.noted = append(b.noted, place)
	return true
}

// confirm asks for a confirmation of what is noted, unless one is under way: what is noted meanwhile is in the next.
func (b *mailbox) confirm(c Confirmer) {
	b.mu.Lock()
	if b.asking || len(b.noted) == 0 {
		b.retireLocked()
		b.mu.Unlock()
		return
	}
	b.asking = true
	uid, places := b.uid, b.noted
	b.noted, b.asked = nil, places
	b.mu.Unlock()
	c.Confirm(nil, func(ok bool) {
		b.mu.Lock()
		b.asking, b.asked = false, nil
		b.mu.Unlock()
		if ok {
			b.member.hub.inbox.Confirm(uid, places)
			b.confirm(c)
		}
	})
}

// confirmed says that the client has acknowledged the message at that place, if it is a stored one.
func (m *Member) confirmed(place uint64) {
	uid := m.UID()
	if place == 0 || uid == "" {
		return
	}
	if b := m.mail(); b != nil {
		b.mu.Lock()
		if i := slices.Index(b.noted, place); i >= 0 {
			b.noted = slices.Delete(b.noted, i, i+1)
		}
		b.mu.Unlock()
	}
	m.hub.inbox.Confirm(uid, []uint64{place})
}
