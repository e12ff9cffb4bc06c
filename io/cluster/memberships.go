package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/gomodule/redigo/redis"

	"crier/io/hub"
)

const (
	// followTimeout is how long a caller waits until a membership that is stored counts on this node.
	followTimeout = time.Second
	// rosterRead is how many memberships are read at once.
	rosterRead = 1000
)

// Members is what the [Memberships] are told to: a [hub.Hub] that stores none itself.
type Members interface {
	AddMembership(ctx context.Context, uid, room string) (joined int, err error)
	RemoveMembership(ctx context.Context, uid, room string) (left int, err error)
	Memberships(uid string) []string
	EachMembership(fn func(uid, room string))
}

// Memberships are which users are members of which rooms, on all nodes: they are stored in Redis, and an entry of the common
// stream tells each node's hub, which changes them in the one order, by nothing else.
//
// P:mem has "<uid> 0x00 <room>" with the position of its entry, P:memn how many rooms each user has.
type Memberships struct {
	// static
	node   *Node
	hub    Members
	log    *slog.Logger
	cancel context.CancelFunc
	ctx    context.Context
	wake   chan struct{}
	task   sync.WaitGroup

	mu      sync.Mutex
	reading bool    // they are being read from Redis, or are to be; until then entries wait
	late    bool    // entries are missing since
	entries []Entry // that wait
	passed  hub.Position
	waits   map[chan struct{}]hub.Position
}

// NewMemberships returns the memberships of a hub. Its node is not started yet.
func NewMemberships(n *Node, h Members, log *slog.Logger) *Memberships {
	m := &Memberships{node: n, hub: h, log: log, wake: make(chan struct{}, 1), reading: true, waits: make(map[chan struct{}]hub.Position)}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	n.OnEntry(KindJoined, m.take)
	n.OnEntry(KindLeft, m.take)
	n.OnReached(m.reached)
	n.OnGap(func(Gap) { m.again() })
	return m
}

// Start begins to read what there is, as soon as Redis is there.
func (m *Memberships) Start() { m.task.Go(m.run) }

// Close ends that.
func (m *Memberships) Close() {
	m.cancel()
	m.task.Wait()
}

// enrollScript adds a membership: the uid, the room, the entry, and how many rooms a user can have. It answers the position of
// the entry, 0 if the membership is there already, and how many connections the user has.
var enrollScript = nodeScript("add a membership", directory+`
	local uid, name = ARGV[4], ARGV[4] .. '\0' .. ARGV[5]
	local _, _, sum, mine = look(uid, NODE)
	sum = sum + (mine and count(mine) or 0)
	if redis.call('ZSCORE', P .. ':mem', name) then return {0, sum} end
	if tonumber(redis.call('HGET', P .. ':memn', uid) or '0') >= tonumber(ARGV[7]) then return redis.error_reply('MANY rooms') end
	local at = append('all', ARGV[6])
	redis.call('ZADD', P .. ':mem', text(at), name)
	redis.call('HINCRBY', P .. ':memn', uid, 1)
	return {at, sum}
`)

// expelScript undoes that.
var expelScript = nodeScript("remove a membership", directory+`
	local uid, name = ARGV[4], ARGV[4] .. '\0' .. ARGV[5]
	if redis.call('ZREM', P .. ':mem', name) == 0 then return {0, 0} end
	if redis.call('HINCRBY', P .. ':memn', uid, -1) <= 0 then redis.call('HDEL', P .. ':memn', uid) end
	local _, _, sum, mine = look(uid, NODE)
	return {append('all', ARGV[6]), sum + (mine and count(mine) or 0)}
`)

// AddMembership is [hub.Hub.AddMembership] for all nodes. It returns how many connections the user has, 0 if the membership was
// there. When it returns it is stored, and counts on this node unless that cannot be found out within a second. Its error can
// also wrap hub.ErrAway.
func (m *Memberships) AddMembership(ctx context.Context, uid, room string) (joined int, err error) {
	at, n, err := m.change(ctx, enrollScript, KindJoined, uid, room)
	if err != nil {
		return 0, fmt.Errorf("adding a member to a room: %w", err)
	}
	if at == 0 {
		return 0, nil
	}
	return n, nil
}

// RemoveMembership undoes AddMembership, likewise.
func (m *Memberships) RemoveMembership(ctx context.Context, uid, room string) (left int, err error) {
	_, n, err := m.change(ctx, expelScript, KindLeft, uid, room)
	if err != nil {
		return 0, fmt.Errorf("removing a member from a room: %w", err)
	}
	return n, nil
}

// Memberships are those of one user, as this node knows them.
func (m *Memberships) Memberships(uid string) []string { return m.hub.Memberships(uid) }

// change runs a script, and waits until the entry that it has added is carried out.
func (m *Memberships) change(ctx context.Context, s *Script, kind Kind, uid, room string) (hub.Position, int, error) {
	if err := hub.CheckUID(uid); err != nil {
		return 0, 0, err
	}
	if hub.CheckUID(room) != nil { // the rule is the same
		return 0, 0, hub.ErrBadRoom
	}
	entry := appendEntry(nil, kind, m.node.Name(), 0, []byte(uid+"\x00"+room))
	answer, err := redis.Int64s(m.node.Run(ctx, s, uid, room, entry, hub.MaxMemberships))
	var said redis.Error
	switch {
	case errors.As(err, &said) && strings.HasPrefix(string(said), "MANY"):
		return 0, 0, hub.ErrTooManyRooms
	case errors.Is(err, ErrInDoubt), errors.Is(err, ErrFenced):
		return 0, 0, fmt.Errorf("%w: %w", hub.ErrAway, err)
	case err == nil && len(answer) != 2:
		return 0, 0, fmt.Errorf("Redis answered %v, %w", answer, hub.ErrStore)
	case err != nil && !errors.Is(err, hub.ErrAway):
		return 0, 0, errors.Join(hub.ErrStore, err)
	case err != nil:
		return 0, 0, err
	}
	at := hub.Position(answer[0])
	m.await(ctx, at)
	return at, int(answer[1]), nil
}

// await waits until everything up to a position has been carried out, but not for long.
func (m *Memberships) await(ctx context.Context, at hub.Position) {
	m.mu.Lock()
	if m.passed >= at {
		m.mu.Unlock()
		return
	}
	reached := make(chan struct{})
	m.waits[reached] = at
	m.mu.Unlock()
	timer := time.NewTimer(followTimeout)
	defer timer.Stop()
	select {
	case <-reached:
	case <-timer.C:
	case <-ctx.Done():
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.waits, reached)
}

// reached is told what has been carried out.
func (m *Memberships) reached(at hub.Position) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.passed = max(m.passed, at)
	if !m.reading {
		m.release()
	}
}

// release lets those go on whose position has been reached. Called with mu held.
func (m *Memberships) release() {
	for reached, at := range m.waits {
		if at <= m.passed {
			close(reached)
			delete(m.waits, reached)
		}
	}
}

// take carries an entry out, or keeps it until what there was before has been read.
func (m *Memberships) take(e Entry) {
	m.mu.Lock()
	if m.reading {
		m.entries = append(m.entries, e)
		m.mu.Unlock()
		return
	}
	m.mu.Unlock()
	m.apply(e)
}

func (m *Memberships) apply(e Entry) {
	uid, room, _ := strings.Cut(string(e.Body), "\x00")
	var err error
	if e.Kind == KindJoined {
		_, err = m.hub.AddMembership(m.ctx, uid, room)
	} else {
		_, err = m.hub.RemoveMembership(m.ctx, uid, room)
	}
	if err != nil && !errors.Is(err, hub.ErrClosed) && m.ctx.Err() == nil {
		m.log.Error("a membership does not count here", "error", err)
	}
}

// again has them read once more, since entries are missing.
func (m *Memberships) again() {
	m.mu.Lock()
	m.reading, m.late, m.entries = true, true, nil
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// run reads them whenever it must.
func (m *Memberships) run() {
	if m.node.Ready(m.ctx) != nil {
		return
	}
	for {
		for pause := firstWait; ; pause = min(2*pause, lastWait) {
			err := m.read()
			if err == nil {
				break
			}
			if m.ctx.Err() == nil && !errors.Is(err, ErrAway) {
				m.log.Error("the memberships of rooms could not be read, and are not followed; it is tried again", "error", err)
			}
			select {
			case <-m.ctx.Done():
				return
			case <-time.After(pause):
			}
		}
		select {
		case <-m.ctx.Done():
			return
		case <-m.wake:
		}
	}
}

// read has the hub know what is in Redis, and then what has changed meanwhile.
func (m *Memberships) read() error {
	m.mu.Lock()
	m.late = false
	m.mu.Unlock()
	there := make(map[string]bool)
	for after := "-inf"; ; {
		names, last, err := m.some(after)
		if err != nil {
			return err
		}
		for _, name := range names {
			there[name] = true
			m.apply(Entry{Kind: KindJoined, Body: []byte(name)})
		}
		if len(names) < rosterRead {
			break
		}
		after = "(" + last
	}
	var gone []string
	m.hub.EachMembership(func(uid, room string) {
		if name := uid + "\x00" + room; !there[name] {
			gone = append(gone, name)
		}
	})
	for _, name := range gone {
		m.apply(Entry{Kind: KindLeft, Body: []byte(name)})
	}
	return m.catchUp()
}

// some returns the next memberships, in the order of their positions, and that of the last one.
func (m *Memberships) some(after string) (names []string, last string, err error) {
	pairs, err := redis.Strings(m.node.client.Command(m.ctx, "ZRANGEBYSCORE", m.node.Key("mem"), after, "+inf", "WITHSCORES", "LIMIT", 0, rosterRead))
	if err != nil {
		return nil, "", fmt.Errorf("reading the memberships: %w", err)
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		names = append(names, pairs[i])
		last = pairs[i+1]
	}
	return names, last, nil
}

// errLate says that more entries were missed while the memberships were read.
var errLate = errors.New("entries are missing again")

// catchUp carries out the entries that have waited.
func (m *Memberships) catchUp() error {
	for {
		m.mu.Lock()
		if m.late {
			m.mu.Unlock()
			return errLate
		}
		entries := m.entries
		m.entries = nil
		if len(entries) == 0 {
			m.reading = false
			m.release()
			m.mu.Unlock()
			return nil
		}
		m.mu.Unlock()
		for _, e := range entries {
			m.apply(e)
		}
	}
}
