package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gomodule/redigo/redis"

	"crier/io/hub"
)

const (
	// RefreshInterval is how often it is noted how far the connections are, and that they are there. What a client can come
	// back for must be kept for that much longer.
	RefreshInterval = 30 * time.Second
	// retryInterval is how soon what could not be noted is tried again.
	retryInterval = time.Second
	// refreshBatch is how many sessions one script refreshes.
	refreshBatch = 256
	// claimTimeout bounds the wait of a client that comes back.
	claimTimeout = 2 * time.Second
	// claimHold is for how long nobody else can claim a session that is being claimed.
	claimHold = 10 * time.Second
	// busyInterval is how often it is tried to claim a session that somebody else claims.
	busyInterval = 20 * time.Millisecond
	// maxPID is how long a PID can be; what is longer was never given to anybody.
	maxPID = 64
	// maxForgotten bounds the sessions that wait to be forgotten while Redis is away.
	maxForgotten = 100_000
)

var (
	errNoSession = errors.New("there is no such session, or not any more")
	errTaken     = errors.New("another server has the session")
	errBusy      = errors.New("the session is being claimed")
	errMissing   = errors.New("entries may be missing")
)

// SessionOptions are the settings of [Sessions].
type SessionOptions struct {
	// Node is this server; it must not have been started. Required.
	Node *Node
	// Recovery is what the hub has. Required.
	Recovery hub.Recovery
	// Logger gets what is wrong. Nil: nothing is logged.
	Logger *slog.Logger
}

// Sessions are what clients are recovered by, on whichever node: a [hub.Shared].
//
// P:r:<pid> is a session: s is it as JSON, u its user, o the node that has it, l and f are Last and Left of it, p the nodes that
// had it, one a line, each behind the position from which on it had; k the time in microseconds when it was claimed, while it is.
type Sessions struct {
	// static
	node   *Node
	window time.Duration
	past   past
	log    *slog.Logger
	hub    *hub.Hub      // once started
	wake   chan struct{} // holds one token when there is something to see to
	ended  chan struct{} // closed at the end of run

	cancel atomic.Pointer[context.CancelFunc] // nil before Start
	lost   atomic.Uint64                      // sessions that have ended because something may be missing
	sure   atomic.Int64                       // when everything was refreshed last, in nanoseconds since start
	start  time.Time

	mu      sync.Mutex
	unsaved map[string]bool          // pids whose sessions could not be saved
	dead    map[string]bool          // and of those that could not be forgotten
	claims  map[string]chan struct{} // by pid; closed by the hub's taking over
	marks   map[uint64]chan struct{} // by number; closed when the mark has been carried out
	number  uint64
}

// NewSessions returns Sessions that do nothing yet. They are given to the hub in its Recovery.
func NewSessions(o SessionOptions) (*Sessions, error) {
	if o.Node == nil || o.Recovery.Window <= 0 {
		return nil, errors.New("cluster: Node or the window of the Recovery is missing in SessionOptions")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Sessions{
		node: o.Node, window: o.Recovery.Window, log: o.Logger, wake: make(chan struct{}, 1), ended: make(chan struct{}), start: time.Now(),
		unsaved: make(map[string]bool), dead: make(map[string]bool),
		claims: make(map[string]chan struct{}), marks: make(map[uint64]chan struct{}),
	}
	s.past = past{node: o.Node, limits: o.Recovery, replicas: make(map[string]*replica)}
	return s, nil
}

// Start begins, with the hub that has them, before the node is started.
func (s *Sessions) Start(h *hub.Hub) {
	s.hub = h
	n := s.node
	n.OnEntry(KindExpel, func(e Entry) { h.Expel(string(e.Body)) })
	n.OnEntry(KindTaken, s.takeOver)
	n.OnEntry(KindMark, func(e Entry) {
		h.Passed(e.At)
		s.mu.Lock()
		defer s.mu.Unlock()
		if mark := s.marks[e.Number]; mark != nil && e.Origin == n.Name() {
			close(mark)
			delete(s.marks, e.Number)
		}
	})
	n.OnReached(h.Passed)
	n.OnGap(func(Gap) { s.interrupt("what other servers have pushed is missing here") })
	n.OnJoin(s.join)
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel.Store(&cancel)
	go func() {
		defer close(s.ended)
		s.run(ctx)
	}()
}

// Close notes what has not been noted yet, if Redis is there: before the node is closed, and when the connections have ended.
// It is bounded by ctx, and may be called again, and without Start.
func (s *Sessions) Close(ctx context.Context) error {
	cancel := s.cancel.Load()
	if cancel == nil {
		return nil
	}
	(*cancel)()
	select {
	case <-s.ended:
	case <-ctx.Done():
		return fmt.Errorf("noting what clients can be recovered by: %w", ctx.Err())
	}
	if !s.node.Client().Up() {
		return nil
	}
	if _, err := s.node.Client().Command(ctx, "PING"); err != nil && !errors.Is(err, ErrAway) { // behind everything else
		return fmt.Errorf("noting what clients can be recovered by: %w", err)
	}
	return nil
}

// Lost is how many sessions have ended because something may be missing that was for them.
func (s *Sessions) Lost() uint64 { return s.lost.Load() }

// Up implements [hub.Shared].
func (s *Sessions) Up() bool { return s.node.Client().Up() && s.node.Epoch() != 0 }

// Save implements [hub.Shared].
func (s *Sessions) Save(one *hub.Recoverable, saved func(error)) {
	if saved == nil {
		saved = func(error) {}
	}
	data, err := json.Marshal(one)
	if err != nil {
		saved(err)
		return
	}
	pid := one.PID
	path := one.Path
	if path == "" {
		path = stay(one.Start, s.node.Name())
	}
	s.node.Go(func(reply any, err error) {
		mine, err := redis.Bool(reply, err)
		switch {
		case err != nil:
			s.later(pid, true)
		case !mine: // its entry is on the way
			err = errTaken
		}
		saved(err)
	}, saveSessionScript, pid, one.UID, data, uint64(one.Last), uint64(one.Left), path, s.ttl())
}

// ttl is how long a session is kept that nobody refreshes, in milliseconds.
func (s *Sessions) ttl() int64 { return (s.node.options.Keep + 2*RefreshInterval).Milliseconds() }

// later has a session saved again, or forgotten.
func (s *Sessions) later(pid string, save bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	what := s.dead
	if save {
		what = s.unsaved
	}
	if len(what) < maxForgotten {
		what[pid] = true
	}
	s.signal()
}

// Forget implements [hub.Shared].
func (s *Sessions) Forget(pid string) {
	s.node.Go(func(_ any, err error) {
		if err != nil {
			s.later(pid, false)
		}
	}, forgetSessionScript, pid)
}

// Owner implements [hub.Shared].
func (s *Sessions) Owner(pid string) (uid string, there bool) {
	if len(pid) > maxPID {
		return "", false
	}
	ctx, cancel := context.WithTimeout(context.Background(), claimTimeout)
	defer cancel()
	uid, err := redis.String(s.node.Client().Command(ctx, "HGET", s.node.Key("r", pid), "u"))
	return uid, err == nil
}

// Claim implements [hub.Shared].
func (s *Sessions) Claim(pid string, mine bool) error {
	if len(pid) > maxPID {
		return errNoSession
	}
	ctx, cancel := context.WithTimeout(context.Background(), claimTimeout)
	defer cancel()
	taken, free := s.expect(pid)
	if !free {
		return errBusy
	}
	defer s.unexpect(pid)
	for {
		reply, err := redis.String(s.node.Run(ctx, claimSessionScript, pid, mine, s.window.Microseconds(), s.node.options.Keep.Microseconds(),
			claimHold.Microseconds(), s.ttl(), s.frame(KindExpel, pid), s.frame(KindTaken, "")))
		switch {
		case err != nil:
			return err
		case reply == "none":
			return errNoSession
		case reply == "mine":
			return nil
		case reply != "busy":
			select {
			case <-taken:
				return nil
			case <-ctx.Done():
				return fmt.Errorf("waiting for a session: %w", ctx.Err())
			}
		case !pause(ctx, busyInterval): // the client has been somewhere else a moment ago
			return errBusy
		}
	}
}

func (s *Sessions) frame(kind Kind, body string) []byte {
	return appendEntry(nil, kind, s.node.Name(), 0, []byte(body))
}

// expect returns what is closed when a session has been taken over. It is not free if somebody waits for that.
func (s *Sessions) expect(pid string) (taken chan struct{}, free bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.claims[pid] != nil {
		return nil, false
	}
	taken = make(chan struct{})
	s.claims[pid] = taken
	return taken, true
}

func (s *Sessions) unexpect(pid string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.claims, pid)
}

// takeOver carries out what claimSessionScript has added: the session, Last and Left, and the path, one behind the other, each behind
// the end of a line.
func (s *Sessions) takeOver(e Entry) {
	one, err := parseTaken(e.Body)
	if err != nil || e.Origin != s.node.Name() {
		s.log.Warn("a session that was to be taken over is passed over", "error", err)
		return
	}
	one.Path += stay(e.At, e.Origin)
	s.hub.TakeOver(e.At, one)
	s.mu.Lock()
	defer s.mu.Unlock()
	if taken := s.claims[one.PID]; taken != nil {
		close(taken)
		delete(s.claims, one.PID)
	}
}

func parseTaken(body []byte) (*hub.Recoverable, error) {
	data, rest, _ := bytes.Cut(body, []byte("\n"))
	numbers, path, _ := bytes.Cut(rest, []byte("\n"))
	last, left, _ := bytes.Cut(numbers, []byte(" "))
	one := new(hub.Recoverable)
	if err := json.Unmarshal(data, one); err != nil {
		return nil, err
	}
	for _, n := range []struct {
		text []byte
		at   *hub.Position
	}{{last, &one.Last}, {left, &one.Left}} {
		at, err := strconv.ParseUint(string(n.text), 10, 64)
		if err != nil {
			return nil, err
		}
		*n.at = hub.Position(at)
	}
	one.Path = string(path)
	return one, nil
}

// interrupt ends all sessions here.
func (s *Sessions) interrupt(why string) {
	n := s.hub.Interrupt(s.node.Born())
	s.lost.Add(uint64(n))
	if n > 0 {
		s.log.Warn("clients that can be recovered have to begin anew", "clients", n, "reason", why)
	}
}

// join is told that the node has been registered.
func (s *Sessions) join(epoch uint64) {
	if last := time.Duration(s.sure.Load()); last == 0 {
		s.interrupt("they came before Redis was there")
		s.sure.Store(int64(time.Since(s.start)))
	} else if time.Since(s.start)-last > s.window {
		s.interrupt("this server was given up for longer than recovery.window")
	}
	s.node.Go(func(any, error) {}, appendScript, "s:"+s.node.Name(), s.frame(KindMark, "")) // it has a stream then
	s.signal()
}
