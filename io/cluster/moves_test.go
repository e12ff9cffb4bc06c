package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"crier/io/hub"
)

// TestOneClaims has two nodes claim a session at the same time: one of them has it in the end.
func TestOneClaims(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	a, b, c := newSeat(t, server, "a").begin(t), newSeat(t, server, "b").begin(t), newSeat(t, server, "c").begin(t)
	for i := range 20 {
		g := a.arrive(t, fmt.Sprint("one", i), "42")
		a.kept(t, g)
		g.deafen()
		c.publish(t, "m", toUser("42"))
		var got [2]*guest
		var errs [2]error
		var both sync.WaitGroup
		for n, s := range []*seat{b, c} {
			both.Go(func() { got[n], errs[n] = s.claim(g) })
		}
		both.Wait()
		var there []*guest
		for n, one := range got {
			if errs[n] != nil && !errors.Is(errs[n], hub.ErrLost) {
				t.Fatal(errs[n])
			}
			if one != nil {
				check(t, "missed", one.taken(), "m")
				there = append(there, one)
			}
		}
		if len(there) == 0 {
			t.Fatal("nobody has it")
		}
		await(t, "one has it in the end", func() bool {
			return len(slices.DeleteFunc(slices.Clone(there), (*guest).sentBack)) == 1 && g.sentBack()
		})
		for _, one := range append(there, g) {
			one.member.Gone()
		}
	}
}

// TestJoinsAreNoted kills a node right behind what a client has joined: it is in there on the next node, and has missed nothing.
func TestJoinsAreNoted(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	b := newSeat(t, server, "b").begin(t)
	for i := range 5 {
		a := newSeat(t, server, fmt.Sprint("a", i)).begin(t)
		g := a.arrive(t, fmt.Sprint("one", i), "")
		a.enter(t, "42")
		if err := g.member.Login("42"); err != nil {
			t.Fatal(err)
		}
		if err := g.member.Join("r"); err != nil {
			t.Fatal(err)
		}
		if err := g.member.Join("s"); err != nil {
			t.Fatal(err)
		}
		g.member.Leave("s")
		a.noted(t)
		a.kill(t)
		b.publish(t, "m", toRoom("r"))
		b.publish(t, "n", toUser("42"))
		next := b.comeBack(t, g)
		if next == nil {
			t.Fatal("not recovered")
		}
		check(t, "missed", next.taken(), "m", "n")
		if next.member.UID() != "42" || next.member.Rooms()[0] != "r" {
			t.Errorf("came back as %q in %q", next.member.UID(), next.member.Rooms())
		}
		next.member.Gone()
	}
}

// TestServerThatHasJustStarted kills a node to which nothing has come yet: its client has missed nothing of before it connected.
func TestServerThatHasJustStarted(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	b := newSeat(t, server, "b").begin(t)
	b.publish(t, "before", toRoom("r"))
	a := newSeat(t, server, "a").begin(t)
	g := a.arrive(t, "one", "")
	if err := g.member.Join("r"); err != nil {
		t.Fatal(err)
	}
	a.noted(t)
	a.kill(t)
	b.publish(t, "m", toRoom("r"))
	next := b.comeBack(t, g)
	if next == nil {
		t.Fatal("not recovered")
	}
	check(t, "missed", next.taken(), "m")
	next.member.Gone()
}

// TestJoinWithoutRedis has a client join a room of which nothing can be noted: it does not, and has to come back.
func TestJoinWithoutRedis(t *testing.T) {
	t.Parallel()
	server := newRedis(t)
	server.Start(t)
	a := newSeat(t, server, "a").begin(t)
	g, untold := a.arrive(t, "one", "42"), a.arrive(t, "two", "43")
	a.kept(t, g)
	a.kept(t, untold)
	server.Kill(t)
	await(t, "Redis is away", func() bool { return !a.Client().Up() })
	if err := g.member.Join("r"); !errors.Is(err, hub.ErrGone) || !g.sentBack() {
		t.Errorf("joined without Redis: %v", err)
	}
	if untold.sentBack() {
		t.Error("somebody else was sent back")
	}
	// Whom nobody else knows of can join.
	c := &guest{id: "three", at: a}
	var err error
	if c.member, err = a.hub.Connect(c); err != nil {
		t.Fatal(err)
	}
	if err := c.member.Track(func(hub.Beginning) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if err := c.member.Join("r"); err != nil {
		t.Error(err)
	}
}

// TestNotRecovered lists what a client must not come back from as if nothing had been.
func TestNotRecovered(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, server *redisServer, a, b *seat, g *guest)
	}{
		{"the common stream was trimmed", func(t *testing.T, _ *redisServer, _, b *seat, _ *guest) {
			b.publish(t, "m", toRoom("r"))
			for range 3 * maxEntries {
				b.publish(t, "for somebody else", toRoom("s"))
			}
		}},
		{"the node's stream was trimmed", func(t *testing.T, _ *redisServer, a, b *seat, _ *guest) {
			a.enter(t, "43")
			b.publish(t, "m", toUser("42"))
			for range 3 * maxEntries {
				b.publish(t, "for somebody else", toUser("43"))
			}
		}},
		{"the node's stream has gone", func(t *testing.T, server *redisServer, _, b *seat, _ *guest) {
			b.publish(t, "m", toUser("42"))
			server.do(t, []any{"DEL", "crier:s:a"})
		}},
		{"kicked", func(t *testing.T, _ *redisServer, _, _ *seat, g *guest) { g.member.Gone() }},
		{"disconnected by a caller meanwhile", func(t *testing.T, _ *redisServer, a, b *seat, _ *guest) {
			a.kill(t)
			to := hub.Audience{Users: []string{"42"}}
			if _, err := b.Append(t.Context(), "all", KindDisconnect, 0, appendAudience(nil, &to)); err != nil {
				t.Fatal(err)
			}
		}},
		{"logged out", func(t *testing.T, _ *redisServer, _, _ *seat, g *guest) { g.member.Logout() }},
		{"given something without a place", func(t *testing.T, _ *redisServer, a, _ *seat, _ *guest) {
			if _, err := a.hub.Push(t.Context(), hub.Push{To: toUser("42"), Message: &hub.Message{Event: "e"}}); err != nil {
				t.Fatal(err)
			}
		}},
		{"too much missed", func(t *testing.T, _ *redisServer, _, b *seat, _ *guest) {
			for i := range 11 {
				b.publish(t, fmt.Sprint("m", i), toUser("42"))
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := startRedis(t)
			few := func(o *hub.Options) { o.Recovery.ReplayMessages = 10 }
			a, b := newSeat(t, server, "a", few).begin(t), newSeat(t, server, "b", few).begin(t)
			g := a.arrive(t, "one", "42")
			if err := g.member.Join("r"); err != nil {
				t.Fatal(err)
			}
			b.publish(t, "before", toUser("42"))
			g.settled(t, 1)
			g.deafen()
			tt.do(t, server, a, b, g)
			if _, err := a.Client().Command(t.Context(), "PING"); err != nil && !errors.Is(err, ErrAway) { // all has been noted
				t.Fatal(err)
			}
			if b.comeBack(t, g) != nil {
				t.Error("recovered")
			}
			if b.comeBack(t, g) != nil {
				t.Error("recovered at the second try")
			}
		})
	}
}

// TestRedisWithoutData has Redis come back with nothing: whoever can be recovered is sent back, and begins anew.
func TestRedisWithoutData(t *testing.T) {
	t.Parallel()
	server := newRedis(t)
	server.Start(t)
	a, b := newSeat(t, server, "a").begin(t), newSeat(t, server, "b").begin(t)
	here, away := a.arrive(t, "one", "42"), a.arrive(t, "two", "43")
	a.kept(t, away)
	away.member.Away(nil)
	server.Kill(t)
	await(t, "Redis is away", func() bool { return !a.Client().Up() && !b.Client().Up() })
	server.Start(t)
	await(t, "the client has been sent back", here.sentBack)
	await(t, "both have been counted", func() bool { return a.sessions.Lost() == 2 })
	here.member.Away(nil)
	for _, s := range []*seat{a, b} {
		await(t, "Redis is there", s.sessions.Up)
		for _, g := range []*guest{here, away} {
			if s.comeBack(t, g) != nil {
				t.Error("recovered")
			}
		}
	}
	again := a.arrive(t, "three", "42")
	a.noted(t)
	if again.lastOffset()[:4] == here.lastOffset()[:4] {
		t.Error("offsets cannot be told apart")
	}
	again.deafen()
	b.publish(t, "m", toUser("42"))
	if next := b.comeBack(t, again); next == nil {
		t.Error("not recovered")
	} else {
		check(t, "missed", next.taken(), "m")
	}
}

// TestIdleClient has a client that is given nothing for so long that the streams do not have what it was given last.
func TestIdleClient(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	a, b := newSeat(t, server, "a").begin(t), newSeat(t, server, "b").begin(t)
	g := a.arrive(t, "one", "42")
	b.publish(t, "m", toUser("42"))
	g.settled(t, 1)
	for range 10 {
		b.publish(t, "for somebody else", toRoom("r"))
	}
	if err := a.sessions.refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	server.do(t, []any{"XTRIM", "crier:all", "MAXLEN", 0}, []any{"XTRIM", "crier:s:a", "MAXLEN", 1})
	g.deafen()
	a.kill(t)
	b.publish(t, "n", toUser("42"))
	next := b.comeBack(t, g)
	if next == nil {
		t.Fatal("not recovered")
	}
	check(t, "missed", next.taken(), "n")
}

// TestMembershipsMeanwhile has a user become a member of rooms, and cease to be, while no node has his connection.
func TestMembershipsMeanwhile(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	a, b := newSeat(t, server, "a").begin(t), newSeat(t, server, "b").begin(t)
	change := func(kind Kind, room string) {
		t.Helper()
		if _, err := b.Append(t.Context(), "all", kind, 0, []byte("42\x00"+room)); err != nil {
			t.Fatal(err)
		}
	}
	change(KindJoined, "left")
	change(KindJoined, "kept")
	g := a.arrive(t, "one", "42")
	await(t, "it is in both rooms", func() bool { return len(g.member.Rooms()) == 2 })
	a.noted(t)
	g.deafen()
	a.kill(t)
	for i := range 2 {
		for _, room := range []string{"left", "kept", "joined"} {
			b.publish(t, fmt.Sprint(room, i), toRoom(room))
		}
		if i == 0 {
			change(KindLeft, "left")
			change(KindJoined, "joined")
		}
	}
	next := b.comeBack(t, g)
	if next == nil {
		t.Fatal("not recovered")
	}
	check(t, "missed", next.taken(), "left0", "kept0", "kept1", "joined1")
	rooms := next.member.Rooms()
	slices.Sort(rooms)
	check(t, "rooms", rooms, "joined", "kept")
	next.deafen()
	await(t, "it is noted that the claim is over", func() bool {
		claimed, err := b.Client().Command(t.Context(), "HEXISTS", b.Key("r", next.pid), "k")
		return err == nil && claimed == int64(0)
	})
	b.kill(t)
	c := newSeat(t, server, "c").begin(t)
	next.offset = g.lastOffset()
	if last := c.comeBack(t, next); last == nil {
		t.Error("not recovered on the third node")
	} else {
		check(t, "missed on the third node", last.taken(), next.taken()...)
	}
}

// drawer is an inbox that the nodes of a test have in common.
type drawer struct {
	mu      sync.Mutex
	letters []hub.Letter
	ends    int // how often somebody has read up to the end
}

func (d *drawer) Last() uint64                         { return 1 << 60 } // no outbox is behind
func (d *drawer) Put(hub.Deposit, func(hub.Deposited)) { panic("nothing is stored so") }
func (d *drawer) Confirm(_ string, places []uint64)    { d.remove(places) }
func (d *drawer) Next(_ string, after uint64, n, _ int) ([]hub.Letter, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var list []hub.Letter
	for _, l := range d.letters {
		if l.Place > after && len(list) < n {
			list = append(list, hub.Letter{Place: l.Place, Message: &hub.Message{ID: l.Message.ID, Event: "e"}})
		}
	}
	if len(list) == 0 {
		d.ends++
	}
	return list, nil
}

// read tells whether somebody has read up to the end.
func (d *drawer) read() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ends > 0
}

func (d *drawer) remove(places []uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.letters = slices.DeleteFunc(d.letters, func(l hub.Letter) bool { return slices.Contains(places, l.Place) })
}

func (d *drawer) put(id string, at hub.Position) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.letters = append(d.letters, hub.Letter{Place: uint64(at), Message: &hub.Message{ID: id, Event: "e"}})
}

func (d *drawer) left() (ids []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range d.letters {
		ids = append(ids, l.Message.ID)
	}
	return ids
}

// TestInboxMoves has a client move for which messages are stored: what it has got it is not given again; and who has not confirmed
// what it was given of before it came is given that again, and not recovered.
func TestInboxMoves(t *testing.T) {
	t.Parallel()
	for _, confirms := range []bool{true, false} {
		t.Run(fmt.Sprint("confirms ", confirms), func(t *testing.T) {
			t.Parallel()
			server := startRedis(t)
			d := &drawer{}
			with := func(o *hub.Options) { o.Inbox = d }
			a, b := newSeat(t, server, "a", with).begin(t), newSeat(t, server, "b", with).begin(t)
			// Stored before it came; the outbox has passed it.
			d.put("old", 1)
			a.hub.Passed(b.publish(t, "for nobody", toUser("nobody")))
			g := &guest{id: "one", at: a, silent: !confirms}
			var err error
			if g.member, err = a.hub.Connect(g); err != nil {
				t.Fatal(err)
			}
			a.enter(t, "42")
			if err := g.member.Login("42"); err != nil {
				t.Fatal(err)
			}
			if err := g.member.Track(func(b hub.Beginning) error { g.begin(b); return nil }); err != nil {
				t.Fatal(err)
			}
			a.kept(t, g)
			g.member.Ready()
			await(t, "all that is stored has been read", d.read) // what is put from now on comes by the stream alone
			d.put("live", b.publish(t, "live", toUser("42")))
			g.settled(t, 2)
			check(t, "given", g.taken(), "old", "live")
			g.deafen()
			a.kill(t)
			d.put("missed", b.publish(t, "missed", toUser("42")))
			if confirms {
				d.remove([]uint64{1})
			}
			next := b.comeBack(t, g)
			if !confirms {
				if next != nil {
					t.Error("recovered, although it may not have got what is older")
				}
				check(t, "stored", d.left(), "old", "live", "missed")
				return
			}
			if next == nil {
				t.Fatal("not recovered")
			}
			check(t, "missed", next.taken(), "missed")
			await(t, "all is confirmed", func() bool { return len(d.left()) == 0 })
			check(t, "given", next.taken(), "missed")
		})
	}
}

// TestSameName has a node be killed and started again under its name.
func TestSameName(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	a, b := newSeat(t, server, "a").begin(t), newSeat(t, server, "b").begin(t)
	g := a.arrive(t, "one", "42")
	a.kept(t, g)
	a.kill(t)
	b.publish(t, "m", toUser("42"))
	next := newSeat(t, server, "a").begin(t).comeBack(t, g)
	if next == nil {
		t.Fatal("not recovered")
	}
	check(t, "missed", next.taken(), "m")
}

// TestFlood has a client move from node to node while much is pushed. Now and then its node is told, mostly not; now and then what it
// was given on the way is lost. It gets everything, once and in order.
func TestFlood(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	seats := make([]*seat, 3)
	for i := range seats {
		seats[i] = newSeat(t, server, string(rune('a'+i))).begin(t)
	}
	const messages = 3000
	pushed := make(chan struct{})
	g := seats[0].arrive(t, "one", "42")
	if err := g.member.Join("r"); err != nil {
		t.Fatal(err)
	}
	seats[0].noted(t)
	go func() {
		defer close(pushed)
		for i := range messages {
			to := []hub.Audience{toUser("42"), toRoom("r"), {All: true}}[i%3]
			seats[i/7%3].publish(t, fmt.Sprint(i), to)
		}
	}()
	random := rand.New(rand.NewPCG(8, 17))
	var got []string
	moves := 0
	for over := false; !over; moves++ {
		select {
		case <-pushed:
			over = true
		case <-time.After(time.Duration(random.IntN(20)) * time.Millisecond):
		}
		g.deafen()
		had, offset := g.taken(), g.lastOffset()
		if random.IntN(3) == 0 {
			g.member.Away(nil)
		}
		next := seats[random.IntN(3)]
		if next == g.at { // which notices
			g.member.Away(nil)
		}
		then := next.comeBack(t, &guest{id: g.id, pid: g.pid, offset: offset})
		if then == nil {
			t.Fatalf("not recovered after %d messages and %d moves", len(got), moves)
		}
		got, g = append(got, had...), then
	}
	await(t, "all has come", func() bool { return len(got)+len(g.taken()) >= messages })
	for i, id := range append(got, g.taken()...) {
		if id != fmt.Sprint(i) {
			t.Fatalf("message %s instead of %d, after %d moves", id, i, moves)
		}
	}
	t.Logf("%d messages, %d moves", messages, moves)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, s := range seats {
		if err := s.sessions.refresh(ctx); err != nil {
			t.Error(err)
		}
	}
}
