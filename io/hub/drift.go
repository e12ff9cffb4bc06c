package hub

import (
	"slices"
	"sync"
)

// drift is what a hub with a [SharedInbox] knows of connections to which stored messages do not come at present: the
// [Attendance] does not have their user, since what the hubs share is away, or has given this hub up. Meanwhile they are given
// what is not stored. When the Attendance has the user again, they catch up with the inbox as after a login.
type drift struct {
	mu     sync.Mutex
	adrift map[string]map[*mailbox]struct{} // by uid
	landed []landing                        // whom the Attendance has, when everything up to a position has come
	passed Position                         // up to it, it has

	strands bool                // all connections are to be adrift
	since   map[string]Position // whom the Attendance has taken since it was said so, and where
}

// landing is a mailbox whose messages come to this hub behind a position.
type landing struct {
	box *mailbox
	at  Position
}

// add notes a mailbox that is adrift.
func (d *drift) add(uid string, b *mailbox) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.adrift == nil {
		d.adrift = make(map[string]map[*mailbox]struct{})
	}
	if d.adrift[uid] == nil {
		d.adrift[uid] = make(map[*mailbox]struct{})
	}
	d.adrift[uid][b] = struct{}{}
}

// remove forgets one.
func (d *drift) remove(uid string, b *mailbox) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if delete(d.adrift[uid], b); len(d.adrift[uid]) == 0 {
		delete(d.adrift, uid)
	}
}

// attended says that the Attendance has the user, at a position.
func (d *drift) attended(uid string, at Position) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for b := range d.adrift[uid] {
		d.landed = append(d.landed, landing{b, at})
	}
	delete(d.adrift, uid)
	if d.strands {
		d.since[uid] = at
	}
}

// strand has all connections be adrift soon.
func (d *drift) strand() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.strands, d.since = true, make(map[string]Position)
}

// stranding reports whether it is time for that.
func (d *drift) stranding() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.strands
}

// stranded says that they are. Some the Attendance has taken already.
func (d *drift) stranded() {
	d.mu.Lock()
	since := d.since
	d.strands, d.since = false, nil
	d.mu.Unlock()
	for uid, at := range since {
		d.attended(uid, at)
	}
}

// cross returns those whose position has been reached, if it is so far; at is 0 if there is nothing new of that.
func (d *drift) cross(at Position) (list []landing) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.passed = max(d.passed, at)
	n := 0
	for _, l := range d.landed {
		if l.at <= d.passed {
			list = append(list, l)
			continue
		}
		d.landed[n] = l
		n++
	}
	clear(d.landed[n:])
	if d.landed = d.landed[:n]; n == 0 {
		d.landed = nil
	}
	return list
}

// moor says that what is stored for the user comes to this hub behind a position, up to which everything has; 0 if it has done so
// since before the login. What is before that is in the inbox.
func (b *mailbox) moor(at Position) {
	var dropped []*Message
	b.mu.Lock()
	if b.unmoored && !b.over {
		b.unmoored, b.adrift = false, false
		b.member.hub.drift.remove(b.uid, b)
		b.until = max(b.until, uint64(at), b.missed)
		b.held = slices.DeleteFunc(b.held, func(msg *Message) bool {
			if msg.place == 0 || msg.place > uint64(at) {
				return false
			}
			dropped = append(dropped, msg)
			b.size -= messageCost + msg.size()
			return true
		})
	}
	b.mu.Unlock()
	for _, msg := range dropped {
		msg.ask.resume()
	}
}

// castOff says that it is not waited any longer for what is stored to come: what was held is given, but for that.
func (b *mailbox) castOff() {
	for {
		b.mu.Lock()
		if b.over || !b.unmoored || len(b.held) == 0 {
			b.adrift = b.unmoored && !b.over
			b.mu.Unlock()
			return
		}
		held := b.takeHeldLocked()
		for _, msg := range held {
			b.missed = max(b.missed, msg.place)
		}
		b.mu.Unlock()
		for _, msg := range held {
			if msg.place == 0 {
				b.giveHeld(msg)
			}
			msg.ask.resume()
		}
	}
}

// strand says that what is stored has not come to the connection for a while, and does not. What it was given and has not
// confirmed, it is not given again.
func (b *mailbox) strand(uid string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over || b.uid != uid || b.unmoored {
		return
	}
	b.member.hub.drift.add(uid, b)
	b.unmoored = true
	if b.turn++; b.catching { // it goes on where it is
		return
	}
	b.catching, b.adrift, b.behind, b.until = true, true, 0, b.member.hub.outbox.begun.Load()
	b.had = make(map[uint64]bool, len(b.asked)+len(b.noted))
	for _, place := range slices.Concat(b.asked, b.noted) {
		b.had[place] = true
	}
}

// strand says that what is stored may not have come to this hub, and does not come until the [Attendance] has its users once more.
// Their connections catch up with the inbox then.
func (h *Hub) strand() {
	if h.shared != nil {
		h.drift.strand()
	}
}

// strandAll is strand. The goroutine that calls Arrive calls it, so that nothing stored is being delivered.
func (h *Hub) strandAll() {
	for i := range h.indexes.users {
		s := &h.indexes.users[i]
		s.mu.Lock()
		var list []*Member
		for _, u := range s.byUID {
			list = append(list, u.members.list...)
		}
		s.mu.Unlock()
		for _, m := range list {
			if uid := m.UID(); uid != "" {
				m.mailbox(uid).strand(uid)
			}
		}
	}
	h.drift.stranded()
}

// attended says that the [Attendance] has the user, at a position.
func (h *Hub) attended(uid string, at Position) {
	if h.shared != nil {
		h.drift.attended(uid, at)
		h.land(0)
	}
}

// land has those catch up to whom everything up to a position has come.
func (h *Hub) land(at Position) {
	for _, l := range h.drift.cross(at) {
		h.tasks.spawn(func() {
			l.box.member.noteInbox()
			l.box.moor(l.at)
			l.box.member.catchUp()
		})
	}
}

// moored is settleIn for a connection that is recovered: what is for its user comes to this hub already.
func (m *Member) moored() {
	if b := m.mail(); b != nil {
		b.moor(0)
	}
}

// settleIn waits, behind a login, until what is stored for the user comes to this hub.
func (m *Member) settleIn() {
	from, ok := m.await()
	m.noteInbox()
	b := m.mail()
	switch {
	case b == nil:
	case ok:
		b.moor(from)
	default:
		b.castOff()
	}
}
