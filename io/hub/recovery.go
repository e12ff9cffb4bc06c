package hub

import (
	"cmp"
	"crypto/rand"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Recovery says that connections can be recovered: a client that has lost one comes back with another one as if nothing had
// happened, and is given what it has missed. See [Member.Track].
type Recovery struct {
	// Window is how long a client can be away. Required.
	Window time.Duration
	// Notice is how long it can take until the loss of a connection is noticed. Messages are kept for that much longer.
	Notice time.Duration
	// MaxMessages and MaxBytes bound the messages that are kept, and MaxBytes again what is remembered of clients that are
	// away. The oldest go first. Required.
	MaxMessages, MaxBytes int
	// ReplayMessages and ReplayBytes bound what one client is given when it comes back; who has missed more is not
	// recovered. Zero: no bound but that of the log.
	ReplayMessages, ReplayBytes int
	// Placed says that the hub is one of several that have one order of positions: what has a place in it comes by
	// [Hub.Receive]. What is pushed otherwise has none, and nobody who was to get it can be recovered any more.
	Placed bool
	// Restore is [Hub.SaveRecovery]'s other half, called by New: it calls fn with what that has returned, in order, and
	// stops at an error. Nil: there is nothing.
	Restore func(fn func(record []byte) error) error
	// Shared, if not nil, is where other hubs find who was connected here, and this one who was connected there.
	Shared Shared
	// Epoch is what offsets begin with: letters and digits, at most 32, which tell orders of positions apart. Empty: random
	// ones, as there is no other hub.
	Epoch string
}

func (o *Recovery) check() error {
	if len(o.Epoch) > 32 {
		return errors.New("the epoch of the recovery has more than 32 characters")
	}
	if o.Window <= 0 || o.Notice < 0 || o.MaxMessages < 0 || o.MaxBytes < 0 || o.ReplayMessages < 0 || o.ReplayBytes < 0 {
		return errors.New("the window of the recovery must be positive, and nothing of it negative")
	}
	return nil
}

var (
	// ErrNoRecovery is returned by [Member.Track] of a hub without [Options].Recovery.
	ErrNoRecovery = errors.New("connections of this hub cannot be recovered")
	// ErrLost is returned by [Member.Recover] when something that the client has missed is not there any more, or is too
	// much, or when it is another user now.
	ErrLost = errors.New("what the client has missed cannot be given to it")
)

// recovery is the part of a hub that remembers connections. While there is one that can be recovered, pushes take turns
// (baton), and each has a position. What a position means for somebody who joins or leaves something at the same time is
// settled by two counters: begun is that of the turn being taken, and ended that of the last one that is over. Who joins reads
// ended before any push can see it, who leaves reads begun after none can: so what a push may have seen is always in the span.
type recovery struct {
	// Static.
	Recovery
	log    Log
	memory *memoryLog // the log

	baton  baton
	begun  atomic.Uint64 // written by the baton's holder, as are those that follow
	ended  atomic.Uint64
	oldest atomic.Uint64 // of the log
	aging  bool          // outdate will be called

	expected atomic.Bool   // [Member.WillTrack] has been called
	tracked  atomic.Int64  // trails there are, those of clients that are away included
	moves    atomic.Uint64 // how often somebody has gone away or come back; written with mu held

	mu     sync.Mutex // taken after that of a member, and before no other
	closed bool
	here   map[string]*Member // by pid, those with a trail
	away   absentees
	timer  *time.Timer // for the first of away; nil until there was one
	ager   *time.Timer // for the oldest message; likewise
}

func newRecovery(o Recovery) *recovery {
	r := &recovery{Recovery: o, here: make(map[string]*Member)}
	r.empty()
	return r
}

// empty forgets everything. Nobody else has the hub yet.
func (r *recovery) empty() {
	r.memory = newMemoryLog(r.Recovery, cmp.Or(r.Epoch, rand.Text()[:10]))
	r.log = r.memory
	r.begun.Store(0)
	r.ended.Store(0)
	r.tracked.Store(0)
	r.away.init()
	if r.Shared != nil {
		r.away.forget = r.Shared.Forget
	}
}

// active tells whether there is a connection that can be recovered, or may be soon. It may be called on a nil recovery.
func (r *recovery) active() bool { return r != nil && (r.tracked.Load() > 0 || r.expected.Load()) }

// taken is the position up to which all turns are over; current, that of the one under way, if there is one.
func (r *recovery) taken() Position {
	if r == nil {
		return 0
	}
	return Position(r.ended.Load())
}

func (r *recovery) current() Position { return Position(r.begun.Load()) }

// reach is the position from which on there are messages.
func (r *recovery) reach() Position {
	oldest := Position(r.oldest.Load())
	if r.Shared == nil {
		return oldest
	}
	keep := Position((r.Window + r.Notice).Microseconds())
	return min(oldest, r.taken()-min(r.taken(), keep))
}

// release counts trails out. With the last one, what was logged is of no use any more. Called with mu held.
func (r *recovery) release(n int) {
	if r.tracked.Add(int64(-n)) == 0 {
		r.wake(0)
	}
}

// wake has tend called in a while, unless it will be earlier. Called with mu held.
func (r *recovery) wake(in time.Duration) { r.set(&r.timer, in, r.tend) }

// set has f called in a while by a timer of its own. Called with mu held.
func (r *recovery) set(timer **time.Timer, in time.Duration, f func()) {
	switch {
	case r.closed:
	case *timer == nil:
		*timer = time.AfterFunc(in, f)
	default:
		(*timer).Reset(in)
	}
}

// tend forgets the clients that have been away for too long and, when nobody is left, the messages.
func (r *recovery) tend() {
	now := time.Now()
	r.mu.Lock()
	n := r.away.expire(now)
	if next, some := r.away.next(); some {
		r.wake(next.Sub(now))
	}
	r.mu.Unlock()
	if r.tracked.Add(int64(-n)) > 0 {
		return
	}
	r.baton.with(func() {
		if r.tracked.Load() == 0 {
			r.log.Forget(r.current())
			r.oldest.Store(r.begun.Load())
		}
	})
}

// age has outdate called in a while.
func (r *recovery) age(in time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.set(&r.ager, in, r.outdate)
}

// outdate forgets the messages that nobody can come back for any more, as the next one would, which may be long in coming.
func (r *recovery) outdate() {
	r.baton.with(func() {
		var left time.Duration
		left, r.aging = r.memory.outdate(time.Now())
		if !r.aging {
			r.oldest.Store(r.begun.Load())
			return
		}
		r.oldest.Store(uint64(r.memory.records[0].At))
		r.age(left)
	})
}

// HasAway tells whether there are clients that can still come back.
func (h *Hub) HasAway() bool {
	r := h.recovery
	if r == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.away.byPID) > 0
}

// close lets nobody be recovered any more. What is there can be saved.
func (r *recovery) close() {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for _, timer := range []*time.Timer{r.timer, r.ager} {
		if timer != nil {
			timer.Stop()
		}
	}
}

// depart keeps the trail of a member whose connection has ended, if its client may come back. Called with the member's mu
// held, before it leaves the indexes, so that what is pushed meanwhile is logged.
func (r *recovery) depart(m *Member, t *trail, b *mailbox, back bool, kept any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.here, t.pid)
	r.moves.Add(1)
	n := 1
	if back && !t.over {
		t.leaver = m
		t.id, t.uid, t.kept, t.left, t.until = m.conn.ID(), m.UID(), kept, r.taken(), time.Now().Add(r.Window)
		if b.owing() {
			t.mail = b
		}
		t.own = make([]string, m.own)
		for i := range t.own {
			t.own[i] = m.rooms[i].name
		}
		if r.away.order == nil {
			r.wake(r.Window)
		}
		n = r.away.add(t, r.MaxBytes)
	}
	switch {
	case t.unshared:
	case back && !t.over:
		r.share(t)
	default:
		r.forget(t.pid)
	}
	r.release(n)
}

// share keeps, for other hubs, what is known of a client that is away. Called with mu held.
func (r *recovery) share(t *trail) {
	if r.Shared != nil && !t.unshared && r.away.byPID[t.pid] == t {
		r.Shared.Save(t.session(), nil)
	}
}

// departed says that the member of a trail has left, too. Called with the member's mu held.
func (r *recovery) departed(t *trail) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t.leaver = nil
}

// awaitLeave waits until the member of a trail has left: its id is free then. Called with no mu held.
func (r *recovery) awaitLeave(t *trail) {
	r.mu.Lock()
	m := t.leaver
	r.mu.Unlock()
	if m != nil {
		m.mu.Lock() // which it holds until then
		defer m.mu.Unlock()
	}
}

// enroll notes that a user who is away has become a member of a room.
func (r *recovery) enroll(uid, room string) {
	since := r.taken()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.away.users[uid] {
		if !t.over && t.find(SpanRoom, room) < 0 {
			t.begin(SpanRoom, room, since)
			r.away.rooms[room]++
			r.share(t)
		}
	}
}

// disenroll undoes enroll, except for who has joined the room as well.
func (r *recovery) disenroll(uid, room string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.away.users[uid] {
		if t.find(SpanRoom, room) >= 0 && !slices.Contains(t.own, room) {
			t.end(SpanRoom, room, r.current())
			decrease(r.away.rooms, room)
			r.share(t)
		}
	}
}

// expel lets nobody of the audience who is away come back.
func (r *recovery) expel(a *Audience) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, t := range r.away.byPID {
		if t.meets(a, open) && r.away.remove(t) {
			r.forget(t.pid)
			n++
		}
	}
	r.release(n)
}
