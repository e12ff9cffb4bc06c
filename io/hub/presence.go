package hub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// errUnreported says that close had to give up.
var errUnreported = errors.New("not every user could be reported offline in time")

// Why a user went offline.
const (
	CauseDisconnect = "disconnect" // the last connection ended
	CauseLogout     = "logout"     // the last connection logged out
	CauseShutdown   = "shutdown"   // the hub was closed while the user had a connection, or had lost it less than the delay ago
)

// PresenceChange says that a user came online or went offline. The changes of one user alternate.
type PresenceChange struct {
	UID    string
	Online bool
	// Version grows with every change of any user. It starts at the time in microseconds since 1970 and is never behind
	// it, so that it also grows across restarts and, with clocks in step, from node to node.
	Version uint64
	// Connections is how many the user has now, at least 1 when online, 0 when offline.
	Connections int
	// Cause is CauseDisconnect, CauseLogout or CauseShutdown for offline, and empty for online.
	Cause string
	// Time is that of the login for online; for offline, when it was decided, the delay included.
	Time time.Time
}

// presence turns logins and departures into changes. A user in the index of users has been reported online or is among
// the arrivals; one who is removed from the index has been decided to be offline. So each user waits at most twice (as
// arrival and as departure), and a storm of logins and logouts makes no queue grow.
type presence struct {
	// Static.
	delay   time.Duration
	observe func(PresenceChange)
	log     *slog.Logger
	indexes *indexes
	start   time.Time     // departures are due so long after it
	wake    chan struct{} // holds one token when there is something new
	stop    chan struct{} // closed by Close: report everybody offline, then end
	abort   chan struct{} // closed when Close has no more time
	done    chan struct{} // closed at the end of run

	// Owned by run.
	version    uint64
	spare      []arrival    // reused by take
	due        []*departure // reused by take
	unreported int          // users flush gave up; may be read once done is closed

	mu                sync.Mutex
	stopping, aborted bool // stop, abort is closed
	arrivals          []arrival
	head, tail        *departure // by time, earliest first: the delay is always the same
}

// maxSpare is how large a buffer, in elements, is kept for the next time.
const maxSpare = 1024

// arrival is a user to be reported online.
type arrival struct {
	user *user
	at   time.Time
}

// departure is a user without connections, to be reported offline when due unless cancelled before.
type departure struct {
	// Static.
	user  *user
	cause string
	due   time.Duration // since presence.start

	// Guarded by presence.mu.
	prev, next *departure
	queued     bool
}

// newPresence starts the goroutine; close ends it.
func newPresence(o Options, x *indexes) *presence {
	now := time.Now()
	p := &presence{
		delay:   o.OfflineDelay,
		observe: o.Presence,
		log:     o.Logger,
		indexes: x,
		start:   now,
		version: uint64(now.UnixMicro()),
		wake:    make(chan struct{}, 1),
		stop:    make(chan struct{}),
		abort:   make(chan struct{}),
		done:    make(chan struct{}),
	}
	go p.run()
	return p
}

// arrive has u reported online. Called with the mu of u's shard held.
func (p *presence) arrive(u *user) {
	p.mu.Lock()
	p.arrivals = append(p.arrivals, arrival{user: u, at: time.Now()})
	first := len(p.arrivals) == 1
	p.mu.Unlock()
	if first {
		p.signal()
	}
}

// depart has u reported offline after the delay. Called with the mu of u's shard held.
func (p *presence) depart(u *user, cause string) *departure {
	d := &departure{user: u, cause: cause, queued: true}
	p.mu.Lock()
	d.due = time.Since(p.start) + p.delay // read under mu, so that the list stays in order
	first := p.head == nil
	if first {
		p.head = d
	} else {
		d.prev = p.tail
		p.tail.next = d
	}
	p.tail = d
	p.mu.Unlock()
	if first {
		p.signal()
	}
	return d
}

// cancel forgets d, whose user is back. Called with the mu of the user's shard held.
func (p *presence) cancel(d *departure) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d.queued { // otherwise run holds it already, and will see that it is the user's no more
		p.unlink(d)
	}
}

// unlink takes d out of the list. Called with mu held.
func (p *presence) unlink(d *departure) {
	if d.prev == nil {
		p.head = d.next
	} else {
		d.prev.next = d.next
	}
	if d.next == nil {
		p.tail = d.prev
	} else {
		d.next.prev = d.prev
	}
	d.prev, d.next, d.queued = nil, nil, false
}

func (p *presence) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// run reports changes until close.
func (p *presence) run() {
	defer close(p.done)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		wait, waiting := p.report(time.Since(p.start))
		if waiting {
			timer.Reset(wait)
		} else {
			timer.Stop()
		}
		select {
		case <-p.wake:
		case <-timer.C:
		case <-p.stop:
			p.flush()
			return
		}
	}
}

// report reports the arrivals and the departures due by now, and returns how long the next departure has to wait, if
// there is one.
func (p *presence) report(now time.Duration) (wait time.Duration, waiting bool) {
	// Taken together, so that a user who is in both is reported online first.
	arrivals, due, wait, waiting := p.take(now)
	for _, a := range arrivals {
		if p.expired() {
			return 0, false
		}
		p.online(a)
	}
	for _, d := range due {
		if p.expired() {
			return 0, false
		}
		p.offline(d)
	}
	clear(arrivals)
	clear(due)
	if cap(arrivals) <= maxSpare {
		p.spare = arrivals[:0]
	}
	if p.due = due[:0]; cap(due) > maxSpare {
		p.due = nil
	}
	return wait, waiting
}

// take removes from the queues what is to be reported now.
func (p *presence) take(now time.Duration) (arrivals []arrival, due []*departure, wait time.Duration, waiting bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	arrivals, p.arrivals = p.arrivals, p.spare
	p.spare = nil
	due = p.due[:0]
	for p.head != nil && p.head.due <= now {
		due = append(due, p.head)
		p.unlink(p.head)
	}
	if p.head != nil {
		return arrivals, due, p.head.due - now, true
	}
	return arrivals, due, 0, false
}

// online reports a user who came, also one who has left since: the departure is queued and follows.
func (p *presence) online(a arrival) {
	s := p.indexes.userShard(a.user.uid)
	s.mu.Lock()
	n := len(a.user.members.list)
	s.mu.Unlock()
	p.tell(PresenceChange{UID: a.user.uid, Online: true, Connections: max(n, 1), Time: a.at})
}

// offline reports a user whose time is up, unless back.
func (p *presence) offline(d *departure) {
	u := d.user
	s := p.indexes.userShard(u.uid)
	s.mu.Lock()
	if u.departure != d {
		s.mu.Unlock()
		return
	}
	u.departure = nil
	delete(s.byUID, u.uid) // the next login makes a new user, and an arrival behind this change
	now := time.Now()
	s.mu.Unlock()
	p.tell(PresenceChange{UID: u.uid, Cause: d.cause, Time: now})
}

// tell numbers the change and hands it to the observer.
func (p *presence) tell(c PresenceChange) {
	p.version = max(p.version+1, uint64(max(time.Now().UnixMicro(), 0)))
	c.Version = p.version
	p.observe(c)
}

// expired tells whether Close has run out of time.
func (p *presence) expired() bool {
	select {
	case <-p.abort:
		return true
	default:
		return false
	}
}

// flush reports everybody offline. There are no logins any more.
func (p *presence) flush() {
	owed := p.collect()
	// Every login that was not refused had finished before collect came by its shard.
	p.report(time.Since(p.start))
	for i, c := range owed {
		if p.expired() {
			p.unreported = len(owed) - i
			p.log.Warn("presence changes not reported", "users", p.unreported)
			return
		}
		c.Time = time.Now()
		p.tell(c)
	}
}

// collect returns the offline changes of all users who are in the index, and leaves there only those with connections,
// marked as done with.
func (p *presence) collect() []PresenceChange {
	now := time.Since(p.start)
	var owed []PresenceChange
	for i := range p.indexes.users {
		s := &p.indexes.users[i]
		s.mu.Lock()
		for uid, u := range s.byUID {
			c := PresenceChange{UID: uid, Cause: CauseShutdown}
			if d := u.departure; d != nil {
				if d.cause == CauseLogout || d.due <= now {
					c.Cause = d.cause
				}
				p.cancel(d)
				u.departure = nil
				delete(s.byUID, uid)
			}
			u.flushed = true
			owed = append(owed, c)
		}
		s.mu.Unlock()
	}
	return owed
}

// close reports everybody offline and waits for the end of run or of ctx.
func (p *presence) close(ctx context.Context) error {
	p.mu.Lock()
	if !p.stopping {
		p.stopping = true
		close(p.stop)
	}
	p.mu.Unlock()
	select {
	case <-p.done:
	case <-ctx.Done():
		return p.giveUp(ctx)
	}
	if p.unreported > 0 {
		return errUnreported
	}
	return nil
}

// giveUp has run end after the change it is reporting, and does not wait for that.
func (p *presence) giveUp(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.aborted {
		p.aborted = true
		close(p.abort)
	}
	return fmt.Errorf("%w: %w", errUnreported, context.Cause(ctx))
}
