package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"crier/io/hub"
)

// member is one of several servers.
type member struct {
	*Relay
	node *Node
	hub  *hub.Hub
	log  *logBook
}

// newMember makes a server that is part of the others at this Redis; the test's end closes it.
func newMember(t testing.TB, server *redisServer, name string, recovery *hub.Recovery) *member {
	t.Helper()
	r, err := NewRedis(RedisOptions{URL: "redis://" + server.login + server.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	m := &member{log: &logBook{}}
	log := slog.New(slog.NewTextHandler(m.log, nil))
	if m.node, err = NewNode(NodeOptions{Redis: r, Name: name, Logger: log}); err != nil {
		t.Fatal(err)
	}
	if m.hub, err = hub.New(hub.Options{Recovery: recovery, Logger: log}); err != nil {
		t.Fatal(err)
	}
	if m.Relay, err = NewRelay(RelayOptions{Node: m.node, Hub: m.hub, Logger: log}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := errors.Join(m.Relay.Close(ctx), m.node.Close(ctx), m.hub.Close(ctx)); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the log of %s:\n%s", name, m.log)
		}
	})
	m.Relay.Start()
	m.node.Start()
	return m
}

func (m *member) ready(t testing.TB) *member {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := m.node.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return m
}

// newMembers makes servers that can recover nobody.
func newMembers(t *testing.T, server *redisServer, names ...string) []*member {
	t.Helper()
	list := make([]*member, len(names))
	for i, name := range names {
		list[i] = newMember(t, server, name, nil).ready(t)
	}
	return list
}

// recoverable are the settings of servers that can recover.
func recoverable() *hub.Recovery {
	return &hub.Recovery{Window: time.Minute, MaxMessages: 1000, MaxBytes: 1 << 20, Placed: true}
}

// enter connects a browser and logs it in; the directory has it as the presence of its server would have it.
func (m *member) enter(t *testing.T, server *redisServer, id, uid string, rooms ...string) *tracker {
	t.Helper()
	c := &tracker{browser: browser{id: id}}
	one, err := m.hub.Connect(c)
	if err != nil {
		t.Fatal(err)
	}
	c.member = one
	for _, room := range rooms {
		if err := one.Join(room); err != nil {
			t.Fatal(err)
		}
	}
	if uid != "" {
		if err := one.Login(uid); err != nil {
			t.Fatal(err)
		}
		m.enlist(t, server, uid)
	}
	return c
}

func (m *member) enlist(t testing.TB, server *redisServer, uid string) {
	t.Helper()
	sessions, err := m.hub.User(uid)
	if err != nil {
		t.Fatal(err)
	}
	server.do(t, []any{"HSET", "crier:u:" + uid, "n:" + m.node.Name(), fmt.Sprintf("%d,0,%d", len(sessions), m.node.Epoch())})
}

// tracker is a browser that can be recovered, and acknowledges what it is asked.
type tracker struct {
	browser
	member  *hub.Member
	offsets []string
	mute    bool // it does not acknowledge

	anyOrder bool
}

func (c *tracker) Member() *hub.Member { return c.member }
func (c *tracker) Forget(*hub.Message) {}

func (c *tracker) Deliver(m *hub.Message) error {
	c.mu.Lock()
	c.offsets = append(c.offsets, m.Offset())
	c.mu.Unlock()
	if err := c.browser.Deliver(m); err != nil {
		return err
	}
	if a := m.Ask(); a != nil && a.Expect(c) && !c.mute {
		a.Answer(c, []json.RawMessage{json.RawMessage(`"` + c.id + `"`)}, nil)
	}
	return nil
}

func (c *tracker) track(t *testing.T) *tracker {
	t.Helper()
	if err := c.member.Track(func(hub.Beginning) error { return nil }); err != nil {
		t.Fatal(err)
	}
	return c
}

func message(event string) *hub.Message {
	return &hub.Message{Event: event, Args: []json.RawMessage{json.RawMessage(`"x"`)}}
}

// pushes pushes and returns "users/connections", with "?" if that is not of all servers.
func (m *member) pushes(t *testing.T, event string, to hub.Audience) string {
	t.Helper()
	r, err := m.Push(context.Background(), hub.Push{To: to, Message: message(event)})
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("%d/%d", r.Users, r.Connections)
	if r.Delivered != r.Connections {
		text += fmt.Sprintf(" delivered %d", r.Delivered)
	}
	if r.Partial {
		text += "?"
	}
	return text
}

func (c *tracker) wants(t *testing.T, events string) {
	t.Helper()
	await(t, c.id+" gets "+events, func() bool { return len(c.got()) >= len(strings.Fields(events)) })
	got := c.got()
	if c.anyOrder { // they come from several servers
		slices.Sort(got)
	}
	if got := strings.Join(got, " "); got != events {
		t.Errorf("%s got %q, want %q", c.id, got, events)
	}
}

func TestRelay(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"without recovery", "with recovery"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := startRedis(t)
			var recovery *hub.Recovery
			if name == "with recovery" {
				recovery = recoverable()
			}
			a, b := newMember(t, server, "a", recovery).ready(t), newMember(t, server, "b", recovery).ready(t)
			alice, alice2 := a.enter(t, server, "a1", "alice", "red"), b.enter(t, server, "b1", "alice")
			bob, guest := b.enter(t, server, "b2", "bob", "red"), b.enter(t, server, "b3", "")
			for _, c := range []*tracker{alice, alice2, bob, guest} {
				c.anyOrder = true
			}
			if recovery != nil {
				alice.track(t)
				bob.track(t)
			}
			tests := []struct {
				event string
				from  *member
				to    hub.Audience
				want  string
			}{
				{"1", a, hub.Audience{Users: []string{"bob"}}, "1/1"},
				{"2", a, hub.Audience{Users: []string{"alice"}}, "1/2"},
				{"3", b, hub.Audience{Users: []string{"alice", "bob", "alice", "nobody"}}, "2/3"},
				{"4", a, hub.Audience{All: true}, "3/4"}, // alice counts once on each server
				{"5", b, hub.Audience{Rooms: []string{"red"}}, "2/2"},
				{"6", a, hub.Audience{All: true, Except: &hub.Audience{Users: []string{"alice"}}}, "1/2"},
				{"7", a, hub.Audience{Connections: []string{"b3", "a1"}}, "1/2"},
				{"8", a, hub.Audience{Users: []string{"nobody"}}, "0/0"},
			}
			for _, test := range tests {
				if got := test.from.pushes(t, test.event, test.to); got != test.want {
					t.Errorf("%s: matched %s, want %s", test.event, got, test.want)
				}
			}
			alice.wants(t, "2 3 4 5 7")
			alice2.wants(t, "2 3 4")
			bob.wants(t, "1 3 4 5 6")
			guest.wants(t, "4 6 7")
			if recovery != nil {
				if slices.Contains(alice.offsets, "") || slices.Contains(bob.offsets, "") {
					t.Errorf("without an offset: %q, %q", alice.offsets, bob.offsets)
				}
			}
			if _, err := a.Push(context.Background(), hub.Push{To: hub.Audience{Users: []string{""}}, Message: message("x")}); !errors.Is(err, hub.ErrBadUID) {
				t.Errorf("a bad uid: %v", err)
			}
		})
	}
}

// TestRelayOrder has several push to users, rooms and all from several servers at once: each connection, tracked or not, gets what one
// of them pushes in its order.
func TestRelayOrder(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	members := make([]*member, 3)
	for i := range members {
		members[i] = newMember(t, server, fmt.Sprint("n", i), recoverable()).ready(t)
	}
	var browsers []*tracker
	for i, m := range members {
		browsers = append(browsers, m.enter(t, server, fmt.Sprint("plain", i), "u", "r"), m.enter(t, server, fmt.Sprint("tracked", i), "u", "r").track(t))
	}
	const rounds = 200
	var publishers sync.WaitGroup
	for i, m := range members {
		for _, waits := range []bool{true, false} {
			publishers.Go(func() {
				var sent sync.WaitGroup
				for n := range rounds {
					to := []hub.Audience{{Users: []string{"u"}}, {All: true}, {Rooms: []string{"r"}}}[n%3]
					sent.Add(1)
					p := hub.Push{To: to, Message: message(fmt.Sprintf("%d%v-%d", i, waits, n))}
					if err := m.Send(context.Background(), p, func(r hub.Result) {
						if r.Partial || r.Connections != len(browsers) {
							t.Errorf("%+v", r)
						}
						sent.Done()
					}); err != nil {
						t.Error(err)
						sent.Done()
					}
					if waits {
						sent.Wait()
					}
				}
				sent.Wait()
			})
		}
	}
	publishers.Wait()
	for _, c := range browsers {
		await(t, "everything has come", func() bool { return len(c.got()) >= 6*rounds })
		next := make(map[string]int)
		for _, event := range c.got() {
			from, number, _ := strings.Cut(event, "-")
			if number != fmt.Sprint(next[from]) {
				t.Fatalf("%s: %s instead of %d", c.id, event, next[from])
			}
			next[from]++
		}
		if strings.HasPrefix(c.id, "tracked") && !slices.IsSortedFunc(c.offsets, func(a, b string) int { return strings.Compare(a, b) }) {
			t.Errorf("%s: offsets go back", c.id)
		}
	}
}

// TestRelayAway loses Redis in the middle: pushes go on here, in order, and everything is as before when it is back.
func TestRelayAway(t *testing.T) {
	t.Parallel()
	server := newRedis(t, "--appendonly", "yes", "--appendfsync", "always")
	server.Start(t)
	a, b := newMember(t, server, "a", recoverable()).ready(t), newMember(t, server, "b", recoverable()).ready(t)
	plain, tracked := a.enter(t, server, "plain", "u"), a.enter(t, server, "tracked", "u").track(t)
	far := b.enter(t, server, "far", "u")
	everybody := hub.Audience{All: true}
	if got := a.pushes(t, "1", everybody); got != "2/3" {
		t.Errorf("matched %s", got)
	}
	server.Kill(t)
	if got := a.pushes(t, "2", hub.Audience{Users: []string{"u"}}); got != "1/2?" {
		t.Errorf("without Redis, matched %s", got)
	}
	await(t, "Redis is away", func() bool { return !a.node.Client().Up() })
	if got := a.pushes(t, "3", everybody); got != "1/2?" {
		t.Errorf("without Redis, matched %s", got)
	}
	if _, err := a.Disconnect(context.Background(), everybody); !errors.Is(err, ErrAway) {
		t.Errorf("without Redis, a disconnection: %v", err)
	}
	if list, _, err := a.Users(hub.Page{Limit: 10}); !errors.Is(err, hub.ErrPartial) || len(list) != 1 {
		t.Errorf("without Redis, users %v, %v", list, err)
	}
	server.Start(t)
	for _, m := range []*member{a, b} {
		await(t, "Redis is there", func() bool { return m.node.Client().Up() && m.node.reader.line.state().Up })
	}
	if got := a.pushes(t, "4", everybody); got != "2/3" {
		t.Errorf("matched %s", got)
	}
	plain.wants(t, "1 2 3 4")
	tracked.wants(t, "1 2 3 4")
	far.wants(t, "1 4")
	if a.Partial() != 2 || a.node.Gaps()+b.node.Gaps() != 0 {
		t.Errorf("%d pushes were partial; gaps: %d, %d", a.Partial(), a.node.Gaps(), b.node.Gaps())
	}
}

// TestRelayCut has connections to Redis cut all the time: every push is at every connection once, in its order.
func TestRelayCut(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	a, b := newMember(t, server, "a", recoverable()).ready(t), newMember(t, server, "b", recoverable()).ready(t)
	browsers := []*tracker{a.enter(t, server, "plain", "u"), a.enter(t, server, "tracked", "u").track(t), b.enter(t, server, "far", "u").track(t)}
	const pushes = 200
	for n := range pushes {
		if n%20 == 7 {
			server.do(t, []any{"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"})
		}
		to := hub.Audience{All: true}
		if n%2 == 0 {
			to = hub.Audience{Users: []string{"u"}}
		}
		if _, err := a.Push(context.Background(), hub.Push{To: to, Message: message(fmt.Sprint(n))}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range browsers {
		await(t, "everything has come", func() bool { return len(c.got()) >= pushes })
		if got := c.got(); !slices.Equal(got, count("", pushes)) {
			t.Errorf("%s got %q", c.id, got)
		}
	}
	if n := b.node.Gaps(); n != 0 {
		t.Errorf("%d gaps", n)
	}
}

// TestRelaySilent has another server stop answering: who pushes to all waits for it once.
func TestRelaySilent(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	a := newMembers(t, server, "a")[0]
	a.enter(t, server, "a1", "alice")
	b := newWitness(t, server, "b").begin(t) // it answers nothing
	if got := a.pushes(t, "1", hub.Audience{All: true}); got != "1/1?" {
		t.Errorf("matched %s", got)
	}
	began := time.Now()
	for range 20 {
		if got := a.pushes(t, "2", hub.Audience{All: true}); got != "1/1?" {
			t.Errorf("matched %s", got)
		}
	}
	if a.waits.silent["b"] != true || time.Since(began) > 20*answerWait {
		t.Error("it is waited for every time")
	}
	if _, err := b.Append(context.Background(), "s:a", KindReply, 0, appendReply(nil, 0, nil)); err != nil {
		t.Fatal(err)
	}
	await(t, "it is waited for again", func() bool {
		a.waits.mu.Lock()
		defer a.waits.mu.Unlock()
		return !a.waits.silent["b"]
	})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := b.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if got := a.pushes(t, "3", hub.Audience{All: true}); got != "1/1" {
		t.Errorf("without it, matched %s", got)
	}
}

// TestRelayHangs has Redis be silent, and then say what it was asked: nothing is doubled.
func TestRelayHangs(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	a, b := newMember(t, server, "a", recoverable()).ready(t), newMember(t, server, "b", recoverable()).ready(t)
	near, far := a.enter(t, server, "near", "u").track(t), b.enter(t, server, "far", "u")
	if got := a.pushes(t, "1", hub.Audience{Users: []string{"u"}}); got != "1/2" {
		t.Errorf("matched %s", got)
	}
	server.Suspend(t)
	if got := a.pushes(t, "2", hub.Audience{Users: []string{"u"}}); got != "1/1?" {
		t.Errorf("matched %s", got)
	}
	server.Resume(t)
	await(t, "Redis is there", func() bool { return a.pushes(t, "x", hub.Audience{Users: []string{"none"}}) == "0/0" })
	await(t, "Redis is there", func() bool { return a.pushes(t, "3", hub.Audience{Users: []string{"u"}}) == "1/2" || t.Failed() })
	near.wants(t, "1 2 3")
	await(t, "the last one", func() bool { return slices.Contains(far.got(), "3") })
	if got := strings.Join(far.got(), " "); got != "1 2 3" && got != "1 3" {
		t.Errorf("far got %q", got)
	}
}

// TestRights has a user of Redis who may no more than docs/CLUSTER.md says.
func TestRights(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/CLUSTER.md")
	if err != nil {
		t.Fatal(err)
	}
	_, line, found := strings.Cut(string(text), "ACL SETUSER crier on >password ")
	if !found {
		t.Fatal("docs/CLUSTER.md does not say which rights a user needs")
	}
	line, _, _ = strings.Cut(line, "\n")
	server := startRedis(t)
	command := []any{"ACL", "SETUSER", "crier", "on", ">password"}
	for _, word := range strings.Fields(line) {
		command = append(command, word)
	}
	server.do(t, command)
	server.login = "crier:password@"
	list := newMembers(t, server, "a", "b")
	b := list[1].enter(t, server, "b1", "bob")
	if got := list[0].pushes(t, "1", hub.Audience{Users: []string{"bob"}}) + " " + list[0].pushes(t, "2", hub.Audience{All: true}); got != "1/1 1/1" {
		t.Errorf("matched %s", got)
	}
	b.wants(t, "1 2")
	for _, m := range list {
		m.node.Advise(context.Background())
		if log := m.log.String(); strings.Contains(log, "NOPERM") {
			t.Errorf("the log:\n%s", log)
		}
	}
}

// TestRelayClose pushes while a server ends: whoever was not refused hears what became of it, once.
func TestRelayClose(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	list := newMembers(t, server, "a", "b")
	var publishers sync.WaitGroup
	for n := range 4 {
		publishers.Go(func() {
			for i := 0; ; i++ {
				to := hub.Audience{All: true}
				if i%2 == 0 {
					to = hub.Audience{Users: []string{"nobody"}}
				}
				ended := make(chan struct{}) // closing it twice would panic
				err := list[0].Send(context.Background(), hub.Push{To: to, Message: message(fmt.Sprint(n))}, func(hub.Result) { close(ended) })
				if errors.Is(err, hub.ErrClosed) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				select {
				case <-ended:
				case <-time.After(patience):
					t.Error("nobody says what became of a push")
					return
				}
			}
		})
	}
	await(t, "pushes are under way", func() bool { return list[0].hub.Stats().Pushes > 100 })
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := list[0].Close(ctx); err != nil {
		t.Error(err)
	}
	publishers.Wait()
}
