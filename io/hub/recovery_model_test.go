package hub

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// lineConn is a connection that can be recovered. What it is given lies on the line until its client takes it.
type lineConn struct {
	id string

	mu   sync.Mutex
	line []arrival
	full bool // Deliver answers ErrSlow
}

// arrival is a message with its offset, as a client sees it.
type arrival struct{ id, offset string }

func (c *lineConn) ID() string { return c.id }
func (c *lineConn) Kick()      {}

func (c *lineConn) Deliver(m *Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case m.Offset() == "":
		return ErrGone
	case c.full:
		return ErrSlow
	}
	c.line = append(c.line, arrival{m.ID, m.Offset()})
	return nil
}

// cut returns what lies on the line without the last so many.
func (c *lineConn) cut(lost int) []arrival {
	c.mu.Lock()
	defer c.mu.Unlock()
	arrived := c.line[:max(len(c.line)-lost, 0)]
	c.line = nil
	return arrived
}

// modelClient is a client, and what it must have got if it is to have missed nothing.
type modelClient struct {
	conn        *lineConn
	member      *Member
	pid, offset string
	got, want   []string

	uid  string          // "" without a login
	own  map[string]bool // rooms that it has joined
	here bool
	over bool // it has logged out: it cannot be recovered
	left time.Time
}

// take has the client take messages. What was volatile has an offset all the same, and is in no book.
func (c *modelClient) take(list []arrival) {
	for _, a := range list {
		c.offset = a.offset
		if a.id[0] == 'm' {
			c.got = append(c.got, a.id)
		}
	}
}

// model is a hub, and what is known of it by other means.
type model struct {
	t           *testing.T
	rnd         *rand.Rand
	options     Options
	hub         *Hub
	clients     []*modelClient
	memberships map[string]map[string]bool // rooms by uid
	messages    int
	connections int
	recovered   int
}

func (w *model) name(kind string) string { return fmt.Sprint(kind, w.rnd.IntN(3)) }

// enter brings a client that is new, or that was not recovered.
func (w *model) enter(c *modelClient) {
	w.connections++
	c.conn = &lineConn{id: fmt.Sprint("conn", w.connections)}
	c.member = connect(w.t, w.hub, c.conn)
	c.uid, c.own, c.here, c.over = "", map[string]bool{}, true, false
	err := c.member.Track(func(b Beginning) error {
		c.pid, c.got = b.PID, nil // the offset stays what it was, as with the official client
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	c.want = nil
}

// comeBack has a client that is away return.
func (w *model) comeBack(c *modelClient) {
	lost := c.over || time.Since(c.left) >= w.options.Recovery.Window
	p := w.hub.Claim(c.pid, c.offset)
	if lost != (p == nil) {
		w.t.Fatalf("claimed after %v, over %v: %v", time.Since(c.left), c.over, p)
	}
	if p == nil {
		w.enter(c)
		return
	}
	if p.ID() != c.conn.id || p.UID() != c.uid {
		w.t.Fatalf("claimed %s of %s, want %s of %s", p.ID(), p.UID(), c.conn.id, c.uid)
	}
	if w.rnd.IntN(4) == 0 { // the connection does not last that long
		p.Release()
		return
	}
	c.conn = &lineConn{id: p.ID()}
	c.member = connect(w.t, w.hub, c.conn)
	if c.uid != "" && (w.options.LoginFirst || w.rnd.IntN(2) == 0) {
		if err := c.member.Login(c.uid); err != nil {
			w.t.Fatal(err)
		}
	}
	cut := w.rnd.IntN(4) == 0
	err := c.member.Recover(p, func(b Beginning) error {
		var list []arrival
		for _, m := range b.Missed {
			list = append(list, arrival{m.ID, m.Offset()})
		}
		if cut { // it ends in the middle of it
			list = list[:w.rnd.IntN(len(list)+1)]
		}
		c.take(list)
		if cut {
			return ErrGone
		}
		return nil
	})
	c.here = true
	if cut {
		w.lose(c)
		return
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.recovered++
	w.check(c)
}

// lose breaks the connection of a client. Some of what lies on the line is lost.
func (w *model) lose(c *modelClient) {
	c.take(c.conn.cut(w.rnd.IntN(5)))
	c.member.Away(nil)
	c.here, c.left = false, time.Now()
}

// check compares a client that has just come back.
func (w *model) check(c *modelClient) {
	w.t.Helper()
	if !slices.Equal(c.got, c.want) {
		w.t.Fatalf("%s of user %q got %v\nwant %v", c.conn.id, c.uid, c.got, c.want)
	}
	rooms := c.member.Rooms()
	slices.Sort(rooms)
	if want := slices.Sorted(maps.Keys(w.rooms(c))); c.member.UID() != c.uid || !slices.Equal(rooms, want) {
		w.t.Fatalf("%s is user %q in %v, want %q in %v", c.conn.id, c.member.UID(), rooms, c.uid, want)
	}
}

// rooms are those that the client is in, or would be.
func (w *model) rooms(c *modelClient) map[string]bool {
	all := maps.Clone(c.own)
	if c.uid != "" {
		maps.Copy(all, w.memberships[c.uid])
	}
	return all
}

// meant tells whether a push is for the client, by the words of Audience.
func (w *model) meant(c *modelClient, a *Audience) bool {
	entered := c.uid != "" || !w.options.LoginFirst
	in := w.rooms(c)
	named := a.All && entered || slices.Contains(a.Users, c.uid) || slices.Contains(a.Connections, c.conn.id) && entered ||
		slices.ContainsFunc(a.Rooms, func(room string) bool { return in[room] })
	return named && (a.Except == nil || !w.meant(c, a.Except))
}

func (w *model) audience() (a Audience) {
	switch w.rnd.IntN(5) {
	case 0:
		a.All = true
	case 1:
		a.Users = []string{w.name("user"), w.name("user")}
	case 2:
		a.Rooms = []string{w.name("room")}
	case 3:
		a.Connections = []string{w.clients[w.rnd.IntN(len(w.clients))].conn.id}
	case 4:
		a.Users, a.Rooms = []string{w.name("user")}, []string{w.name("room"), w.name("room")}
	}
	return a
}

func (w *model) push() {
	to := w.audience()
	if w.rnd.IntN(3) == 0 {
		except := w.audience()
		to.Except = &except
	}
	w.messages++
	m := message(fmt.Sprint("m", w.messages))
	switch w.rnd.IntN(6) {
	case 0:
		m.ID, m.Volatile = "v", true
	case 1:
		m.ID, m.Transient = "t", true
	}
	for _, c := range w.clients {
		if m.ID[0] == 'm' && !c.over && w.meant(c, &to) {
			c.want = append(c.want, m.ID)
		}
	}
	if _, err := w.hub.Push(context.Background(), Push{To: to, Message: m}); err != nil {
		w.t.Fatal(err)
	}
}

// restart replaces the hub by one that takes up what it has saved.
func (w *model) restart() {
	for _, c := range w.clients {
		if c.here {
			w.lose(c)
		}
	}
	if err := w.hub.Close(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	var records [][]byte
	if err := w.hub.SaveRecovery(func(r []byte) error { records = append(records, r); return nil }); err != nil {
		w.t.Fatal(err)
	}
	time.Sleep(time.Duration(w.rnd.IntN(3)) * time.Second)
	o := w.options
	recovery := *o.Recovery
	recovery.Restore = func(fn func([]byte) error) error {
		for _, r := range records {
			if err := fn(r); err != nil {
				return err
			}
		}
		return nil
	}
	o.Recovery = &recovery
	hub, err := New(o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.hub = hub
	for uid, rooms := range w.memberships {
		for room := range rooms {
			if _, err := hub.AddMembership(context.Background(), uid, room); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

// change has a client that is here do something.
func (w *model) change(c *modelClient) {
	switch w.rnd.IntN(5) {
	case 0:
		if c.uid == "" && !c.over {
			c.uid = w.name("user")
			if err := c.member.Login(c.uid); err != nil {
				w.t.Fatal(err)
			}
		}
	case 1, 2:
		room := w.name("room")
		if err := c.member.Join(room); err == nil {
			c.own[room] = true
		}
	case 3:
		room := w.name("room")
		c.member.Leave(room)
		delete(c.own, room)
	case 4:
		if w.rnd.IntN(5) == 0 && c.uid != "" {
			c.member.Logout()
			c.uid, c.over = "", true
			if w.options.LoginFirst {
				c.own = map[string]bool{}
			}
		}
	}
}

// changeMembership has the business make a user a member of a room, or the contrary.
func (w *model) changeMembership() {
	uid, room := w.name("user"), w.name("room")
	change := w.hub.AddMembership
	if w.memberships[uid][room] {
		change = w.hub.RemoveMembership
		delete(w.memberships[uid], room)
	} else {
		if w.memberships[uid] == nil {
			w.memberships[uid] = make(map[string]bool)
		}
		w.memberships[uid][room] = true
	}
	if _, err := change(context.Background(), uid, room); err != nil {
		w.t.Fatal(err)
	}
}

// kick throws out the users of an audience, for good.
func (w *model) kick() {
	to := Audience{Users: []string{w.name("user")}}
	if _, err := w.hub.Disconnect(context.Background(), to); err != nil {
		w.t.Fatal(err)
	}
	for _, c := range w.clients {
		if !w.meant(c, &to) {
			continue
		}
		if c.here { // as its transport would
			c.take(c.conn.cut(0))
			c.member.Gone()
			c.here, c.left = false, time.Now()
		}
		c.over = true
	}
}

// step does something at random.
func (w *model) step() {
	c := w.clients[w.rnd.IntN(len(w.clients))]
	switch n := w.rnd.IntN(100); {
	case n < 45:
		w.push()
	case n < 60 && c.here:
		w.change(c)
	case n < 65:
		w.changeMembership()
	case n < 75 && c.here:
		c.take(c.conn.cut(0))
	case n < 85 && c.here:
		w.lose(c)
	case n < 95 && !c.here:
		w.comeBack(c)
	case n == 95:
		w.kick()
	case n == 96:
		w.restart()
	case n < 99:
		time.Sleep(time.Duration(w.rnd.IntN(4)) * time.Second)
	}
}

// TestRecoveryModel does at random what can happen to clients, one after the other, and compares what each has got with
// what it would have got without ever losing a connection.
func TestRecoveryModel(t *testing.T) {
	seeds := uint64(150)
	if raceEnabled {
		seeds = 20
	}
	for _, first := range []bool{false, true} {
		t.Run(fmt.Sprintf("login first %v", first), func(t *testing.T) {
			recovered := 0
			for seed := range seeds {
				synctest.Test(t, func(t *testing.T) { recovered += runModel(t, seed, first) })
			}
			if recovered < 5*int(seeds) {
				t.Errorf("only %d clients were recovered", recovered)
			}
		})
	}
}

func runModel(t *testing.T, seed uint64, first bool) (recovered int) {
	defer func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}()
	w := &model{t: t, rnd: rand.New(rand.NewPCG(seed, 1)), memberships: make(map[string]map[string]bool)}
	w.options = Options{LoginFirst: first, Recovery: &Recovery{Window: 10 * time.Second, Notice: time.Minute, MaxMessages: 10_000, MaxBytes: 1 << 20}}
	var err error
	if w.hub, err = New(w.options); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		c := &modelClient{}
		w.enter(c)
		w.clients = append(w.clients, c)
	}
	for range 400 {
		w.step()
	}
	for _, c := range w.clients {
		if c.here {
			c.member.Away(nil)
		}
	}
	time.Sleep(11 * time.Second)
	synctest.Wait()
	if r := w.hub.recovery; r.tracked.Load() != 0 || len(r.memory.records) != 0 || len(r.away.byPID)+len(r.away.users)+len(r.away.rooms)+len(r.away.ids)+r.away.bytes != 0 {
		t.Errorf("left when everybody is gone: %d trails, %d messages, %+v", r.tracked.Load(), len(r.memory.records), r.away)
	}
	if err := w.hub.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	return w.recovered
}
