package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"crier/io/hub"
)

// maxEntries is how many entries the streams of seats have; about, as Redis removes a hundred at a time.
const maxEntries = 4000

// seat is a node with a hub whose clients can be recovered.
type seat struct {
	*Node
	sessions *Sessions
	hub      *hub.Hub
	log      *logBook
	ends     sync.WaitGroup // of connections
}

func recoveryOptions() *hub.Recovery {
	return &hub.Recovery{Window: time.Minute, Notice: 30 * time.Second, MaxMessages: 10_000, MaxBytes: 16 << 20, Placed: true}
}

// newSeat makes one that is not started.
func newSeat(t *testing.T, server *redisServer, name string, change ...func(*hub.Options)) *seat {
	t.Helper()
	r, err := NewRedis(RedisOptions{URL: "redis://" + server.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	s := &seat{log: &logBook{}}
	log := slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s.Node, err = NewNode(NodeOptions{Redis: r, Name: name, Keep: 2 * time.Minute, MaxMessages: maxEntries, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	o := hub.Options{Recovery: recoveryOptions(), Logger: log}
	for _, fn := range change {
		fn(&o)
	}
	if s.sessions, err = NewSessions(SessionOptions{Node: s.Node, Recovery: *o.Recovery, Logger: log}); err != nil {
		t.Fatal(err)
	}
	o.Recovery.Shared = s.sessions
	if s.hub, err = hub.New(o); err != nil {
		t.Fatal(err)
	}
	s.OnEntry(KindPush, func(e Entry) {
		p, err := parsePush(e.Body)
		if err != nil {
			t.Error(err)
			return
		}
		if _, err := s.hub.Receive(e.At, p.Push, hub.Everyone); err != nil {
			t.Error(err)
		}
	})
	s.OnEntry(KindDisconnect, func(e Entry) {
		a, err := parseAudience(e.Body)
		if err == nil {
			_, err = s.hub.Disconnect(context.Background(), a)
		}
		if err != nil {
			t.Error(err)
		}
	})
	membership := func(change func(context.Context, string, string) (int, error)) func(Entry) {
		return func(e Entry) {
			uid, room, _ := strings.Cut(string(e.Body), "\x00")
			if _, err := change(context.Background(), uid, room); err != nil {
				t.Error(err)
			}
		}
	}
	s.OnEntry(KindJoined, membership(s.hub.AddMembership))
	s.OnEntry(KindLeft, membership(s.hub.RemoveMembership))
	s.sessions.Start(s.hub)
	t.Cleanup(func() {
		s.stop(t)
		if t.Failed() {
			t.Logf("the log of %s:\n%s", name, s.log)
		}
	})
	return s
}

// begin starts it and waits until it reads.
func (s *seat) begin(t *testing.T) *seat {
	t.Helper()
	s.Start()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	await(t, "the sessions to know of Redis", func() bool { return s.sessions.sure.Load() != 0 })
	return s
}

// stop ends it as a stop of the program does. It may be called again.
func (s *seat) stop(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s.ends.Wait()
	if err := errors.Join(s.hub.Close(ctx), s.sessions.Close(ctx), s.Close(ctx)); err != nil {
		t.Error(err)
	}
}

// kill has it say and hear nothing any more, from one moment to the next, as kill -9 does.
func (s *seat) kill(t *testing.T) {
	t.Helper()
	(*s.cancel.Load())()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.client.Close(ctx); err != nil {
		t.Fatal(err)
	}
	<-s.reader.ended
}

// guest is a connection that can be recovered.
type guest struct {
	id     string
	at     *seat
	member *hub.Member
	pid    string

	mu     sync.Mutex
	got    []string
	offset string // of the last
	sent   bool   // back
	kicked bool
	deaf   bool // its client has gone, and nobody has noticed
	silent bool // it confirms nothing
}

// deafen has its client get nothing any more.
func (g *guest) deafen() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.deaf = true
}

func (g *guest) ID() string { return g.id }

func (g *guest) Deliver(m *hub.Message) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if m.Offset() == "" && !m.Late() {
		return hub.ErrGone
	}
	if g.deaf {
		return nil
	}
	g.got = append(g.got, m.ID)
	if m.Offset() != "" {
		g.offset = m.Offset()
	}
	return nil
}

func (g *guest) Kick() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.kicked = true
}

func (g *guest) SendBack() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sent = true
	g.at.ends.Go(func() { g.member.Away(nil) })
}

// Present implements [hub.Confirmer]: who comes back is first given what it has missed.
func (g *guest) Present() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.pid != ""
}

func (g *guest) Confirm(taken func(), arrived func(bool)) {
	g.mu.Lock()
	silent := g.silent
	g.mu.Unlock()
	if taken != nil {
		taken()
	}
	if !silent {
		arrived(true)
	}
}

func (g *guest) Drop() { g.SendBack() }

func (g *guest) sentBack() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.sent
}

func (g *guest) taken() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.got)
}

// lastOffset is what its client carries away.
func (g *guest) lastOffset() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.offset
}

// arrive connects a client as a user.
func (s *seat) arrive(t *testing.T, id, uid string) *guest {
	t.Helper()
	g := &guest{id: id, at: s}
	var err error
	if g.member, err = s.hub.Connect(g); err != nil {
		t.Fatal(err)
	}
	if uid != "" {
		s.enter(t, uid)
		if err := g.member.Login(uid); err != nil {
			t.Fatal(err)
		}
	}
	err = g.member.Track(func(b hub.Beginning) error { g.begin(b); return nil })
	if err != nil {
		t.Fatal(err)
	}
	g.member.Ready()
	return g
}

// begin is what a client is told first.
func (g *guest) begin(b hub.Beginning) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pid, g.offset = b.PID, b.Offset
	for _, m := range b.Missed {
		g.got = append(g.got, m.ID)
		g.offset = m.Offset()
	}
}

// enter puts the user into the directory.
func (s *seat) enter(t *testing.T, uid string) {
	t.Helper()
	if _, err := s.Client().Command(t.Context(), "HSET", s.Key("u", uid), "n:"+s.Name(), "1,1,"+fmt.Sprint(s.Epoch())); err != nil {
		t.Fatal(err)
	}
}

// comeBack has the client of g come to another node, or to the same. It is nil if it is not recovered.
func (s *seat) comeBack(t *testing.T, g *guest) *guest {
	t.Helper()
	next, err := s.claim(g)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func (s *seat) claim(g *guest) (*guest, error) {
	past := s.hub.Claim(g.pid, g.lastOffset())
	if past == nil {
		return nil, nil
	}
	next := &guest{id: past.ID(), at: s}
	var err error
	for { // the one before may be ending
		next.member, err = s.hub.Connect(next)
		if !errors.Is(err, hub.ErrDuplicateID) {
			break
		}
		s.ends.Wait()
	}
	if err != nil {
		past.Release()
		return nil, err
	}
	err = next.member.Recover(past, func(b hub.Beginning) error { next.begin(b); return nil })
	if err != nil {
		next.member.Gone()
		return nil, err
	}
	next.member.Ready()
	return next, nil
}

// publishScript: the frame, the users. What is for users goes to the nodes that have them, everything else to all.
var publishScript = nodeScript("publish", `
	local at, seen = position(), {}
	if #ARGV < 5 then return text(append('all', ARGV[4], at)) end
	for i = 5, #ARGV do
		local fields = redis.call('HGETALL', P .. ':u:' .. ARGV[i])
		for j = 1, #fields, 2 do
			local kind, node = string.match(fields[j], '^(.):(.*)$')
			if (kind == 'n' or kind == 'l' and tonumber(fields[j + 1]) >= at) and not seen[node] then
				seen[node] = true
				append('s:' .. node, ARGV[4], at)
			end
		end
	end
	return text(at)
`)

// publish pushes a message from this node, and returns its position.
func (s *seat) publish(t *testing.T, id string, to hub.Audience) hub.Position {
	t.Helper()
	m := &hub.Message{ID: id, Event: "e", Args: []json.RawMessage{json.RawMessage(`"` + id + `"`)}}
	args := []any{appendEntry(nil, KindPush, s.Name(), 0, appendPush(nil, &pushed{Push: hub.Push{To: to, Message: m}}))}
	if !to.All && len(to.Rooms)+len(to.Connections) == 0 {
		for _, uid := range to.Users {
			args = append(args, uid)
		}
	}
	at, err := redis.Uint64(s.Run(context.Background(), publishScript, args...))
	if err != nil {
		t.Error(err)
	}
	return hub.Position(at)
}

func toUser(uid string) hub.Audience  { return hub.Audience{Users: []string{uid}} }
func toRoom(room string) hub.Audience { return hub.Audience{Rooms: []string{room}} }

// settled waits until a guest has been given so many messages.
func (g *guest) settled(t *testing.T, n int) {
	t.Helper()
	await(t, fmt.Sprintf("%s has %d messages", g.id, n), func() bool { return len(g.taken()) >= n })
}

func check(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// kept waits until something is noted of a session.
// noted waits until Redis has all that the seat has told it so far.
func (s *seat) noted(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := s.Client().Command(ctx, "PING"); err != nil { // behind everything else
		t.Fatal(err)
	}
}

func (s *seat) kept(t *testing.T, g *guest) {
	t.Helper()
	await(t, "the session is noted", func() bool { _, there := s.sessions.Owner(g.pid); return there })
}

// TestComesBackElsewhere has a client lose its node in all ways: what it was to get meanwhile it gets, once and in order.
func TestComesBackElsewhere(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		lose func(t *testing.T, a *seat, g *guest)
	}{
		{"connection lost", func(_ *testing.T, _ *seat, g *guest) { g.member.Away(nil) }},
		{"node stopped", func(t *testing.T, a *seat, g *guest) { g.member.Away(nil); a.stop(t) }},
		{"node killed", func(t *testing.T, a *seat, _ *guest) { a.kill(t) }},
		{"loss not noticed", func(*testing.T, *seat, *guest) {}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := startRedis(t)
			a, b, c := newSeat(t, server, "a").begin(t), newSeat(t, server, "b").begin(t), newSeat(t, server, "c").begin(t)
			g := a.arrive(t, "one", "42")
			if err := g.member.Join("r"); err != nil {
				t.Fatal(err)
			}
			a.noted(t)
			c.publish(t, "m1", toUser("42"))
			c.publish(t, "m2", toRoom("r"))
			g.settled(t, 2)
			check(t, "before", g.taken(), "m1", "m2")
			had := g.lastOffset()
			g.deafen()
			tt.lose(t, a, g)
			for i := range 5 {
				c.publish(t, fmt.Sprint("u", i), toUser("42"))
				c.publish(t, fmt.Sprint("r", i), toRoom("r"))
				c.publish(t, fmt.Sprint("a", i), hub.Audience{All: true, Except: &hub.Audience{Rooms: []string{"other"}}})
				c.publish(t, fmt.Sprint("x", i), hub.Audience{All: true, Except: &hub.Audience{Users: []string{"42"}}})
				c.publish(t, fmt.Sprint("o", i), toRoom("other"))
			}
			next := b.comeBack(t, g)
			if next == nil {
				t.Fatal("not recovered")
			}
			var want []string
			for i := range 5 {
				want = append(want, fmt.Sprint("u", i), fmt.Sprint("r", i), fmt.Sprint("a", i))
			}
			check(t, "missed", next.taken(), want...)
			if next.id != "one" || next.pid != g.pid || next.member.UID() != "42" || !slices.Equal(next.member.Rooms(), []string{"r"}) {
				t.Errorf("came back as %s %s in %q", next.id, next.member.UID(), next.member.Rooms())
			}
			c.publish(t, "n1", toUser("42"))
			c.publish(t, "n2", toRoom("r"))
			next.settled(t, len(want)+2)
			check(t, "live", next.taken(), append(want, "n1", "n2")...)
			if tt.name == "loss not noticed" {
				await(t, "the old connection has been ended", g.sentBack)
			}
			// On to the next node, having got nothing from this one.
			b.kill(t)
			next.offset = had
			c.publish(t, "z", toUser("42"))
			last := c.comeBack(t, next)
			if last == nil {
				t.Fatal("not recovered once more")
			}
			check(t, "missed on two nodes", last.taken(), append(want, "n1", "n2", "z")...)
		})
	}
}
