package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"crier/io/hub"
)

// depot is one of several servers that store messages.
type depot struct {
	*Relay
	node  *Node
	hub   *hub.Hub
	inbox *Inbox
	log   *logBook
}

// newDepot makes one; the test's end closes it. slow, if not nil, is called by the goroutine that reads, behind each entry.
func newDepot(t testing.TB, server *redisServer, name string, slow func()) *depot {
	t.Helper()
	r, err := NewRedis(RedisOptions{URL: "redis://" + server.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	o := &depot{log: &logBook{}}
	log := slog.New(slog.NewTextHandler(o.log, nil))
	if o.node, err = NewNode(NodeOptions{Redis: r, Name: name, Logger: log}); err != nil {
		t.Fatal(err)
	}
	attendance, err := NewAttendance(AttendanceOptions{Node: o.node, Window: time.Minute, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	if o.inbox, err = NewInbox(InboxOptions{Node: o.node, Logger: log}); err != nil {
		t.Fatal(err)
	}
	o.hub, err = hub.New(hub.Options{
		Attendance: attendance, PresenceTick: time.Millisecond, Inbox: o.inbox, QueueMessages: 5000, Logger: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	if o.Relay, err = NewRelay(RelayOptions{Node: o.node, Hub: o.hub, Logger: log}); err != nil {
		t.Fatal(err)
	}
	o.inbox.Serve(o.hub, o.Relay)
	if slow != nil {
		o.node.OnReached(func(hub.Position) { slow() })
	}
	o.node.OnReached(o.hub.Reached)
	first := true
	o.node.OnJoin(func(uint64) {
		if !first {
			o.hub.Relist()
		}
		first = false
	})
	o.node.OnGap(func(Gap) { o.hub.Relist() })
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		err := o.Relay.Close(ctx)
		attendance.Close()
		if err := errors.Join(err, o.hub.Close(ctx), o.inbox.Close(), o.node.Close(ctx)); err != nil && server.Cmd.ProcessState == nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the log of %s:\n%s", name, o.log)
		}
	})
	o.node.Start()
	attendance.Start()
	o.Relay.Start()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := o.node.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return o
}

// arrived is a message that a page has got.
type arrived struct {
	id   string
	late bool
}

// A latePage is a page whose client cannot take anything before it is told that it is connected.
type latePage struct {
	page
	here atomic.Bool
}

func (p *latePage) Present() bool { return p.here.Load() }

// page is a connection that says when its client has got what was delivered: when the test reads.
type page struct {
	id string

	mu      sync.Mutex
	queue   []func()
	got     []arrived
	ended   bool
	dropped bool
}

func (p *page) ID() string    { return p.id }
func (p *page) Kick()         {}
func (p *page) Present() bool { return true }

func (p *page) Drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dropped = true
}

func (p *page) Deliver(m *hub.Message) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return hub.ErrGone
	}
	one := arrived{m.ID, m.Late()}
	p.queue = append(p.queue, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.got = append(p.got, one)
	})
	return nil
}

func (p *page) Confirm(_ func(), fn func(ok bool)) {
	p.mu.Lock()
	if p.ended {
		p.mu.Unlock()
		fn(false)
		return
	}
	p.queue = append(p.queue, func() { fn(true) })
	p.mu.Unlock()
}

// read has the client get what is there.
func (p *page) read() {
	for {
		p.mu.Lock()
		queue := p.queue
		p.queue = nil
		p.mu.Unlock()
		if len(queue) == 0 {
			return
		}
		for _, fn := range queue {
			fn()
		}
	}
}

// ids reads and returns all that the client has got.
func (p *page) ids() (ids []string) {
	p.read()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range p.got {
		ids = append(ids, one.id)
	}
	return ids
}

// visit logs a page in.
func (o *depot) visit(t testing.TB, id, uid string, rooms ...string) (*page, *hub.Member) {
	t.Helper()
	p := &page{id: id}
	m, err := o.hub.Connect(p)
	if err != nil {
		t.Fatal(err)
	}
	if uid != "" {
		err = m.Login(uid)
	}
	for _, room := range rooms {
		err = errors.Join(err, m.Join(room))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Gone)
	return p, m
}

// store stores a message and waits for it.
func (o *depot) store(t testing.TB, id string, to hub.Audience) hub.Kept {
	t.Helper()
	got := make(chan hub.Kept, 1)
	err := o.hub.Store(context.Background(), hub.Push{To: to, Message: text(id)}, hub.Keep{
		Expires: time.Now().Add(time.Hour), Done: func(k hub.Kept) { got <- k },
	})
	if err != nil {
		t.Fatal(err)
	}
	return <-got
}

func text(id string) *hub.Message {
	return &hub.Message{ID: id, Event: "new_msg", Args: []json.RawMessage{json.RawMessage(`"hi"`)}}
}

func users(uids ...string) hub.Audience { return hub.Audience{Users: uids} }

// gets waits until a page has got these messages, and no others.
func (p *page) gets(t *testing.T, want ...string) {
	t.Helper()
	await(t, fmt.Sprintf("%s gets %q", p.id, want), func() bool { return len(p.ids()) >= len(want) })
	if got := p.ids(); !slices.Equal(got, want) {
		t.Errorf("%s got %q, want %q", p.id, got, want)
	}
}

func TestStoredOnNodes(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	a, b, c := newDepot(t, server, "a", nil), newDepot(t, server, "b", nil), newDepot(t, server, "c", nil)
	if k := a.store(t, "1", users("u", "v")); k.Err != nil || k.Stored != 2 || k.Users != 0 || k.Connections != 0 || k.Known {
		t.Fatalf("%+v", k)
	}
	one, _ := b.visit(t, "one", "u")
	two, _ := c.visit(t, "two", "u") // nobody has confirmed it yet
	one.gets(t, "1")
	two.gets(t, "1")
	await(t, "1 is confirmed", func() bool { return len(waiting(t, a, "u")) == 0 })
	three, _ := c.visit(t, "three", "u")
	await(t, "the directory has all three", func() bool { return listed(t, a, "u") == 3 })
	if k := a.store(t, "2", users("u")); k.Err != nil || k.Users != 1 || k.Connections != 3 || k.Delivered != 0 || k.Partial {
		t.Fatalf("%+v", k)
	}
	one.gets(t, "1", "2")
	two.gets(t, "1", "2")
	three.gets(t, "2")
	if k := c.store(t, "3", users("u", "u")); k.Err != nil || k.Users != 1 || k.Connections != 3 || k.Delivered != 2 {
		t.Fatalf("%+v", k)
	}
	one.gets(t, "1", "2", "3")
	if k := b.store(t, "3", users("u")); !k.Known || k.Stored != 1 || k.Connections != 3 {
		t.Fatalf("again: %+v", k)
	}
	// One confirmation is enough for all.
	await(t, "3 is confirmed", func() bool { return len(waiting(t, b, "u")) == 0 })
	four, _ := a.visit(t, "four", "u")
	four.gets(t)
	await(t, "all have taken it", func() bool {
		r, err := b.inbox.Receipt("", "2", false)
		return err == nil && r.Confirmed == 1 && r.Delivered == 3
	})
}

// listed is how many connections of a user the directory has.
func listed(t testing.TB, o *depot, uid string) (n int) {
	t.Helper()
	counts, err := redis.Ints(o.node.Run(context.Background(), countScript, uid))
	if err != nil {
		t.Fatal(err)
	}
	mine, err := o.hub.Members(users(uid))
	if err != nil {
		t.Fatal(err)
	}
	return counts[0] + len(mine)
}

// Who logs in while Redis is away gets what is stored when it is back, and what is not stored at once.
func TestStoredLoginWithoutRedis(t *testing.T) {
	t.Parallel()
	server := startRedis(t, "--appendonly", "yes", "--appendfsync", "always")
	a, b := newDepot(t, server, "a", nil), newDepot(t, server, "b", nil)
	if k := a.store(t, "1", users("u")); k.Err != nil {
		t.Fatal(k.Err)
	}
	server.Kill(t)
	await(t, "Redis is away", func() bool { return !b.node.Client().Up() })
	p, _ := b.visit(t, "page", "u")
	if _, err := b.Push(context.Background(), hub.Push{To: users("u"), Message: text("now")}); err != nil {
		t.Fatal(err)
	}
	p.gets(t, "now")
	if k := b.store(t, "refused", users("u")); !errors.Is(k.Err, ErrAway) || !errors.Is(k.Err, hub.ErrInbox) {
		t.Errorf("stored without Redis: %+v", k)
	}
	server.Start(t)
	p.gets(t, "now", "1")
	await(t, "Redis is back", a.node.Client().Up)
	if k := a.store(t, "2", users("u")); k.Err != nil || k.Connections != 1 {
		t.Errorf("%+v", k)
	}
	p.gets(t, "now", "1", "2")
}

// Who was logged in, but had not got what is stored when Redis went away, gets it when it is back.
func TestStoredUnread(t *testing.T) {
	t.Parallel()
	server := startRedis(t, "--appendonly", "yes", "--appendfsync", "always")
	a := newDepot(t, server, "a", nil)
	if k := a.store(t, "1", users("u")); k.Err != nil {
		t.Fatal(k.Err)
	}
	p := &latePage{page: page{id: "page"}}
	m, err := a.hub.Connect(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Gone)
	if err := m.Login("u"); err != nil {
		t.Fatal(err)
	}
	server.Kill(t)
	await(t, "Redis is away", func() bool { return !a.node.Client().Up() })
	p.here.Store(true)
	m.Ready()
	if _, err := a.Push(context.Background(), hub.Push{To: users("u"), Message: text("now")}); err != nil {
		t.Fatal(err)
	}
	p.gets(t, "now")
	server.Start(t)
	p.gets(t, "now", "1")
	await(t, "Redis is back", a.node.Client().Up)
	if k := a.store(t, "2", users("u")); k.Err != nil || k.Connections != 1 {
		t.Errorf("%+v", k)
	}
	p.gets(t, "now", "1", "2")
}

// A server that was given up, so that what is stored did not come to it, has its connections catch up, and nothing comes twice.
func TestStoredStranded(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	a, b := newDepot(t, server, "a", nil), newDepot(t, server, "b", nil)
	p, _ := b.visit(t, "page", "u")
	for _, id := range []string{"1", "2"} {
		if k := a.store(t, id, users("u")); k.Err != nil || k.Connections != 1 {
			t.Fatalf("%+v", k)
		}
	}
	server.do(t, []any{"HDEL", "crier:u:u", "n:b"})
	if k := a.store(t, "3", users("u")); k.Err != nil || k.Connections != 0 {
		t.Fatalf("%+v", k)
	}
	b.hub.Relist()
	await(t, "the directory has the user", func() bool { return listed(t, a, "u") == 1 })
	if k := a.store(t, "4", users("u")); k.Err != nil || k.Connections != 1 {
		t.Fatalf("%+v", k)
	}
	p.gets(t, "1", "2", "3", "4")
	b.hub.Relist() // nothing was missing
	if k := a.store(t, "5", users("u")); k.Err != nil || k.Connections != 1 {
		t.Fatalf("%+v", k)
	}
	p.gets(t, "1", "2", "3", "4", "5")
}

// waiting are the IDs of the messages that wait for a user.
func waiting(t testing.TB, o *depot, uid string) (ids []string) {
	t.Helper()
	letters, err := o.inbox.Next(uid, 0, 1000, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range letters {
		ids = append(ids, l.Message.ID)
	}
	return ids
}

// A room is who is in it on any node, and who is a member of it.
func TestStoredForRooms(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	a, b, c := newDepot(t, server, "a", nil), newDepot(t, server, "b", nil), newDepot(t, server, "c", nil)
	u, _ := b.visit(t, "b-u", "u", "r")
	x, gone := c.visit(t, "c-x", "x", "r", "not")
	stranger, _ := c.visit(t, "stranger", "", "r")
	if _, err := a.hub.AddMembership(context.Background(), "m", "r"); err != nil {
		t.Fatal(err)
	}
	if k := a.store(t, "1", hub.Audience{Rooms: []string{"r"}, Except: &hub.Audience{Rooms: []string{"not"}}}); k.Err != nil || k.Stored != 2 || k.Connections != 2 {
		t.Fatalf("%+v", k)
	}
	u.gets(t, "1")
	stranger.gets(t, "1")
	if k := a.store(t, "2", hub.Audience{Rooms: []string{"r"}, Users: []string{"w"}}); k.Err != nil || k.Stored != 4 {
		t.Fatalf("%+v", k)
	}
	x.gets(t, "2")
	gone.Gone()
	for uid, want := range map[string][]string{"m": {"1", "2"}, "w": {"2"}, "y": nil} {
		if got := waiting(t, b, uid); !slices.Equal(got, want) {
			t.Errorf("%s has %q", uid, got)
		}
	}
}

// A node that reads late gives a page that logs in nothing twice and nothing in the wrong order.
func TestStoredReadLate(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	a := newDepot(t, server, "a", nil)
	gate := make(chan struct{})
	var open sync.Once
	defer open.Do(func() { close(gate) })
	var late atomic.Bool
	b := newDepot(t, server, "b", func() {
		if late.Load() {
			<-gate
		}
	})
	other, _ := b.visit(t, "other", "o", "r")
	if _, err := a.hub.AddMembership(context.Background(), "u", "r"); err != nil {
		t.Fatal(err)
	}
	late.Store(true)
	var want []string
	for n := range 20 {
		id := fmt.Sprint(n)
		want = append(want, id)
		to := users("u")
		if n%2 == 0 { // it goes through the stream that all nodes read
			to = hub.Audience{Users: []string{"u"}, Rooms: []string{"nobody"}}
		}
		if k := keep(t, a, id, to); k.Err != nil {
			t.Fatal(k.Err)
		}
	}
	logged := make(chan *page)
	go func() {
		p, _ := b.visit(t, "late", "u")
		logged <- p
	}()
	await(t, "the user is in the directory", func() bool {
		counts := b.hub.Stats()
		return counts.Users == 2
	})
	open.Do(func() { close(gate) })
	p := <-logged
	if k := a.store(t, "last", users("u", "o")); k.Err != nil {
		t.Fatal(k.Err)
	}
	p.gets(t, append(want, "last")...)
	other.gets(t, "last")
}

// keep is store, without asking other nodes who is in rooms: b does not answer while it reads nothing.
func keep(t testing.TB, o *depot, id string, to hub.Audience) hub.Deposited {
	t.Helper()
	done := make(chan hub.Deposited, 1)
	o.inbox.Put(hub.Deposit{Message: text(id), Users: to.Users, To: to, Expires: time.Now().Add(time.Hour)}, func(d hub.Deposited) { done <- d })
	return <-done
}

// book is what the stored messages of the stress test were and who has read them.
type book struct {
	mu   sync.Mutex
	owed map[string]bool // uid + " " + id
	read map[string]bool
}

// check finds what a page got twice or in the wrong order. Stored messages are s<publisher>-<number>, others p<publisher>-<number>.
func (k *book) check(t *testing.T, p *page, uid string) {
	last := make(map[string]int)
	for _, id := range p.ids() {
		publisher, number, _ := strings.Cut(id, "-")
		n := 0
		if _, err := fmt.Sscan(number, &n); err != nil || n <= last[publisher] {
			t.Errorf("%s got %s behind %d (%v)", p.id, id, last[publisher], err)
		}
		last[publisher] = n
		k.mu.Lock()
		k.read[uid+" "+id] = true
		k.mu.Unlock()
	}
}

// publish pushes so many messages on one node, stored and others, several on their way at once.
func (k *book) publish(t *testing.T, o *depot, rnd *rand.Rand, name string, count int) {
	var under sync.WaitGroup
	defer under.Wait()
	for i := 1; i <= count; i++ {
		uid := string(rune('a' + rnd.IntN(4)))
		to := users(uid)
		if rnd.IntN(6) == 0 {
			to.Rooms = []string{uid}
		}
		if rnd.IntN(3) == 0 {
			under.Wait()
			if _, err := o.Push(context.Background(), hub.Push{To: to, Message: text(fmt.Sprintf("p%s-%d", name, i))}); err != nil {
				t.Error(err)
			}
			continue
		}
		id := fmt.Sprintf("s%s-%d", name, i)
		under.Add(1)
		err := o.hub.Store(context.Background(), hub.Push{To: to, Message: text(id)}, hub.Keep{
			Expires: time.Now().Add(time.Hour),
			Done: func(kept hub.Kept) {
				defer under.Done()
				if kept.Err != nil || kept.Stored != 1 {
					t.Errorf("%s: %+v", id, kept)
					return
				}
				k.mu.Lock()
				defer k.mu.Unlock()
				k.owed[uid+" "+id] = true
			},
		})
		if err != nil {
			t.Error(err)
			under.Done()
		}
	}
}

// TestStressStored has pages come and go on three nodes, of which one reads late, while messages are stored and pushed on all of
// them: nothing is lost, nothing comes to a connection twice, and everything in its order.
func TestStressStored(t *testing.T) {
	server := startRedis(t)
	rnd := rand.New(rand.NewPCG(1, 9))
	depots := []*depot{
		newDepot(t, server, "a", nil), newDepot(t, server, "b", nil),
		newDepot(t, server, "c", func() { time.Sleep(time.Duration(rnd.IntN(500)) * time.Microsecond) }),
	}
	k := &book{owed: make(map[string]bool), read: make(map[string]bool)}
	var pushed atomic.Bool
	var pages, publishers sync.WaitGroup
	for i := range 8 {
		pages.Go(func() { k.visits(t, depots, rand.New(rand.NewPCG(uint64(i), 3)), i, &pushed) })
	}
	for i := range 3 {
		publishers.Go(func() {
			k.publish(t, depots[i], rand.New(rand.NewPCG(uint64(i), 4)), fmt.Sprint(i), 300)
		})
	}
	publishers.Wait()
	pushed.Store(true)
	pages.Wait()
	lost := 0
	for one := range k.owed {
		if !k.read[one] {
			lost++
		}
	}
	if lost > 0 || len(k.owed) == 0 {
		t.Errorf("%d of %d stored messages are lost", lost, len(k.owed))
	}
}

// visits has pages of one user come and go until everything has been read.
func (k *book) visits(t *testing.T, depots []*depot, rnd *rand.Rand, visitor int, pushed *atomic.Bool) {
	uid := string(rune('a' + visitor%4))
	end := time.Now().Add(2 * patience)
	for n := 0; !pushed.Load() || len(waiting(t, depots[0], uid)) > 0; n++ {
		if time.Now().After(end) {
			t.Errorf("%s has not got everything", uid)
			return
		}
		p := &page{id: fmt.Sprintf("%d-%d", visitor, n)}
		m, err := depots[rnd.IntN(len(depots))].hub.Connect(p)
		if err == nil {
			err = m.Login(uid)
		}
		if err == nil && rnd.IntN(3) == 0 {
			err = m.Join(uid)
		}
		if err != nil {
			t.Error(err)
			return
		}
		for range rnd.IntN(60) {
			p.read()
			time.Sleep(time.Duration(rnd.IntN(2000)) * time.Microsecond)
		}
		p.mu.Lock()
		dropped := p.dropped
		p.mu.Unlock()
		if dropped {
			t.Errorf("%s was dropped", p.id)
		}
		k.check(t, p, uid)
		p.mu.Lock()
		p.ended = true
		p.mu.Unlock()
		m.Gone()
	}
}
