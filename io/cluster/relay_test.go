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
	"syscall"
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
	r, err := NewRedis(RedisOptions{URL: "redis://" + server.login + server.addr()})
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
	server.start(t)
	a, b := newMember(t, server, "a", recoverable()).ready(t), newMember(t, server, "b", recoverable()).ready(t)
	plain, tracked := a.enter(t, server, "plain", "u"), a.enter(t, server, "tracked", "u").track(t)
	far := b.enter(t, server, "far", "u")
	everybody := hub.Audience{All: true}
	if got := a.pushes(t, "1", everybody); got != "2/3" {
		t.Errorf("matched %s", got)
	}
	server.kill(t)
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
	server.start(t)
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

func TestRelayAsk(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	a, b := newMember(t, server, "a", recoverable()).ready(t), newMember(t, server, "b", recoverable()).ready(t)
	a.enter(t, server, "a1", "alice")
	a.enter(t, server, "a2", "alice").track(t)
	b.enter(t, server, "b1", "bob").track(t)
	deaf := b.enter(t, server, "b2", "alice")
	deaf.mute = true
	ask := func(to hub.Audience, wait time.Duration) hub.Answers {
		got := make(chan hub.Answers, 1)
		_, err := a.Ask(context.Background(), hub.Push{To: to, Message: message("ask")}, hub.Question{Wait: wait, Keep: 1000, Done: func(a hub.Answers) { got <- a }})
		if err != nil {
			t.Fatal(err)
		}
		return <-got
	}
	describe := func(a hub.Answers) string {
		var list []string
		for _, one := range a.List {
			list = append(list, fmt.Sprintf("%s=%s:%s", one.UID, one.Connection, one.Args[0]))
		}
		slices.Sort(list)
		return fmt.Sprintf("%d/%d %d/%d %v %v %v", a.Pushed.Users, a.Pushed.Connections, a.Users, a.Connections, list, a.Late, a.Pushed.Partial)
	}
	if got, want := describe(ask(hub.Audience{Users: []string{"bob"}}, patience)), `1/1 1/1 [bob=b1:"b1"] false false`; got != want {
		t.Errorf("bob: %s, want %s", got, want)
	}
	if got, want := describe(ask(hub.Audience{All: true, Except: &hub.Audience{Connections: []string{"b2"}}}, patience)),
		`3/3 2/3 [alice=a1:"a1" alice=a2:"a2" bob=b1:"b1"] false false`; got != want {
		t.Errorf("all: %s, want %s", got, want)
	}
	if got, want := describe(ask(hub.Audience{Users: []string{"alice"}}, 50*time.Millisecond)), `3/3 1/2 [alice=a1:"a1" alice=a2:"a2"] true false`; got != want {
		t.Errorf("alice: %s, want %s", got, want)
	}
	server.kill(t)
	await(t, "Redis is away", func() bool { return !a.node.Client().Up() })
	if got, want := describe(ask(hub.Audience{All: true}, patience)), `2/2 1/2 [alice=a1:"a1" alice=a2:"a2"] false true`; got != want {
		t.Errorf("without Redis: %s, want %s", got, want)
	}
}

func TestRelayDisconnect(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	list := newMembers(t, server, "a", "b")
	a1, b1, b2 := list[0].enter(t, server, "a1", "alice"), list[1].enter(t, server, "b1", "alice"), list[1].enter(t, server, "b2", "bob")
	n, err := list[0].Disconnect(context.Background(), hub.Audience{Users: []string{"alice"}})
	if n != 2 || err != nil || !a1.kicked || !b1.kicked || b2.kicked {
		t.Errorf("%d, %v: %v %v %v", n, err, a1.kicked, b1.kicked, b2.kicked)
	}
	if n, err := list[0].Disconnect(context.Background(), hub.Audience{Connections: []string{"b2"}}); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

func TestRelayLists(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	list := newMembers(t, server, "a", "b", "c")
	var want []string
	for i := range 25 {
		uid := fmt.Sprintf("u%02d", i)
		list[i%3].enter(t, server, uid+"x", uid, "r", "room-"+uid)
		list[i%2].enter(t, server, uid+"y", uid)
		want = append(want, uid+" 2")
	}
	walk := func(page func(hub.Page) ([]string, string)) (all []string) {
		p := hub.Page{Limit: 4}
		for {
			names, next := page(p)
			if all = append(all, names...); next == "" {
				return all
			}
			if len(names) == 0 || len(names) > 4 {
				t.Fatalf("a page of %d", len(names))
			}
			p.Cursor = next
		}
	}
	check := func(what string, err error) {
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	if got := walk(func(p hub.Page) (names []string, next string) {
		page, next, err := list[1].Users(p)
		check("users", err)
		for _, one := range page {
			names = append(names, fmt.Sprint(one.Name, " ", one.Connections))
		}
		return names, next
	}); !slices.Equal(got, want) {
		t.Errorf("users: %q", got)
	}
	if got := walk(func(p hub.Page) (names []string, next string) {
		p.Prefix = "room-"
		page, next, err := list[1].Rooms(p)
		check("rooms", err)
		for _, one := range page {
			names = append(names, strings.TrimPrefix(fmt.Sprint(one.Name, " ", one.Connections+1), "room-"))
		}
		return names, next
	}); !slices.Equal(got, want) {
		t.Errorf("rooms: %q", got)
	}
	if got := walk(func(p hub.Page) (names []string, next string) {
		page, next, err := list[2].Room("r", p)
		check("room", err)
		for _, one := range page {
			names = append(names, fmt.Sprint(strings.TrimSuffix(one.Connection, "x"), " 2"))
		}
		return names, next
	}); !slices.Equal(got, want) {
		t.Errorf("room: %q", got)
	}
	sessions, err := list[2].User("u07")
	check("user", err)
	if len(sessions) != 2 || sessions[0].Connection != "u07x" || !slices.Equal(sessions[0].Rooms, []string{"r", "room-u07"}) || sessions[1].Connection != "u07y" {
		t.Errorf("user: %+v", sessions)
	}
	for _, to := range []hub.Audience{{Users: []string{"u07", "u08", "none"}}, {Rooms: []string{"room-u07", "room-u08"}, Users: []string{"u08"}}} {
		r, err := list[0].Count(context.Background(), to)
		check("count", err)
		if want := 5 - len(to.Users) + len(to.Rooms)/2; r.Users != 2 && len(to.Rooms) == 0 || r.Partial || len(to.Rooms) == 0 && r.Connections != 4 {
			t.Errorf("count of %+v: %+v, want %d", to, r, want)
		}
	}
	if _, _, err := list[0].Users(hub.Page{Limit: 1, Cursor: "x"}); !errors.Is(err, hub.ErrBadCursor) {
		t.Errorf("a bad cursor: %v", err)
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
	if err := server.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if got := a.pushes(t, "2", hub.Audience{Users: []string{"u"}}); got != "1/1?" {
		t.Errorf("matched %s", got)
	}
	if err := server.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
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

func TestPushForm(t *testing.T) {
	for _, p := range []*pushed{
		{Push: hub.Push{To: hub.Audience{All: true}, Message: message("e")}},
		{
			Push: hub.Push{
				To: hub.Audience{
					Users: []string{"u", "中"}, Rooms: []string{"r"}, Connections: []string{"c"},
					Except: &hub.Audience{Rooms: []string{"x"}, Except: &hub.Audience{All: true}},
				},
				Message: &hub.Message{ID: "i", Event: "e", Attachments: [][]byte{{0, 1}, nil}, Volatile: true, Transient: true, ShowID: true},
			},
			Count: true, Ask: time.Second, Keep: 7,
		},
	} {
		form := appendPush(nil, p)
		got, err := parsePush(form)
		if err != nil {
			t.Fatal(err)
		}
		if again := appendPush(nil, got); !slices.Equal(again, form) {
			t.Errorf("%x is read as %x", form, again)
		}
		for i := range form {
			if _, err := parsePush(form[:i]); err == nil {
				t.Errorf("%d of %d bytes were taken", i, len(form))
			}
		}
	}
}

func FuzzPush(f *testing.F) {
	f.Add(appendPush(nil, &pushed{Push: hub.Push{To: hub.Audience{Users: []string{"u"}, Except: &hub.Audience{All: true}}, Message: message("e")}, Ask: time.Second}))
	f.Fuzz(func(t *testing.T, form []byte) {
		p, err := parsePush(form)
		if err != nil {
			return
		}
		again, err := parsePush(appendPush(nil, p))
		if err != nil || !slices.Equal(appendPush(nil, again), appendPush(nil, p)) {
			t.Errorf("%x is read as %+v, and that as %+v, %v", form, p, again, err)
		}
	})
}
