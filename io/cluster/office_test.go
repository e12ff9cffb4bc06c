package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"crier/io/hub"
)

// testLease is long enough for a machine that is busy, and short enough for tests that wait for its end.
const testLease = 3 * time.Second

// office is a node with a hub, as a server has them.
type office struct {
	*Node
	hub         *hub.Hub
	attendance  *Attendance
	memberships *Memberships
	rooms       *RoomPresence
	log         *logBook
	dead        bool
}

// officeOptions are what offices differ in.
type officeOptions struct {
	name, redis string // the address of Redis
	grace       time.Duration
	delay       time.Duration
}

// newOffice opens an office; the test's end closes it.
func newOffice(t *testing.T, o officeOptions) *office {
	t.Helper()
	r, err := NewRedis(RedisOptions{URL: "redis://" + o.redis})
	if err != nil {
		t.Fatal(err)
	}
	f := &office{log: &logBook{}}
	log := slog.New(slog.NewTextHandler(f.log, nil))
	if f.Node, err = NewNode(NodeOptions{Redis: r, Name: o.name, Lease: testLease, Grace: o.grace, Logger: log}); err != nil {
		t.Fatal(err)
	}
	f.attendance, err = NewAttendance(AttendanceOptions{
		Node: f.Node, Window: time.Minute, Grace: o.grace, Callback: tellTest, Interval: 50 * time.Millisecond, Logger: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	if f.rooms, err = NewRoomPresence(RoomPresenceOptions{Node: f.Node, Push: tellRoom, Interval: 50 * time.Millisecond, Logger: log}); err != nil {
		t.Fatal(err)
	}
	f.hub, err = hub.New(hub.Options{
		Attendance: f.attendance, PresenceTick: time.Millisecond, OfflineDelay: o.delay, RoomPresence: f.rooms.Tell, Logger: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	f.rooms.Start(f.hub)
	f.memberships = NewMemberships(f.Node, f.hub, log)
	f.OnReached(f.hub.Reached)
	first := true
	f.OnJoin(func(uint64) {
		if !first {
			f.hub.Relist()
		}
		first = false
	})
	t.Cleanup(func() {
		f.close(t, true)
		if t.Failed() {
			t.Logf("the log of %s:\n%s", o.name, f.log)
		}
	})
	f.Start()
	f.attendance.Start()
	f.memberships.Start()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := f.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return f
}

// close closes the office as a stop does, or leaves Redis to find out.
func (f *office) close(t *testing.T, politely bool) {
	t.Helper()
	if f.dead {
		return
	}
	f.dead = true
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if !politely {
		(*f.cancel.Load())()
		<-f.ended
		<-f.reader.ended
		if err := f.client.Close(ctx); err != nil {
			t.Error(err)
		}
		f.attendance.Close()
		f.memberships.Close()
		f.rooms.Close()
		brief, cancelBrief := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancelBrief()
		if err := f.hub.Close(brief); err != nil { // what it would tell, nobody hears
			t.Logf("%s: %v", f.Name(), err)
		}
		return
	}
	f.hub.Drain()
	if err := f.hub.Close(ctx); err != nil {
		t.Error(err)
	}
	f.attendance.Close()
	f.memberships.Close()
	f.rooms.Close()
	if err := f.Close(ctx); err != nil && !errors.Is(err, ErrAway) {
		t.Error(err)
	}
}

// enter has a browser connect and log in.
func (f *office) enter(t *testing.T, uid string) *hub.Member {
	t.Helper()
	m, err := f.hub.Connect(&browser{id: fmt.Sprintf("%s-%s-%d", f.Name(), uid, time.Now().UnixNano())})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Login(uid); err != nil {
		t.Fatal(err)
	}
	return m
}

// history is what was told of a user: "+" and "-cause".
func history(t *testing.T, server *redisServer, uid string) string {
	t.Helper()
	var b strings.Builder
	var last uint64
	for _, one := range callbacks(t, server) {
		if one.UID != uid {
			continue
		}
		if one.Version <= last {
			t.Errorf("%s: version %d after %d", uid, one.Version, last)
		}
		last = one.Version
		if one.Online {
			b.WriteString("+")
		} else {
			b.WriteString("-" + one.Cause)
		}
	}
	return b.String()
}

// awaitHistory waits until that is so.
func awaitHistory(t *testing.T, server *redisServer, uid, want string) {
	t.Helper()
	await(t, uid+" is told of as "+want, func() bool { return history(t, server, uid) == want })
}

// entry is what the directory says of a user at a node: "connections,trail", or nothing.
func entry(t *testing.T, server *redisServer, uid, node string) string {
	t.Helper()
	text, err := redis.String(server.ask(t, "HGET", "crier:u:"+uid, "n:"+node), nil)
	if err != nil && !errors.Is(err, redis.ErrNil) {
		t.Fatal(err)
	}
	if text == "" {
		return ""
	}
	return text[:strings.LastIndexByte(text, ',')]
}

// A user comes once, however many nodes he is with, and goes once.
func TestOneTransition(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	a := newOffice(t, officeOptions{name: "a", redis: server.Addr()})
	b := newOffice(t, officeOptions{name: "b", redis: server.Addr()})
	first := a.enter(t, "u")
	if got := history(t, server, "u"); got != "+" { // a login waits for that
		t.Fatalf("told of as %q when the login is acknowledged", got)
	}
	second, third := b.enter(t, "u"), b.enter(t, "u")
	await(t, "the directory counts", func() bool { return entry(t, server, "u", "b") == "2,0" })
	first.Gone()
	second.Gone()
	await(t, "the directory has nobody at a", func() bool { return entry(t, server, "u", "a") == "" })
	await(t, "the directory counts", func() bool { return entry(t, server, "u", "b") == "1,0" })
	await(t, "the figures", func() bool {
		users, connections := a.attendance.Online()
		return users == 1 && connections == 1
	})
	third.Logout()
	awaitHistory(t, server, "u", "+-logout")
	if exists := server.ask(t, "EXISTS", "crier:u:u"); exists != int64(0) {
		t.Error("something is left of him")
	}
}

// A node that ends without a word: its users go offline, but for those who are elsewhere.
func TestKilledNode(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	a := newOffice(t, officeOptions{name: "a", redis: server.Addr()})
	b := newOffice(t, officeOptions{name: "b", redis: server.Addr()})
	for i := range 700 { // more than are taken from it at once
		a.enter(t, "crowd "+strconv.Itoa(i))
	}
	a.enter(t, "both")
	b.enter(t, "both")
	a.enter(t, "moves")
	b.enter(t, "stays")
	a.close(t, false)
	b.enter(t, "moves")
	awaitHistory(t, server, "crowd 699", "+-node")
	awaitHistory(t, server, "crowd 0", "+-node")
	for _, uid := range []string{"both", "moves", "stays"} {
		if got := history(t, server, uid); got != "+" {
			t.Errorf("%s was told of as %q", uid, got)
		}
	}
	if n := server.ask(t, "EXISTS", "crier:ended", "crier:due", "crier:n:a"); n != int64(0) {
		t.Errorf("%d keys are left of a node that has gone", n)
	}
	await(t, "the figures", func() bool {
		users, connections := b.attendance.Online()
		return users == 3 && connections == 3
	})
}

// A node that is not heard of for longer than its lease is given up, and comes back with those who are with it still.
func TestNodeGivenUp(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"cut off", "standing still"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			server := startRedis(t)
			line := newProxy(t, server.Addr())
			a := newOffice(t, officeOptions{name: "a", redis: line.listener.Addr().String()})
			b := newOffice(t, officeOptions{name: "b", redis: server.Addr()})
			epoch := a.Epoch()
			stays, leaves := a.enter(t, "stays"), a.enter(t, "leaves")
			a.enter(t, "both")
			b.enter(t, "both")
			if how == "cut off" {
				line.sever(true)
			} else {
				line.freeze()
			}
			awaitHistory(t, server, "stays", "+-node")
			awaitHistory(t, server, "leaves", "+-node")
			await(t, "a has been reaped", func() bool { return server.ask(t, "EXISTS", "crier:ended") == int64(0) })
			at, err := b.Append(t.Context(), "s:a", KindMark, 0, nil)
			if err != nil {
				t.Fatal(err)
			}
			leaves.Gone()
			visit := a.enter(t, "visit")
			visit.Gone()
			a.enter(t, "comes")
			line.heal()
			awaitHistory(t, server, "stays", "+-node+")
			awaitHistory(t, server, "comes", "+")
			if a.Epoch() <= epoch {
				t.Errorf("epoch %d after %d", a.Epoch(), epoch)
			}
			await(t, "a has read on", func() bool { return a.seen.Load() >= uint64(at) })
			if n := a.Gaps(); n > 0 {
				t.Errorf("%d gaps, though all is there that came meanwhile", n)
			}
			stays.Gone()
			awaitHistory(t, server, "stays", "+-node+-disconnect")
			for uid, want := range map[string]string{"both": "+", "leaves": "+-node"} {
				if got := history(t, server, uid); got != want {
					t.Errorf("%s was told of as %q, want %q", uid, got, want)
				}
			}
			if got := history(t, server, "visit"); got != "" && got != "+-disconnect" {
				t.Errorf("a visit that nobody could be told of was told of as %q", got)
			}
		})
	}
}

// Redis is killed in the midst of coming and going, and comes back with what it had: nobody who stayed is told of, and everybody
// who came or went is, once.
func TestRedisComesBack(t *testing.T) {
	t.Parallel()
	server := startRedis(t, "--appendonly", "yes", "--appendfsync", "always")
	var offices []*office
	for _, name := range []string{"a", "b", "c"} {
		offices = append(offices, newOffice(t, officeOptions{name: name, redis: server.Addr()}))
	}
	const crowd = 60
	stay := make([]*hub.Member, crowd)
	for i := range crowd {
		stay[i] = offices[i%3].enter(t, "stays "+strconv.Itoa(i))
	}
	for round := range 3 {
		come := make(chan []*hub.Member, 1)
		go func() { // while Redis ends
			var all []*hub.Member
			for i := range crowd {
				all = append(all, offices[(i+round)%3].enter(t, fmt.Sprintf("comes %d in %d", i, round)))
			}
			come <- all
		}()
		time.Sleep(time.Duration(round) * time.Millisecond) // anywhere within that; nothing depends on it
		server.Kill(t)
		server.Start(t)
		for i, m := range <-come {
			uid := fmt.Sprintf("comes %d in %d", i, round)
			awaitHistory(t, server, uid, "+")
			m.Gone()
		}
		await(t, "all have gone", func() bool {
			n := 0
			for _, one := range callbacks(t, server) {
				if !one.Online {
					n++
				}
			}
			return n == crowd*(round+1)
		})
	}
	for i := range crowd {
		if got := history(t, server, "stays "+strconv.Itoa(i)); got != "+" {
			t.Errorf("one who has never left was told of as %q", got)
		}
		stay[i].Gone()
	}
	for i := range crowd {
		awaitHistory(t, server, "stays "+strconv.Itoa(i), "+-disconnect")
	}
}

// A stop owes nobody an offline: who comes back within the grace, to whatever node, never went; and so after a stop of all.
func TestStopOfNodes(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	grace := officeOptions{redis: server.Addr(), grace: testLease}
	open := func(name string) *office {
		o := grace
		o.name = name
		return newOffice(t, o)
	}
	a, b := open("a"), open("b")
	a.enter(t, "moves")
	a.enter(t, "leaves")
	b.enter(t, "stays")
	b.enter(t, "leaves later")
	a.close(t, true)
	b.enter(t, "moves")
	awaitHistory(t, server, "leaves", "+-restart")
	b.close(t, true)
	closed := time.Now()
	await(t, "nobody has been there for longer than the grace", func() bool { return time.Since(closed) > 2*testLease })
	c := open("a")
	c.enter(t, "stays")
	c.enter(t, "moves")
	awaitHistory(t, server, "leaves later", "+-restart")
	for _, uid := range []string{"stays", "moves"} {
		if got := history(t, server, uid); got != "+" {
			t.Errorf("%s was told of as %q", uid, got)
		}
	}
}

// All nodes are killed, and one is started again, under its name or another: there is the grace.
func TestAllNodesKilled(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a", "z"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := startRedis(t)
			o := officeOptions{name: "a", redis: server.Addr(), grace: 2 * testLease}
			a := newOffice(t, o)
			for _, uid := range []string{"returns", "leaves"} {
				a.enter(t, uid)
			}
			a.close(t, false)
			o.name = name
			started := time.Now() // the grace begins while the office opens
			c := newOffice(t, o)
			await(t, "the former users are seen to", func() bool { return server.ask(t, "EXISTS", "crier:due") == int64(1) })
			c.enter(t, "returns")
			awaitHistory(t, server, "leaves", "+-node")
			if took := time.Since(started); took < o.grace {
				t.Errorf("offline after %v, within the grace of %v", took, o.grace)
			}
			if got := history(t, server, "returns"); got != "+" {
				t.Errorf("who came back was told of as %q", got)
			}
		})
	}
}

// Memberships are the same everywhere, whoever changes them, also for a node that comes later or has missed something.
func TestMemberships(t *testing.T) {
	t.Parallel()
	server := startRedis(t, "--appendonly", "yes", "--appendfsync", "always")
	line := newProxy(t, server.Addr())
	a := newOffice(t, officeOptions{name: "a", redis: server.Addr()})
	b := newOffice(t, officeOptions{name: "b", redis: line.listener.Addr().String()})
	ctx := context.Background()
	add := func(f *office, uid, room string) int {
		t.Helper()
		n, err := f.memberships.AddMembership(ctx, uid, room)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	a.enter(t, "u")
	at := b.enter(t, "u")
	if n := add(a, "u", "one"); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
	if n := add(b, "u", "one"); n != 0 {
		t.Errorf("%d connections joined a room that they were in", n)
	}
	await(t, "the other one follows", func() bool { return slices.Equal(at.Rooms(), []string{"one"}) })
	if got := a.memberships.Memberships("u"); !slices.Equal(got, []string{"one"}) {
		t.Errorf("%q at once, where it was made", got)
	}

	// Both change the same ones at the same time: they agree in the end.
	done := make(chan struct{})
	for _, f := range []*office{a, b} {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := range 200 {
				change := f.memberships.AddMembership
				if i%2 == 1 {
					change = f.memberships.RemoveMembership
				}
				if _, err := change(ctx, "v", "two"); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	<-done
	<-done
	stored := []string{} // each has waited for its own changes, and not for those of the other one
	if server.ask(t, "ZSCORE", "crier:mem", "v\x00two") != nil {
		stored = append(stored, "two")
	}
	for _, f := range []*office{a, b} {
		await(t, f.Name()+" has what is stored", func() bool { return slices.Equal(f.memberships.Memberships("v"), stored) })
	}

	line.sever(true)
	if _, err := a.memberships.RemoveMembership(ctx, "u", "one"); err != nil {
		t.Fatal(err)
	}
	await(t, "b has noticed", func() bool { return !b.client.Up() })
	if _, err := b.memberships.AddMembership(ctx, "u", "three"); !errors.Is(err, hub.ErrAway) {
		t.Errorf("a change without Redis: %v", err)
	}
	server.do(t, []any{"DEL", "crier:all"}) // what b would have read
	add(a, "u", "four")
	line.heal()
	await(t, "b has read what it has missed", func() bool { return slices.Equal(at.Rooms(), []string{"four"}) })

	c := newOffice(t, officeOptions{name: "c", redis: server.Addr()})
	await(t, "a new one knows them", func() bool { return slices.Equal(c.memberships.Memberships("u"), []string{"four"}) })
	for i := range hub.MaxMemberships - 1 {
		add(a, "u", "room "+strconv.Itoa(i))
	}
	if _, err := c.memberships.AddMembership(ctx, "u", "one too many"); !errors.Is(err, hub.ErrTooManyRooms) {
		t.Errorf("one too many: %v", err)
	}
}

// The rights that docs/CLUSTER.md gives to a user of Redis are enough for everything.
func TestRightsAreEnough(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/CLUSTER.md")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^ACL SETUSER crier .*$`).FindString(string(page))
	if line == "" {
		t.Fatal("docs/CLUSTER.md has no ACL SETUSER")
	}
	server := startRedis(t, "--appendonly", "yes")
	var command []any
	for word := range strings.FieldsSeq(line) {
		command = append(command, word)
	}
	server.do(t, command)
	address := "crier:password@" + server.Addr()
	to := &receiver{busy: make(map[string]string), t: t}
	a := newRuler(t, officeOptions{name: "a", redis: address}, to)
	a.Advise(context.Background())
	if strings.Contains(a.log.String(), "does not tell") {
		t.Error("it may not read settings")
	}
	b := newOffice(t, officeOptions{name: "b", redis: address})
	a.enter(t, "u")
	b.enter(t, "u").Gone()
	if _, err := a.memberships.AddMembership(context.Background(), "u", "r"); err != nil {
		t.Error(err)
	}
	await(t, "a callback arrives", func() bool { return len(to.taken()) == 1 })
	term := a.leader.current()
	if err := NewSchedules(term).Save(map[string][]byte{"s": []byte("x")}); err != nil {
		t.Error(err)
	}
	if err := a.attendance.sweep(context.Background(), true); err != nil {
		t.Error(err)
	}
	s := connect(t, RedisOptions{URL: "redis://" + address})
	s.up(t)
	if denied := server.ask(t, "ACL", "LOG"); len(denied.([]any)) > 0 {
		t.Errorf("Redis has refused %s", denied)
	}
}
