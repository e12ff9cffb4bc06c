package hub

import (
	"slices"
	"sync/atomic"
	"time"
)

// maxSpans is how many spans a trail may have beside those that have not ended. One that would need more, since its client
// goes in and out of rooms all the time, cannot be followed.
const maxSpans = 1024

// What a trail takes while its client is away, and each of its spans.
const (
	trailCost = 600
	spanCost  = 100
)

// trail is what is remembered of a connection that can be recovered, so that what it would have got can be told.
type trail struct {
	// Static.
	pid   string
	start Position // nothing before was for it

	last atomic.Uint64 // position of the last logged message that was for it; written by the baton's holder

	// Guarded by the mu of the member that has the trail, or by that of recovery while its client is away.
	spans []Span
	over  bool // it cannot be recovered

	// Likewise, with a [Shared].
	unshared bool         // it was never saved, so that nobody else knows of it
	base     Position     // up to which another hub had the session; 0 if none had
	origin   *Recoverable // what it was then
	inbox    Position     // as in Recoverable
	path     string       // likewise

	// Of the member, once its client is away. Guarded by recovery's mu.
	id      string
	uid     string   // "" without a login
	own     []string // the rooms that it had joined itself
	kept    any
	leaver  *Member  // whose connection this was, until it has left all indexes; then nil
	left    Position // what was pushed up to it has been given to the member, if it was for it
	until   time.Time
	claimed chan struct{} // closed when it is so no more; nil unless [Hub.Claim] has given it to somebody
	cost    int
	mail    *mailbox // where it is noted what the client has not confirmed that it was given of the inbox; nil if it has
}

// begin notes that something begins. since is a position whose push cannot have seen it.
func (t *trail) begin(kind SpanKind, name string, since Position) {
	t.spans = append(t.spans, Span{kind, name, since, open})
}

// end notes that something has ended. until is a position that no later push has seen it at.
func (t *trail) end(kind SpanKind, name string, until Position) {
	i := t.find(kind, name)
	if i < 0 {
		return
	}
	if t.spans[i].Since >= until { // nothing was pushed meanwhile
		t.spans = slices.Delete(t.spans, i, i+1)
	} else {
		t.spans[i].Until = until
	}
}

// find returns the index of the span that has not ended, or -1.
func (t *trail) find(kind SpanKind, name string) int {
	return slices.IndexFunc(t.spans, func(s Span) bool { return s.Until == open && s.Kind == kind && s.Name == name })
}

// prune forgets spans that no logged message is in: up to taken all pushes are over, from oldest on there are messages. It
// gives the trail up if too many are left.
func (t *trail) prune(taken, oldest Position) {
	if len(t.spans) <= maxSpans/16 {
		return
	}
	last := Position(t.last.Load())
	ended := 0
	t.spans = slices.DeleteFunc(t.spans, func(s Span) bool {
		if s.Until == open {
			return false
		}
		gone := s.Until <= taken && (last <= s.Since || s.Until < oldest)
		if !gone {
			ended++
		}
		return gone
	})
	if ended > maxSpans {
		t.over, t.spans = true, nil
	}
}

// meets tells whether the connection belonged to the audience at a position.
func (t *trail) meets(a *Audience, at Position) bool {
	if !t.named(a, at) {
		return false
	}
	return a.Except == nil || !t.meets(a.Except, at)
}

func (t *trail) named(a *Audience, at Position) bool {
	if a.All {
		return t.in(SpanEverybody, "", at)
	}
	return slices.Contains(a.Connections, t.id) && t.in(SpanEverybody, "", at) ||
		slices.ContainsFunc(a.Users, func(uid string) bool { return t.in(SpanUser, uid, at) }) ||
		slices.ContainsFunc(a.Rooms, func(room string) bool { return t.in(SpanRoom, room, at) })
}

func (t *trail) in(kind SpanKind, name string, at Position) bool {
	return slices.ContainsFunc(t.spans, func(s Span) bool { return s.Kind == kind && s.Name == name && s.covers(at) })
}

// wants are the spans to ask a log for: among everybody, the connection could be named by its id.
func (t *trail) wants() []Span {
	spans := slices.Clone(t.spans)
	for _, s := range t.spans {
		if s.Kind == SpanEverybody {
			s.Kind, s.Name = SpanConnection, t.id
			spans = append(spans, s)
		}
	}
	return spans
}

// resume returns the position from which on the client has to be given what it has missed. An offset that the log does not
// know, or from before the trail, was not given to the client by this trail's connections, of which every event has one:
// then it has got nothing from them.
func (t *trail) resume(offset Position, known bool) Position {
	if !known || offset < t.start {
		offset = t.start
	}
	if offset >= Position(t.last.Load()) { // it has all that the connection was given
		offset = max(offset, t.left)
	}
	return offset
}

// forbid has the connection not be recovered. It does nothing once it has ended.
func (m *Member) forbid() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forbidLocked()
}

func (m *Member) forbidLocked() {
	if t := m.trail(); t != nil && !t.over {
		t.over = true
		m.hub.recovery.forget(t.pid)
	}
}

// noteBegin notes for the trail, if there is one, that the member belongs to something. Called with mu held.
func (m *Member) noteBegin(kind SpanKind, name string, since Position) {
	if t := m.trail(); t != nil && !t.over && t.find(kind, name) < 0 { // it may have been foretold
		t.begin(kind, name, since)
		m.saveLocked()
	}
}

// noteEnd undoes noteBegin, when no push can see it any more.
func (m *Member) noteEnd(kind SpanKind, name string) {
	if t := m.trail(); t != nil && !t.over {
		r := m.hub.recovery
		t.end(kind, name, r.current())
		if t.prune(r.taken(), r.reach()); t.over {
			r.forget(t.pid)
		}
	}
}

// noteLogin notes a login.
func (m *Member) noteLogin(uid string, since Position) {
	if m.hub.loginFirst {
		m.noteBegin(SpanEverybody, "", since)
	}
	m.noteBegin(SpanUser, uid, since)
}

// noteInbox notes, before the connection is given anything that is stored for its user, up to where that may go.
func (m *Member) noteInbox() {
	r := m.hub.recovery
	if r == nil || r.Shared == nil || m.hub.inbox == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if t := m.trail(); t != nil {
		t.inbox = r.taken()
		m.saveLocked()
	}
}

// noteLogout undoes noteLogin.
func (m *Member) noteLogout(uid string) {
	m.noteEnd(SpanUser, uid)
	if m.hub.loginFirst {
		m.noteEnd(SpanEverybody, "")
	}
}
