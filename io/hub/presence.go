package hub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// errUnreported says that close had to give up.
var errUnreported = errors.New("not every user could be reported offline in time")

// Why a user went offline.
const (
	CauseDisconnect = "disconnect" // the last connection ended
	CauseLogout     = "logout"     // the last connection logged out
	CauseShutdown   = "shutdown"   // the hub was closed while the user had a connection, or had lost it less than the delay ago
	CauseRestart    = "restart"    // the user was online when the program ended, and did not come back in time
	CauseNode       = "node"       // the server that the user was connected to has failed, or cannot be reached
)

// PresenceChange says that a user came online or went offline. The changes of one user alternate.
type PresenceChange struct {
	UID    string
	Online bool
	// Version grows with every change of any user. It starts at the time in microseconds since 1970 and is never behind
	// it, so that it also grows across restarts and, with clocks in step, from node to node; with [Restart.Version] it
	// does so whatever the clock says.
	Version uint64
	// Connections is how many the user has now, at least 1 when online, 0 when offline.
	Connections int
	// Cause is one of the causes above for offline, and empty for online.
	Cause string
	// Trails tells, with an [Attendance] only, whether a connection that can be recovered has been there since the user came.
	Trails bool
	// Time is that of the login for online; for offline, when it was decided, the delay included.
	Time time.Time
}

// Restart says that the observer of a [Hub] keeps what it is told beyond the end of the program, and what it has kept.
// Closing the hub then reports nobody offline: who does not come back is, after the next start.
type Restart struct {
	// Online are the users who were online according to the last change that the observer has kept of each. They count as
	// such until Grace has passed: who logs in before causes no change, who does not is reported offline with CauseRestart.
	Online []string
	// Grace is how long they have from [Hub.Open] on.
	Grace time.Duration
	// Version is the greatest of all changes kept. Those to come have greater ones.
	Version uint64
}

// presence turns logins and departures into changes. The observer has been told of each user whether he is online
// (user.told); where that is not so any more, the user is pending until the observer has taken the change. What cancels
// out before is not told, except that a visit is, if the observer takes changes at all. So each user is pending once,
// whatever he does, and a storm of logins and logouts makes no queue grow.
type presence struct {
	// Static.
	delay      time.Duration
	tick       time.Duration
	keep       bool // the observer remembers who is online
	observe    func([]PresenceChange) error
	attendance Attendance // nil: there is one hub, and observe is told
	batch      int        // how many users the changes of one call are about, at most
	log        *slog.Logger
	indexes    *indexes
	start      time.Time     // departures are due so long after it
	wake       chan struct{} // holds one token when there is something new
	stop       chan struct{} // closed by Close: report what is owed, then end
	abort      chan struct{} // closed when Close has no more time
	done       chan struct{} // closed at the end of run

	// Owned by run.
	version    uint64
	pending    []*user          // who may be otherwise than the observer was told; each has dirty set
	due        []*departure     // reused by take
	changes    []PresenceChange // reused by gather
	subjects   []subject        // of the changes; reused by gather
	trouble    trouble
	unreported int // users flush gave up; may be read once done is closed

	mu                          sync.Mutex
	stopping, aborted, draining bool              // stop, abort is closed; drain was called
	arrivals                    []*user           // to be pending
	leaving                     departures        // whose last connection has ended
	absent                      departures        // who were online before the program was started, and are not back
	opened                      bool              // until then their times are not set
	waits                       map[*user][]*wait // logins that wait until the Attendance has taken them
	crossing                    []*wait           // those that wait for their position, then
	settled                     Position          // the greatest that the Attendance has returned
	passed                      Position          // has been reached

	lists atomic.Uint64 // how often everybody was to be told of once more
}

// newPresence starts the goroutine; close ends it.
func newPresence(o Options, x *indexes) *presence {
	now := time.Now()
	p := &presence{
		delay:      o.OfflineDelay,
		tick:       o.PresenceTick,
		observe:    o.Presence,
		attendance: o.Attendance,
		batch:      maxBatch,
		log:        o.Logger,
		indexes:    x,
		start:      now,
		version:    uint64(max(now.UnixMicro(), 0)),
		wake:       make(chan struct{}, 1),
		stop:       make(chan struct{}),
		abort:      make(chan struct{}),
		done:       make(chan struct{}),
		trouble:    trouble{log: o.Logger},
	}
	if r := o.Restart; r != nil {
		p.keep = true
		p.version = max(p.version, r.Version)
		p.expect(r)
	}
	if o.Attendance != nil {
		p.keep, p.batch = true, attendBatch
	}
	go p.run()
	return p
}

// expect files the users who were online before the program was started.
func (p *presence) expect(r *Restart) {
	for _, uid := range r.Online {
		s := p.indexes.userShard(uid)
		u, created := s.user(uid)
		if !created {
			continue
		}
		u.told = true
		u.departure = &departure{user: u, cause: CauseRestart, due: r.Grace}
		p.absent.push(u.departure)
	}
}

// open sets the time by which who was online before has to be back.
func (p *presence) open() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.opened {
		return
	}
	p.opened = true
	since := time.Since(p.start)
	for d := p.absent.head; d != nil; d = d.next {
		d.due += since
	}
	p.signal()
}

// arrive says that u has a connection, and had none. Called with the mu of u's shard held.
func (p *presence) arrive(u *user) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d := u.departure; d != nil {
		u.departure = nil
		if d.in != nil { // the time is not up
			d.in.unlink(d)
			if p.attendance != nil {
				p.touchLocked(u)
			}
			return
		}
	}
	u.arrived = time.Since(p.start)
	p.touchLocked(u)
}

// depart says that u has no connection any more. Called with the mu of u's shard held.
func (p *presence) depart(u *user, cause string) *departure {
	d := &departure{user: u, cause: cause}
	p.mu.Lock()
	d.due = time.Since(p.start) + p.delay // read under mu, so that the list stays in order
	first := p.leaving.head == nil
	p.leaving.push(d)
	p.mu.Unlock()
	if first {
		p.signal()
	}
	return d
}

// drain keeps users from being reported offline when the program is going to end and closes their connections, if the
// observer remembers who is online.
func (p *presence) drain() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.draining = true
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
		hold := p.round()
		wake := p.wake
		switch {
		case hold > 0: // whatever comes
			wake = nil
		case len(p.pending) == 0:
			hold = p.untilDue()
		}
		timer.Reset(hold)
		select {
		case <-wake:
		case <-timer.C:
		case <-p.stop:
			p.flush()
			return
		}
	}
}

// close reports everybody offline, unless the observer remembers, and waits for the end of run or of ctx.
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

// giveUp has run end after the changes it is reporting, and does not wait for that.
func (p *presence) giveUp(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.aborted {
		p.aborted = true
		close(p.abort)
	}
	return fmt.Errorf("%w: %w", errUnreported, context.Cause(ctx))
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
