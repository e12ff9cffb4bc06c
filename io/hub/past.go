package hub

import (
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Past is what a connection that is gone has left behind for its client.
type Past struct {
	recovery *recovery
	trail    *trail
	offset   Position
	known    bool
	before   []*Logged       // what is to be given to the client of what was pushed while another hub had it
	sure     map[string]bool // IDs of messages in its inbox that it is known to have got there

	spent, forgotten bool
}

// ID is that of the connection, which the next one is to have too.
func (p *Past) ID() string { return p.trail.id }

// UID is the user that it was logged in as, "" without a login.
func (p *Past) UID() string { return p.trail.uid }

// Rooms are those that the connection had joined itself.
func (p *Past) Rooms() []string { return slices.Clone(p.trail.own) }

// Kept is what [Member.Away] was given; nil after a restart.
func (p *Past) Kept() any { return p.trail.kept }

// Tracked returns the connection that has been given this PID, if it is there, and who is logged in on it, "" for nobody; its
// client may have another one already. If one is about to get it, which has claimed what the last one has left behind, Tracked
// waits for that, a second at most: who breaks off at once, and comes again, would find it taken, and be nobody's successor.
func (h *Hub) Tracked(pid string) (conn Conn, uid string) {
	r := h.recovery
	if r == nil {
		return nil, ""
	}
	m, claimed := r.find(pid)
	if claimed != nil {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		for late := false; claimed != nil && !late; {
			select {
			case <-claimed:
				m, claimed = r.find(pid)
			case <-timer.C:
				late = true
			}
		}
	}
	return m.conn, m.uid
}

// found is a connection that has a PID, as long as it has.
type found struct {
	conn Conn
	uid  string // read with it: of one that has just gone there is none
}

// find returns the connection that has a PID, or what is closed when it is settled who gets it; or neither.
func (r *recovery) find(pid string) (here found, claimed <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.here[pid]; m != nil {
		return found{m.conn, m.UID()}, nil
	}
	if t := r.away.byPID[pid]; t != nil && t.claimed != nil {
		return found{}, t.claimed
	}
	return found{}, nil
}

// Left tells who was logged in on the connection with that PID that is away, "" for nobody, and what [Member.Away] was given:
// before Claim, as some of that may be a confirmation that has come with the client.
func (h *Hub) Left(pid string) (uid string, kept any, there bool) {
	r := h.recovery
	if r == nil {
		return "", nil, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.away.byPID[pid]
	if t == nil {
		return "", nil, false
	}
	return t.uid, t.kept, true
}

// LeftElsewhere is [Hub.Left] for a connection of another hub, with a [Shared], which it waits for.
func (h *Hub) LeftElsewhere(pid string) (uid string, there bool) {
	if r := h.recovery; r != nil && r.Shared != nil && pid != "" {
		return r.Shared.Owner(pid)
	}
	return "", false
}

// Claim returns what the connection with that PID has left behind, for a client that has got everything up to offset, empty
// for nothing. It is nil if there is nothing, or if messages are missing. Nobody else can claim it meanwhile: one of
// [Member.Recover], [Past.Release] and [Past.Forget] must follow. With a [Shared] it may have been a connection of another hub,
// and Claim waits for that.
func (h *Hub) Claim(pid, offset string) *Past {
	r := h.recovery
	if r == nil || pid == "" {
		return nil
	}
	if r.Shared != nil {
		if err := r.Shared.Claim(pid, r.hasAway(pid)); err != nil {
			h.log.Debug("a client is not recovered", "error", err)
			return nil
		}
	}
	t := r.claim(pid)
	if t == nil {
		return nil
	}
	r.awaitLeave(t)
	p := &Past{recovery: r, trail: t}
	var err error
	r.baton.with(func() {
		if p.offset, p.known = r.log.Find(offset); t.base == 0 {
			_, err = p.missed()
		}
	})
	if t.base > 0 {
		if err = p.lookBack(h); err == nil {
			r.baton.with(func() { _, err = p.missed() })
		}
	}
	if err != nil {
		h.log.Debug("a client is not recovered", "error", err)
		p.Forget()
		return nil
	}
	return p
}

func (r *recovery) claim(pid string) *trail {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.away.byPID[pid]
	if t == nil || r.closed || t.claimed != nil || !time.Now().Before(t.until) {
		return nil
	}
	t.claimed = make(chan struct{})
	return t
}

// Release has what was claimed wait for the client again, for as long as it would have waited. It does nothing after one of
// the others.
func (p *Past) Release() {
	if p.spent {
		return
	}
	p.spent = true
	p.recovery.mu.Lock()
	defer p.recovery.mu.Unlock()
	p.trail.settle()
	p.recovery.share(p.trail)
}

// Forgotten reports whether it has ended for good: by Forget, or since [Member.Recover] has failed with [ErrLost].
func (p *Past) Forgotten() bool { return p.forgotten }

// Forget ends what was claimed for good. It does nothing after one of the others.
func (p *Past) Forget() {
	if p.spent {
		return
	}
	p.spent, p.forgotten = true, true
	r := p.recovery
	r.mu.Lock()
	defer r.mu.Unlock()
	p.trail.settle()
	if r.away.remove(p.trail) {
		r.forget(p.trail.pid)
		r.release(1)
	}
}

// settle says that nobody has claimed it any more. Called with recovery's mu held.
func (t *trail) settle() {
	if t.claimed != nil {
		close(t.claimed)
		t.claimed = nil
	}
}

// missed returns what the client has to be given. Called with the baton.
func (p *Past) missed() ([]*Logged, error) {
	r, t := p.recovery, p.trail
	if p.known && p.offset > r.current() {
		return nil, ErrLost
	}
	r.mu.Lock()
	after, spans := t.resume(p.offset, p.known), t.wants()
	lost, mail := t.over || r.away.byPID[t.pid] != t, t.mail
	r.mu.Unlock()
	if lost || mail.owing() {
		return nil, ErrLost
	}
	list, complete := r.log.Since(max(after, t.base), spans)
	if !complete {
		return nil, ErrLost
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	list = slices.DeleteFunc(list, func(one *Logged) bool { return !t.meets(&one.To, one.At) })
	if len(p.before) > 0 {
		list = slices.Concat(p.before, list)
	}
	bytes := 0
	for _, one := range list {
		bytes += one.Message.size()
	}
	if r.ReplayMessages > 0 && len(list) > r.ReplayMessages || r.ReplayBytes > 0 && bytes > r.ReplayBytes {
		return nil, ErrLost
	}
	return list, nil
}

// has returns the IDs of the messages that the client has got already, which are true, or is given as missed, as far as they
// are in the log: that it has got them is confirmed by its coming back with its offset. Called with the baton.
func (p *Past) has(h *Hub, missed []*Logged) map[string]bool {
	if h.inbox == nil {
		return nil
	}
	ids := make(map[string]bool, len(missed)+len(p.sure))
	maps.Copy(ids, p.sure)
	for _, one := range missed {
		ids[one.Message.ID] = false
	}
	if !p.known {
		return ids
	}
	r, t := p.recovery, p.trail
	r.mu.Lock()
	defer r.mu.Unlock()
	list, _ := r.log.Since(max(t.start, r.memory.lost), t.wants())
	for _, one := range list {
		if one.At <= p.offset && t.meets(&one.To, one.At) {
			ids[one.Message.ID] = true
		}
	}
	return ids
}

// Recovers tells whether connections can be recovered.
func (h *Hub) Recovers() bool { return h.recovery != nil }

// Beginning is what the client of a connection that can be recovered is to be told first.
type Beginning struct {
	// PID is what the client has to show when it comes back: known to nobody else.
	PID string
	// Offset is where it is in the order of messages. Messages that it is given from now on have a later one.
	Offset string
	// Missed are the messages that it would have got while it was away, each with its [Message.Offset].
	Missed []*Message
}

// WillTrack says that Track or Recover follows, perhaps behind a login, and is called before that. What is pushed meanwhile comes
// once then: not at once, as to somebody who cannot be recovered, and in its turn again.
func (m *Member) WillTrack() {
	if r := m.hub.recovery; r != nil && r.Placed {
		r.expected.Store(true)
		m.more().turns.Store(true)
	}
}

// Track makes the connection one that can be recovered with [Member.Recover], once [Member.Away] has said that it is gone.
// It calls begin, which must not block nor call the hub, to tell the client; nothing is delivered meanwhile. From then on, in
// the order of their offsets, the connection is given messages that have a [Message.Offset], which the client is to get
// with each of them. Messages without one, of pushes that began before, are to be refused with [ErrGone]. It fails with
// [ErrNoRecovery], [ErrGone] or the error of begin, after which the caller ends the connection.
func (m *Member) Track(begin func(Beginning) error) error {
	r := m.hub.recovery
	if r == nil {
		return ErrNoRecovery
	}
	var err error
	r.baton.with(func() {
		t := &trail{pid: rand.Text(), start: r.taken(), inbox: r.taken(), unshared: r.Shared != nil && !r.Shared.Up()}
		if err = r.attach(m, t); err == nil {
			err = begin(Beginning{PID: t.pid, Offset: r.log.Offset(t.start)})
		}
	})
	if err == nil {
		m.attest()
	}
	return err
}

// Recover has the connection, whose ID must be [Past.ID], take the place of the one that has left p behind: it is logged in
// as its user, joins its rooms, and is given what it would have got meanwhile. Otherwise it is as [Member.Track]. The
// connection may be logged in already, and must be with [Options].LoginFirst; as somebody else it fails with [ErrLost], as
// it does when a message is missing: then p is forgotten, begin has not been called, and the caller ends the connection. After
// another error p waits for its client again as soon as the caller has said that the connection is [Member.Away].
func (m *Member) Recover(p *Past, begin func(Beginning) error) error {
	r := p.recovery
	var err error
	r.baton.with(func() { err = m.takePlace(p, begin) })
	if errors.Is(err, ErrLost) {
		p.Forget()
	}
	if err != nil {
		return fmt.Errorf("recovering a connection: %w", err)
	}
	m.attest()
	return nil
}

// takePlace is Recover. Called with the baton.
func (m *Member) takePlace(p *Past, begin func(Beginning) error) error {
	r, t := p.recovery, p.trail
	list, err := p.missed()
	if err != nil {
		return err
	}
	has := p.has(m.hub, list)
	switch uid := m.UID(); {
	case uid != "" && uid != t.uid, uid == "" && t.uid != "" && m.hub.loginFirst:
		return ErrLost
	case uid == "" && t.uid != "":
		if err = m.login(t.uid); err == nil {
			m.moored()
		}
		m.catchUp()
	}
	for _, room := range t.own {
		if err == nil {
			err = m.Join(room)
		}
	}
	if len(list) > 0 { // before attach, which saves it
		t.last.Store(max(t.last.Load(), uint64(list[len(list)-1].At)))
	}
	if err == nil {
		err = r.attach(m, t)
	}
	if err != nil {
		p.Release()
		return err
	}
	m.skip(has)
	p.spent = true
	b := Beginning{PID: t.pid, Offset: r.log.Offset(r.taken())}
	for _, one := range list {
		b.Missed = append(b.Missed, one.Message.stamped(r.log.Offset(one.At)))
	}
	return begin(b)
}

// attach gives a trail to a member and has it say what the member is now. Called with the baton.
func (r *recovery) attach(m *Member, t *trail) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.gone() {
		return ErrGone
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.away.remove(t) { // it is new, or its time has just been up
		r.tracked.Add(1)
	}
	t.settle()
	t.id, t.own, t.kept, t.mail = m.conn.ID(), nil, nil, nil
	at := r.taken()
	uid := m.UID()
	for i := range t.spans {
		if s := &t.spans[i]; s.Until == open && !m.belongs(*s) {
			s.Until = at
		}
	}
	ensure := func(kind SpanKind, name string) {
		if m.belongs(Span{Kind: kind, Name: name}) && t.find(kind, name) < 0 {
			t.begin(kind, name, at)
		}
	}
	ensure(SpanEverybody, "")
	if uid != "" {
		ensure(SpanUser, uid)
	}
	for _, room := range m.rooms {
		ensure(SpanRoom, room.name)
	}
	r.here[t.pid] = m
	m.more().trail.Store(t)
	r.moves.Add(1) // behind that: who reads the new number sees the trail
	m.saveLocked()
	return nil
}
