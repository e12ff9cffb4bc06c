package hub

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Options are the settings of a [Hub].
type Options struct {
	// LoginFirst makes a connection enter the hub when it logs in, not when it connects. Until then, and again after a
	// Logout, no audience has it, not even All, and it cannot join rooms.
	LoginFirst bool
	// OfflineDelay is how long a user must be without any connection to be offline. Zero: at once.
	OfflineDelay time.Duration
	// Presence is told every change, in order, those that have gathered at once, by one goroutine, never under a lock; it
	// must not keep the slice. While it runs, further changes wait (one per user), so it may take its time, but it must
	// return, and must not call Close. When it returns an error, it has taken none of the changes: those that still hold
	// are reported again a little later. Nil: changes are not followed.
	Presence func([]PresenceChange) error
	// Attendance, if not nil, takes the place of Presence in a hub that is one of several. It remembers who is online, as with
	// Restart.
	Attendance Attendance
	// PresenceTick is the least time between two calls of Presence. Zero: none.
	PresenceTick time.Duration
	// Restart, if not nil, says that Presence keeps what it is told beyond the end of the program.
	Restart *Restart
	// RoomPresence is told which users come into rooms and leave them, in order, by one goroutine of its own, never under a
	// lock. A user whose last connection in a room ended is there for OfflineDelay still. It must return, and must not
	// call Close. Nil: that is not followed, and costs nothing.
	RoomPresence func(RoomChange)
	// Recovery lets connections be recovered. Nil: none can, and it costs nothing.
	Recovery *Recovery
	// Memberships keep those of [Hub.AddMembership]; New reads them. Nil: they end with the hub.
	Memberships Memberships
	// Inbox keeps the messages of [Hub.Store]; its users get them when they log in. Nil: there is none.
	Inbox Inbox
	// QueueMessages and QueueBytes are how much the queue of a connection takes, for those that catch up with the Inbox: they
	// are given a quarter of it at a time, and half of it may wait behind that. Zero: 1,000 and 1 MiB.
	QueueMessages, QueueBytes int
	// Logger gets what nobody can be told otherwise. Nil: nothing is logged.
	Logger *slog.Logger
}

// Hub knows who is connected and brings messages to them. All its methods may be called by many goroutines at once.
type Hub struct {
	// Static.
	log        *slog.Logger
	loginFirst bool
	presence   *presence     // nil without an observer
	rooms      *roomWatch    // nil without an observer
	recovery   *recovery     // nil if no connection can be recovered
	helpers    chan struct{} // a token for each goroutine that helps with large deliveries, GOMAXPROCS-1 in the whole hub
	inbox      Inbox         // nil: there is none
	shared     SharedInbox   // the inbox, if it is one
	limit      limit
	idPrefix   string

	tasks    tasks
	outbox   outbox
	drift    drift
	portions portions
	unread   complaint
	indexes  indexes // each shard has its own lock
	lane     lane
	scratch  sync.Pool

	closed  atomic.Bool
	lastID  atomic.Uint64
	counter counters
	members atomic.Pointer[roster] // nil while there has been no membership
	asked   atomic.Int64           // connections that an Ask waits for
	kept    atomic.Int64           // bytes of answers that an Ask with Keep has
}

// counters are the figures behind Stats.
type counters struct {
	users, connections, sockets           atomic.Int64
	pushes, delivered, slow, gone, failed atomic.Uint64
}

// Stats is how much there is and has been. The gauges and the totals are read one after the other, not as a snapshot.
type Stats struct {
	Users       int // distinct users with at least one connection
	Connections int // logged-in connections
	Sockets     int // all connections, those that have not entered yet included

	Pushes    uint64 // pushes since the start, those that matched nobody included
	Delivered uint64 // deliveries taken by a connection
	Slow      uint64 // deliveries dropped with ErrSlow
	Gone      uint64 // deliveries dropped with ErrGone
	Failed    uint64 // deliveries dropped with any other error
}

// New returns a Hub. The caller must call [Hub.Close] in the end. It fails if an option is out of range,
// or the memberships cannot be read.
func New(o Options) (*Hub, error) {
	if o.OfflineDelay < 0 {
		return nil, fmt.Errorf("making a hub: the offline delay is %s; it must not be negative", o.OfflineDelay)
	}
	if o.PresenceTick < 0 || o.Restart != nil && o.Restart.Grace < 0 {
		return nil, errors.New("making a hub: the presence tick and the restart grace must not be negative")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	limit, err := newLimit(&o)
	if err != nil {
		return nil, fmt.Errorf("making a hub: %w", err)
	}
	h := &Hub{
		inbox:      o.Inbox,
		limit:      limit,
		log:        o.Logger,
		loginFirst: o.LoginFirst,
		helpers:    make(chan struct{}, runtime.GOMAXPROCS(0)-1),
		idPrefix:   rand.Text()[:13],
		scratch:    sync.Pool{New: func() any { return new(scratch) }},
	}
	h.shared, _ = o.Inbox.(SharedInbox)
	h.indexes.init()
	h.lane.all = &h.indexes.everybody
	if o.Inbox != nil {
		last := o.Inbox.Last()
		h.outbox.begun.Store(last)
		h.outbox.passed.Store(last)
	}
	if o.Memberships != nil {
		if err := h.loadRoster(o.Memberships); err != nil {
			return nil, fmt.Errorf("making a hub: %w", err)
		}
	}
	if o.Recovery != nil {
		if err := o.Recovery.check(); err != nil {
			return nil, fmt.Errorf("making a hub: %w", err)
		}
		h.recovery = newRecovery(*o.Recovery)
		if err := h.recovery.restore(); err != nil { // it would be no use to anybody if the program did not start
			h.log.Warn("clients of before the restart are not recovered", "error", err)
		}
	}
	if o.Presence != nil || o.Attendance != nil {
		h.presence = newPresence(o, &h.indexes, h.attended)
	}
	if o.RoomPresence != nil {
		h.rooms = newRoomWatch(o)
	}
	return h, nil
}

// Connect counts c among all connections and returns its handle; the caller must call [Member.Gone] when c ends. Messages
// can be for it from now on, or from its login with [Options].LoginFirst. It fails with [ErrBadConnectionID],
// [ErrDuplicateID] or [ErrClosed].
func (h *Hub) Connect(c Conn) (*Member, error) {
	id := c.ID()
	if !validName(id) {
		return nil, ErrBadConnectionID
	}
	if h.closed.Load() {
		return nil, ErrClosed
	}
	m := &Member{hub: h, conn: c, slot: outside}
	m.heard.Store(beyond)
	if !h.indexes.connShard(id).add(id, m) {
		return nil, ErrDuplicateID
	}
	if !h.loginFirst {
		h.indexes.everybody.enter(m)
	}
	h.counter.sockets.Add(1)
	return m, nil
}

// Online tells whether the user has at least one connection.
func (h *Hub) Online(uid string) bool {
	s := h.indexes.userShard(uid)
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.byUID[uid]
	return u != nil && len(u.members.list) > 0
}

// Stats returns the current figures, at the same small cost however many connections there are.
func (h *Hub) Stats() Stats {
	c := &h.counter
	return Stats{
		Users:       int(c.users.Load()),
		Connections: int(c.connections.Load()),
		Sockets:     int(c.sockets.Load()),
		Pushes:      c.pushes.Load(),
		Delivered:   c.delivered.Load(),
		Slow:        c.slow.Load(),
		Gone:        c.gone.Load(),
		Failed:      c.failed.Load(),
	}
}

// Open says that clients can connect from now on: the grace of [Options.Restart] begins.
func (h *Hub) Open() {
	if h.presence != nil {
		h.presence.open()
	}
}

// Drain says that connections end from now on because the program does: with [Options.Restart], their users are not
// reported offline any more. Without that, it does nothing.
func (h *Hub) Drain() {
	if h.presence != nil {
		h.presence.drain()
	}
}

// Close makes Connect, Login, Push and Store fail with [ErrClosed] and, without [Options.Restart], reports every user who was
// reported online as offline; rooms are told no more. It waits for the observer, and for what is on its way to the inbox,
// until ctx ends, then gives up the rest and says so. It may be called again, at any time. It does
// not touch the connections: their owner ends them, before or after.
func (h *Hub) Close(ctx context.Context) error {
	h.closed.Store(true)
	h.rooms.close()
	err := h.tasks.close(ctx)
	h.recovery.close()
	if h.presence != nil {
		err = errors.Join(err, h.presence.close(ctx))
	}
	if err != nil {
		return fmt.Errorf("closing the hub: %w", err)
	}
	return nil
}

// newID returns an id no other message has, of this process or another.
func (h *Hub) newID() string {
	var b [32]byte
	id := append(b[:0], h.idPrefix...)
	return string(strconv.AppendUint(append(id, '-'), h.lastID.Add(1), 36))
}
