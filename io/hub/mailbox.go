package hub

import "sync"

// messageCost is what a message that is held takes beside its bytes.
const messageCost = 256

// mailbox is what a connection has while it catches up with the inbox of its user, and while messages that it was given
// from there are not confirmed. What is delivered to a connection that catches up is held, in order, until it has got what
// was stored before.
type mailbox struct {
	member *Member // static

	mu       sync.Mutex // taken after those of the member and of its user's shard
	over     bool       // the member has none any more, or another one
	uid      string     // whose inbox; "" after a logout
	turn     uint       // counts logins and logouts
	catching bool       // what is delivered is held
	running  bool       // somebody is at it, or will be told to go on
	behind   uint64     // the place up to which the inbox has been read
	held     []*Message
	size     int             // of held, in bytes
	until    uint64          // up to where it is to be read: what is stored behind that is delivered as it comes
	resumed  bool            // the client has recovered: all that is stored for it was logged, too
	has      map[string]bool // IDs of messages that it need not be given then: true if it is known to have got them
	given    int             // portions with something in them that are not confirmed
	noted    []uint64
	asking   bool     // a confirmation of what was noted is under way
	asked    []uint64 // the places that it is of

	// With a SharedInbox: stored messages do not come to it, so that nothing is read before they do; and it is not waited for
	// that: what is not stored is not held.
	unmoored, adrift bool
	missed           uint64          // the last place that it was not given meanwhile
	had              map[uint64]bool // places that it was given before that
}

// give delivers a message behind what is in the lane, or holds it while the connection catches up.
func (m *Member) give(msg *Message) error {
	m.catchUpWithLane()
	return m.hand(msg)
}

// hand is give for what comes by the lane.
func (m *Member) hand(msg *Message) error {
	b := m.mail()
	if b == nil && msg.place == 0 {
		return m.conn.Deliver(msg)
	}
	if b != nil {
		if held, err := b.hold(msg); held || err != nil {
			return err
		}
	}
	return m.deliver(msg)
}

// deliver gives a message to the connection, and sees to it that it is confirmed if it is a stored one.
func (m *Member) deliver(msg *Message) error {
	err := m.conn.Deliver(msg)
	if err == nil && msg.place != 0 {
		m.note(msg.place)
	}
	return err
}

// hold keeps a message for later if the connection catches up. When too much is held the connection is too slow.
func (b *mailbox) hold(msg *Message) (held bool, err error) {
	b.mu.Lock()
	if !b.catching || b.over || b.adrift && msg.place == 0 {
		b.mu.Unlock()
		return false, nil
	}
	if b.adrift { // it is in the inbox, which is read later
		b.missed = msg.place
		b.mu.Unlock()
		return true, nil
	}
	size := messageCost + msg.size()
	limit := &b.member.hub.limit
	if len(b.held) > 0 && (len(b.held) >= limit.heldMessages || b.size+size > limit.heldBytes) {
		b.mu.Unlock()
		if c, ok := b.member.conn.(Confirmer); ok {
			c.Drop()
		}
		return false, ErrSlow
	}
	if msg.place != 0 && msg.place <= b.until {
		b.until = msg.place - 1
	}
	b.held = append(b.held, msg)
	b.size += size
	msg.ask.postpone()
	b.mu.Unlock()
	return true, nil
}

// skip says that the client has the messages with these IDs, or is being given them: what is in the inbox of them is not given
// again. Those that are true it has confirmed.
func (m *Member) skip(ids map[string]bool) {
	b := m.mail()
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.catching {
		b.has, b.resumed = ids, true
	}
}

// behindhand tells whether the client may have to be given what was stored before it connected: then it must not be recovered,
// which would give it what is newer first. It may be called on a nil mailbox.
func (b *mailbox) behindhand() bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.catching && !b.resumed
}

// owing tells whether the client has not confirmed what it was given of the inbox. Until it has, nobody can recover: what is
// newer would come first. It may be called on a nil mailbox.
func (b *mailbox) owing() bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.given > 0
}

// takeHeldLocked empties what is held.
func (b *mailbox) takeHeldLocked() []*Message {
	held := b.held
	b.held, b.size = nil, 0
	return held
}

// retireLocked lets go of a mailbox that has nothing to do.
func (b *mailbox) retireLocked() {
	if b.over || b.catching || b.asking || b.given > 0 || len(b.noted) > 0 {
		return
	}
	b.over = true
	b.member.more().mail.CompareAndSwap(b, nil)
}

// mailbox returns the mailbox of a connection that is logged in as uid, a new one if there is none.
func (m *Member) mailbox(uid string) *mailbox {
	for {
		if b := m.mail(); b != nil {
			return b
		}
		b := &mailbox{member: m, uid: uid}
		if m.more().mail.CompareAndSwap(nil, b) {
			return b
		}
	}
}

// open has the connection catch up with the inbox of uid. The mu of the user's shard is held, so what the outbox begins with
// from now on finds the connection. It reports false if the mailbox is not the member's any more.
func (b *mailbox) open(uid string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return false
	}
	b.uid, b.behind, b.catching, b.had, b.missed = uid, 0, true, nil, 0
	if b.unmoored, b.adrift = b.member.hub.shared != nil, false; b.unmoored {
		b.member.hub.drift.add(uid, b)
	}
	b.until = b.member.hub.outbox.begun.Load()
	b.turn++
	return true
}

// leave says that the user has logged out, or with gone that the connection has ended. What is held is dropped: it was for
// who has gone.
func (b *mailbox) leave(gone bool) {
	b.mu.Lock()
	if b.unmoored {
		b.member.hub.drift.remove(b.uid, b)
	}
	b.uid, b.noted, b.has, b.had, b.resumed = "", nil, nil, nil, false
	b.turn++
	dropped := b.takeHeldLocked()
	if gone {
		b.over, b.catching = true, false
		b.member.more().mail.CompareAndSwap(b, nil)
	}
	b.mu.Unlock()
	for _, msg := range dropped {
		msg.ask.resume()
	}
}
