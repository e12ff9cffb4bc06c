package hub

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"
)

// memInbox is an Inbox in memory: one goroutine keeps what it is handed, in groups, and tells afterwards, as one that waits
// for the disk would.
type memInbox struct {
	queue chan func()
	ended chan struct{}

	mu     sync.Mutex
	last   uint64
	known  map[string]Deposited // by scope and ID
	users  map[string][]string  // by ID
	boxes  map[string][]Letter
	reads  int
	putErr error
	getErr error
	stall  chan struct{} // the goroutine waits for it, unless nil
}

func newMemInbox(t testing.TB) *memInbox {
	b := &memInbox{
		queue: make(chan func(), 64), ended: make(chan struct{}),
		known: make(map[string]Deposited), boxes: make(map[string][]Letter),
		users: make(map[string][]string),
	}
	go b.run()
	t.Cleanup(func() { close(b.queue); <-b.ended })
	return b
}

func (b *memInbox) run() {
	defer close(b.ended)
	for tell := range b.queue {
		tell()
	}
}

func (b *memInbox) Put(d Deposit, stored func(Deposited)) {
	b.queue <- func() {
		b.mu.Lock()
		stall := b.stall
		b.mu.Unlock()
		if stall != nil {
			<-stall
		}
		stored(b.put(d))
	}
}

func (b *memInbox) put(d Deposit) Deposited {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.putErr != nil {
		return Deposited{Err: b.putErr}
	}
	key := d.Scope + "\x00" + d.Message.ID
	if first, ok := b.known[key]; ok {
		first.Known, first.Place = true, 0
		return first
	}
	b.last++
	one := Deposited{Place: b.last, Users: len(d.Users), Online: d.Online, Connections: d.Connections}
	b.known[key] = one
	b.users[d.Message.ID] = d.Users
	for _, uid := range d.Users {
		b.boxes[uid] = append(b.boxes[uid], Letter{one.Place, d.Message})
	}
	return one
}

func (b *memInbox) Last() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last
}

func (b *memInbox) Next(uid string, after uint64, messages, bytes int) ([]Letter, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reads++
	if b.getErr != nil {
		return nil, b.getErr
	}
	var list []Letter
	for _, l := range b.boxes[uid] {
		if l.Place <= after {
			continue
		}
		m := l.Message
		if bytes -= len(m.Event) + len(m.Args); len(list) == messages || bytes < 0 && len(list) > 0 {
			break
		}
		own := &Message{ID: m.ID, Event: m.Event, Args: m.Args, Attachments: m.Attachments, ShowID: m.ShowID}
		list = append(list, Letter{l.Place, own})
	}
	return list, nil
}

func (b *memInbox) Confirm(uid string, places []uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.boxes[uid] = slices.DeleteFunc(b.boxes[uid], func(l Letter) bool { return slices.Contains(places, l.Place) })
	if len(b.boxes[uid]) == 0 {
		delete(b.boxes, uid)
	}
}

// ids are the messages that are kept for the user.
func (b *memInbox) ids(uid string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []string
	for _, l := range b.boxes[uid] {
		list = append(list, l.Message.ID)
	}
	return list
}

// set changes what the inbox does.
func (b *memInbox) set(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
}

// pageConn is a Confirmer with a queue, which its client empties when told.
type pageConn struct {
	t      testing.TB
	id     string
	most   int // what the queue takes
	absent bool
	stamp  func(*Message) string // nil, or what offset a message has; called with mu held

	mu      sync.Mutex
	queue   []wire
	max     int // that were in the queue
	got     []string
	dropped bool
	ended   bool
}

// wire is something on its way to the client: a message, or a point that is to be confirmed.
type wire struct {
	id      string
	offset  string // for the stress test, as place is
	place   uint64
	taken   func()
	arrived func(bool)
}

func (c *pageConn) ID() string { return c.id }
func (c *pageConn) Kick()      {}

func (c *pageConn) Present() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.absent
}

func (c *pageConn) Deliver(m *Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.ended:
		return ErrGone
	case c.absent:
		c.t.Errorf("connection %s was given %s before it was present", c.id, m.ID)
	}
	n := 0
	for _, w := range c.queue {
		if w.id != "" {
			n++
		}
	}
	if n >= c.most {
		return ErrSlow
	}
	c.max = max(c.max, n+1)
	w := wire{id: m.ID, place: m.place}
	if c.stamp != nil {
		w.offset = c.stamp(m)
	}
	c.queue = append(c.queue, w)
	return nil
}

func (c *pageConn) Confirm(taken func(), arrived func(bool)) {
	c.mu.Lock()
	if !c.ended {
		c.queue = append(c.queue, wire{taken: taken, arrived: arrived})
		c.mu.Unlock()
		return
	}
	c.mu.Unlock()
	arrived(false)
}

func (c *pageConn) Drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropped = true
}

// read has the client read so many entries of the queue, or all for -1, and returns the messages among them.
func (c *pageConn) read(n int) (got []string) {
	c.readTo(n, func(w wire) { got = append(got, w.id) })
	return got
}

// readTo is read with what takes the messages, before anything is confirmed.
func (c *pageConn) readTo(n int, take func(wire)) {
	for ; n != 0; n-- {
		c.mu.Lock()
		if len(c.queue) == 0 || c.ended {
			c.mu.Unlock()
			return
		}
		w := c.queue[0]
		c.queue = c.queue[1:]
		if w.id != "" {
			c.got = append(c.got, w.id)
		}
		c.mu.Unlock()
		if w.id != "" {
			take(w)
		}
		if w.arrived != nil {
			w.arrived(true)
		}
	}
}

// end breaks the connection: what is in the queue is lost.
func (c *pageConn) end() {
	c.mu.Lock()
	c.ended = true
	lost := c.queue
	c.queue = nil
	c.mu.Unlock()
	for _, w := range lost {
		if w.arrived != nil {
			w.arrived(false)
		}
	}
}

// await waits until the client has read what is wanted, in this order and no more.
func (c *pageConn) await(want ...string) {
	c.t.Helper()
	until(c.t, func() bool {
		c.read(-1)
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.got) >= len(want)
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Equal(c.got, want) {
		c.t.Fatalf("connection %s got %q, want %q", c.id, c.got, want)
	}
}

// until waits for a condition.
func until(t testing.TB, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain")
		}
	}
}

// visit connects a page with room for 100 messages and logs it in.
func visit(t testing.TB, h *Hub, id, uid string) (*Member, *pageConn) {
	t.Helper()
	c := &pageConn{t: t, id: id, most: 100}
	m := connect(t, h, c)
	if err := m.Login(uid); err != nil {
		t.Fatal(err)
	}
	return m, c
}

// store stores a message for an hour and waits for it.
func store(t testing.TB, h *Hub, id string, to Audience) Kept {
	t.Helper()
	done := make(chan Kept, 1)
	err := h.Store(context.Background(), Push{To: to, Message: message(id)}, Keep{
		Expires: time.Now().Add(time.Hour), Done: func(k Kept) { done <- k },
	})
	if err != nil {
		t.Fatal(err)
	}
	k := <-done
	if k.Err != nil {
		t.Fatal(k.Err)
	}
	return k
}

func user1(uid string) Audience { return Audience{Users: []string{uid}} }

func inboxHub(t testing.TB, o Options) (*Hub, *memInbox) {
	b := newMemInbox(t)
	o.Inbox = b
	return newHub(t, o), b
}

func TestStoredMessagesWaitForTheLogin(t *testing.T) {
	h, b := inboxHub(t, Options{})
	for _, id := range []string{"1", "2", "3"} {
		k := store(t, h, id, user1("u"))
		if k.ID != id || k.Stored != 1 || k.Connections != 0 || k.Known {
			t.Errorf("Store = %+v", k)
		}
	}
	m, c := visit(t, h, "c", "u")
	until(t, func() bool { return c.waiting() == 4 }) // and what confirms them
	push(t, h, "4", user1("u"))
	if got := b.ids("u"); len(got) != 3 {
		t.Errorf("%q are kept before the client has read anything", got)
	}
	c.await("1", "2", "3", "4")
	until(t, func() bool { return len(b.ids("u")) == 0 })
	store(t, h, "5", user1("u"))
	if got := b.ids("u"); len(got) != 1 {
		t.Errorf("%q are kept before the client has read it", got)
	}
	c.await("1", "2", "3", "4", "5")
	until(t, func() bool { return len(b.ids("u")) == 0 && m.mail() == nil })
}

// waiting is how much is in the queue.
func (c *pageConn) waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.queue)
}

func TestEmptyInboxCostsOneRead(t *testing.T) {
	h, b := inboxHub(t, Options{})
	m, _ := visit(t, h, "c", "u")
	if m.mail() != nil || b.reads != 1 {
		t.Errorf("mailbox %v after %d reads of an empty inbox", m.mail(), b.reads)
	}
	if err := m.Login("v"); err != nil || b.reads != 1 {
		t.Errorf("a second login: %v, %d reads", err, b.reads)
	}
}

// A long inbox goes through a short queue, and what is newer comes behind it.
func TestCatchingUpIsPaced(t *testing.T) {
	h, b := inboxHub(t, Options{QueueMessages: 20})
	var want []string
	for i := range 137 {
		id := "s" + string(rune('A'+i%26)) + string(rune('a'+i/26))
		want = append(want, id)
		store(t, h, id, user1("u"))
	}
	c := &pageConn{t: t, id: "c", most: 20}
	m := connect(t, h, c)
	if err := m.Login("u"); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool { return c.waiting() > 0 })
	for _, id := range []string{"new1", "new2"} {
		push(t, h, id, user1("u"))
	}
	store(t, h, "new3", user1("u"))
	c.await(append(want, "new1", "new2", "new3")...)
	if c.max > 10 {
		t.Errorf("%d messages were in the queue at once, of 20", c.max)
	}
	until(t, func() bool { return len(b.ids("u")) == 0 && m.mail() == nil })
}

// A client whose arrival is confirmed late does not wait for that.
func TestTakenGoesOnBeforeArrived(t *testing.T) {
	h, b := inboxHub(t, Options{QueueMessages: 4})
	for _, id := range []string{"1", "2", "3"} {
		store(t, h, id, user1("u"))
	}
	_, c := visit(t, h, "c", "u")
	var late []func(bool)
	for i, id := range []string{"1", "2", "3"} {
		until(t, func() bool { return c.waiting() == 2 })
		c.mu.Lock()
		w := c.queue
		c.queue = nil
		c.mu.Unlock()
		if w[0].id != id || w[1].taken == nil {
			t.Fatalf("portion %d is %+v", i, w)
		}
		w[1].taken()
		late = append(late, w[1].arrived)
	}
	push(t, h, "4", user1("u"))
	until(t, func() bool { return c.waiting() == 1 })
	if got := b.ids("u"); len(got) != 3 {
		t.Errorf("%q are kept before they are confirmed", got)
	}
	for _, arrived := range late {
		arrived(true)
	}
	if got := b.ids("u"); len(got) != 0 {
		t.Errorf("%q are kept", got)
	}
}

func TestBrokenConnectionLosesNothing(t *testing.T) {
	h, b := inboxHub(t, Options{QueueMessages: 8})
	want := []string{"1", "2", "3", "4", "5"}
	for _, id := range want {
		store(t, h, id, user1("u"))
	}
	m, c := visit(t, h, "c", "u")
	until(t, func() bool { return c.waiting() == 3 })
	if got := c.read(1); !slices.Equal(got, []string{"1"}) {
		t.Fatalf("got %q", got)
	}
	c.end()
	m.Gone()
	if got := b.ids("u"); !slices.Equal(got, want) {
		t.Errorf("%q are kept, want %q: nothing was confirmed", got, want)
	}
	_, c = visit(t, h, "d", "u")
	c.await(want...)
	until(t, func() bool { return len(b.ids("u")) == 0 })
}

func TestTooMuchHeldClosesTheConnection(t *testing.T) {
	h, b := inboxHub(t, Options{QueueMessages: 8})
	store(t, h, "old", user1("u"))
	_, c := visit(t, h, "c", "u")
	until(t, func() bool { return c.waiting() == 2 })
	for _, id := range []string{"1", "2", "3", "4"} {
		if r := push(t, h, id, user1("u")); r.Delivered != 1 {
			t.Errorf("%s: %+v", id, r)
		}
	}
	if r := push(t, h, "5", user1("u")); r.Slow != 1 || !c.dropped {
		t.Errorf("the fifth: %+v, dropped %v", r, c.dropped)
	}
	if got := b.ids("u"); len(got) != 1 {
		t.Errorf("%q are kept", got)
	}
}

// All connections of a user get a stored message; one of them confirms it.
func TestAnyConnectionConfirms(t *testing.T) {
	h, b := inboxHub(t, Options{})
	_, c := visit(t, h, "c", "u")
	m, d := visit(t, h, "d", "u")
	store(t, h, "1", user1("u"))
	c.await("1")
	until(t, func() bool { return len(b.ids("u")) == 0 })
	d.await("1")
	until(t, func() bool { return m.mail() == nil })
}

func TestWhomAMessageIsStoredFor(t *testing.T) {
	h, b := inboxHub(t, Options{})
	join(t, h, "a1", "a", "red")
	_, other := join(t, h, "a2", "a")
	_, stranger := join(t, h, "x", "", "red")
	join(t, h, "b1", "b", "blue")
	for uid, room := range map[string]string{"off1": "red", "off2": "blue"} {
		if _, err := h.AddMembership(context.Background(), uid, room); err != nil {
			t.Fatal(err)
		}
	}
	all := []string{"a", "b", "off1", "off2", "off3"}
	for id, tt := range map[string]struct {
		to   Audience
		want []string
	}{
		"users":            {Audience{Users: []string{"off3", "b", "off3"}}, []string{"b", "off3"}},
		"room":             {Audience{Rooms: []string{"red"}}, []string{"a", "off1"}},
		"rooms":            {Audience{Rooms: []string{"red", "blue", "none"}}, []string{"a", "b", "off1", "off2"}},
		"nobody":           {Audience{Rooms: []string{"none"}}, nil},
		"except user":      {Audience{Rooms: []string{"red"}, Except: &Audience{Users: []string{"off1"}}}, []string{"a"}},
		"except room":      {Audience{Users: all, Except: &Audience{Rooms: []string{"red"}}}, []string{"b", "off2", "off3"}},
		"except all":       {Audience{Users: all, Except: &Audience{All: true}}, nil},
		"except all but":   {Audience{Users: all, Except: &Audience{All: true, Except: &Audience{Rooms: []string{"blue"}}}}, []string{"b", "off2"}},
		"except a browser": {Audience{Users: []string{"a"}, Except: &Audience{Connections: []string{"a1"}}}, []string{"a"}},
	} {
		k := store(t, h, id, tt.to)
		if k.Stored != len(tt.want) {
			t.Errorf("%s: stored for %d users, want %d", id, k.Stored, len(tt.want))
		}
		for _, uid := range all {
			if got, want := slices.Contains(b.users[id], uid), slices.Contains(tt.want, uid); got != want {
				t.Errorf("%s: stored for %s: %v, want %v", id, uid, got, want)
			}
		}
	}
	got := stranger.take()
	slices.Sort(got)
	if want := []string{"except user", "room", "rooms"}; !slices.Equal(got, want) {
		t.Errorf("a connection of the room without a user got %q, want %q", got, want)
	}
	got = other.take()
	slices.Sort(got)
	if want := []string{"except a browser", "except user", "room", "rooms"}; !slices.Equal(got, want) {
		t.Errorf("another connection of a user in the room got %q, want %q", got, want)
	}
}

func TestStoreRefuses(t *testing.T) {
	h, b := inboxHub(t, Options{})
	bare := newHub(t, Options{})
	closed := newHub(t, Options{Inbox: b})
	if err := closed.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(context.Background())
	cancel()
	for name, tt := range map[string]struct {
		hub  *Hub
		ctx  context.Context
		to   Audience
		want error
	}{
		"no inbox":    {bare, context.Background(), user1("u"), ErrNoInbox},
		"all":         {h, context.Background(), Audience{All: true}, ErrNotUsers},
		"connections": {h, context.Background(), Audience{Users: []string{"u"}, Connections: []string{"c"}}, ErrNotUsers},
		"bad uid":     {h, context.Background(), user1(""), ErrBadUID},
		"closed":      {closed, context.Background(), user1("u"), ErrClosed},
		"context":     {h, over, user1("u"), context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			err := tt.hub.Store(tt.ctx, Push{To: tt.to, Message: message("m")}, Keep{Done: func(k Kept) { t.Errorf("Done(%+v)", k) }})
			if !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
}

func TestStoringAgainDeliversNothing(t *testing.T) {
	h, b := inboxHub(t, Options{})
	_, c := join(t, h, "c", "u")
	store(t, h, "1", Audience{Users: []string{"u", "off"}})
	k := store(t, h, "1", user1("u"))
	if !k.Known || k.ID != "1" || k.Users != 1 || k.Connections != 1 || k.Stored != 2 {
		t.Errorf("the second time: %+v", k)
	}
	if got := c.take(); !slices.Equal(got, []string{"1"}) {
		t.Errorf("got %q", got)
	}
	if got := b.ids("off"); !slices.Equal(got, []string{"1"}) {
		t.Errorf("%q are kept", got)
	}
}

func TestFailedInboxDeliversNothing(t *testing.T) {
	h, b := inboxHub(t, Options{})
	_, c := join(t, h, "c", "u")
	full := errors.New("no space left")
	b.set(func() { b.putErr = full })
	done := make(chan Kept, 1)
	q := &Question{Wait: time.Hour, Done: func(Answers) { t.Error("asked") }}
	err := h.Store(context.Background(), Push{To: user1("u"), Message: message("1")}, Keep{Ask: q, Done: func(k Kept) { done <- k }})
	if err != nil {
		t.Fatal(err)
	}
	if k := <-done; !errors.Is(k.Err, ErrInbox) || !errors.Is(k.Err, full) {
		t.Errorf("Kept = %+v", k)
	}
	if got := c.take(); len(got) != 0 || h.asked.Load() != 0 {
		t.Errorf("got %q; %d are waited for", got, h.asked.Load())
	}
}

func TestUnreadableInboxIsPassedOver(t *testing.T) {
	h, b := inboxHub(t, Options{})
	store(t, h, "1", user1("u"))
	b.set(func() { b.getErr = errors.New("damaged") })
	m, c := visit(t, h, "c", "u")
	push(t, h, "2", user1("u"))
	c.await("2")
	if m.mail() != nil {
		t.Error("it still catches up")
	}
	b.set(func() { b.getErr = nil })
	_, d := visit(t, h, "d", "u")
	d.await("1")
}

// What is for a user waits for a connection that has logged in before it can take messages.
func TestNotPresentYet(t *testing.T) {
	h, _ := inboxHub(t, Options{})
	store(t, h, "1", user1("u"))
	c := &pageConn{t: t, id: "c", most: 100, absent: true}
	m := connect(t, h, c)
	if err := m.Login("u"); err != nil {
		t.Fatal(err)
	}
	push(t, h, "2", user1("u"))
	store(t, h, "3", user1("u"))
	c.mu.Lock()
	c.absent = false
	c.mu.Unlock()
	m.Ready()
	c.await("1", "2", "3")
	m.Ready()
	c.await("1", "2", "3")
}

// stuckConn takes nothing, which it says when it is told to.
type stuckConn struct {
	countConn
	busy, free chan struct{}
}

func (c *stuckConn) Deliver(*Message) error {
	close(c.busy)
	<-c.free
	return ErrGone
}

// What is in the inbox when a connection logs in may be on its way to others still, or wait for that.
func TestLoginWhileTheOutboxIsBusy(t *testing.T) {
	h, b := inboxHub(t, Options{})
	stuck := &stuckConn{countConn: countConn{id: "stuck"}, busy: make(chan struct{}), free: make(chan struct{})}
	if err := connect(t, h, stuck).Login("u"); err != nil {
		t.Fatal(err)
	}
	free := sync.OnceFunc(func() { close(stuck.free) })
	t.Cleanup(free)
	done := make(chan Kept, 2)
	for _, one := range []struct {
		id string
		to Audience
	}{{"1", user1("u")}, {"2", Audience{Users: []string{"v"}}}} {
		err := h.Store(context.Background(), Push{To: one.to, Message: message(one.id)}, Keep{Done: func(k Kept) { done <- k }})
		if err != nil {
			t.Fatal(err)
		}
	}
	<-stuck.busy
	until(t, func() bool { return len(b.ids("v")) == 1 })
	_, c := visit(t, h, "c", "u")
	_, d := visit(t, h, "d", "v")
	if n := c.waiting() + d.waiting(); n != 0 {
		t.Errorf("%d entries in the queues before the outbox is done", n)
	}
	free()
	for _, delivered := range []int{0, 1} {
		if k := <-done; k.Delivered != delivered {
			t.Errorf("Kept = %+v", k)
		}
	}
	c.await("1") // from the inbox: it was not there when that began
	d.await("2")
	until(t, func() bool { return len(b.ids("u"))+len(b.ids("v")) == 0 })
	store(t, h, "3", Audience{Users: []string{"v", "w"}})
	d.await("2", "3")
}

func TestLogoutWhileCatchingUp(t *testing.T) {
	h, b := inboxHub(t, Options{QueueMessages: 4})
	for _, id := range []string{"u1", "u2"} {
		store(t, h, id, user1("u"))
	}
	store(t, h, "v1", user1("v"))
	m, c := visit(t, h, "c", "u")
	until(t, func() bool { return c.waiting() == 2 })
	push(t, h, "secret", user1("u"))
	m.Logout()
	if err := m.Login("v"); err != nil {
		t.Fatal(err)
	}
	push(t, h, "new", user1("v"))
	c.await("u1", "v1", "new")
	until(t, func() bool { return len(b.ids("v")) == 0 && m.mail() == nil })
	if got := b.ids("u"); !slices.Equal(got, []string{"u2"}) {
		t.Errorf("%q are kept", got)
	}
}

// askedPage acknowledges what it is asked when it is read.
type askedPage struct {
	*pageConn
	member *Member
}

func (c *askedPage) Member() *Member { return c.member }
func (c *askedPage) Forget(*Message) {}

func (c *askedPage) Deliver(m *Message) error {
	if err := c.pageConn.Deliver(m); err != nil || m.Ask() == nil || !m.Ask().Expect(c) {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = append(c.queue, wire{arrived: func(bool) { m.Ask().Answer(c, nil, nil) }})
	return nil
}

func TestAcknowledgementConfirms(t *testing.T) {
	h, b := inboxHub(t, Options{})
	store(t, h, "old", user1("u"))
	c := &askedPage{pageConn: &pageConn{t: t, id: "c", most: 100}}
	c.member = connect(t, h, c)
	if err := c.member.Login("u"); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool { return c.waiting() == 2 })
	var kept Kept
	answers := make(chan Answers, 1)
	err := h.Store(context.Background(), Push{To: user1("u"), Message: message("1")}, Keep{
		Done: func(k Kept) { kept = k },
		Ask:  &Question{Wait: time.Hour, Done: func(a Answers) { answers <- a }},
	})
	if err != nil {
		t.Fatal(err)
	}
	until(t, func() bool { return len(b.ids("u")) == 2 })
	if c.read(1); len(b.ids("u")) != 2 {
		t.Error("the old message is confirmed before the client says so")
	}
	c.read(1)
	until(t, func() bool { return c.waiting() == 3 }) // the new one, its acknowledgement and its confirmation
	c.read(2)
	if got := b.ids("u"); len(got) != 0 {
		t.Errorf("%q are kept after the acknowledgement", got)
	}
	if a := <-answers; a.Asked != 1 || a.Connections != 1 || a.Late || kept.Delivered != 1 || a.Pushed.ID != "1" {
		t.Errorf("answers %+v, kept %+v", a, kept)
	}
	c.read(-1)
	until(t, func() bool { return h.asked.Load() == 0 && c.member.mail() == nil })
}

// A question is over when the time is up, also for a connection that will get the message later.
func TestQuestionEndsWhileHeld(t *testing.T) {
	h, _ := inboxHub(t, Options{})
	store(t, h, "old", user1("u"))
	c := &askedPage{pageConn: &pageConn{t: t, id: "c", most: 100}}
	c.member = connect(t, h, c)
	if err := c.member.Login("u"); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool { return c.waiting() == 2 })
	answers := make(chan Answers, 1)
	_, err := h.Ask(context.Background(), Push{To: user1("u"), Message: message("1")},
		Question{Wait: time.Millisecond, Done: func(a Answers) { answers <- a }})
	if err != nil {
		t.Fatal(err)
	}
	if a := <-answers; a.Asked != 0 || !a.Late {
		t.Errorf("answers %+v", a)
	}
	c.await("old", "1")
}

func TestCloseWaitsForTheInbox(t *testing.T) {
	b := newMemInbox(t)
	h, err := New(Options{Inbox: b})
	if err != nil {
		t.Fatal(err)
	}
	stall := make(chan struct{})
	b.set(func() { b.stall = stall })
	done := make(chan Kept, 1)
	if err := h.Store(context.Background(), Push{To: user1("u"), Message: message("1")}, Keep{Done: func(k Kept) { done <- k }}); err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(context.Background())
	cancel()
	if err := h.Close(over); !errors.Is(err, context.Canceled) {
		t.Errorf("Close = %v while a message is on its way", err)
	}
	close(stall)
	if err := h.Close(context.Background()); err != nil {
		t.Error(err)
	}
	select {
	case k := <-done:
		if k.Err != nil || k.Stored != 1 {
			t.Errorf("Kept = %+v", k)
		}
	default:
		t.Error("Close did not wait")
	}
}
