package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeConn keeps the ids of the messages it is given.
type fakeConn struct {
	id string

	mu    sync.Mutex
	got   []string
	err   error // what Deliver answers
	kicks int
}

func (c *fakeConn) ID() string { return c.id }

func (c *fakeConn) Deliver(m *Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	c.got = append(c.got, m.ID)
	return nil
}

func (c *fakeConn) Kick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kicks++
}

// take returns what has arrived since the last call.
func (c *fakeConn) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	got := c.got
	c.got = nil
	return got
}

// countConn only counts, for large crowds.
type countConn struct {
	id string
	n  atomic.Int64
}

func (c *countConn) ID() string             { return c.id }
func (c *countConn) Deliver(*Message) error { c.n.Add(1); return nil }
func (c *countConn) Kick()                  {}

func newHub(t testing.TB, o Options) *Hub {
	t.Helper()
	h, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return h
}

func connect(t testing.TB, h *Hub, c Conn) *Member {
	t.Helper()
	m, err := h.Connect(c)
	if err != nil {
		t.Fatalf("Connect(%s): %v", c.ID(), err)
	}
	return m
}

// join connects, logs in unless uid is empty, and joins the rooms.
func join(t testing.TB, h *Hub, id, uid string, rooms ...string) (*Member, *fakeConn) {
	t.Helper()
	c := &fakeConn{id: id}
	m := connect(t, h, c)
	if uid != "" {
		if err := m.Login(uid); err != nil {
			t.Fatalf("Login(%q): %v", uid, err)
		}
	}
	for _, room := range rooms {
		if err := m.Join(room); err != nil {
			t.Fatalf("Join(%q): %v", room, err)
		}
	}
	return m, c
}

func message(id string) *Message {
	return &Message{ID: id, Event: "new_msg", Args: []json.RawMessage{json.RawMessage(`"hi"`)}}
}

func push(t testing.TB, h *Hub, id string, to Audience) Result {
	t.Helper()
	r, err := h.Push(context.Background(), Push{To: to, Message: message(id)})
	if err != nil {
		t.Fatalf("Push(%+v): %v", to, err)
	}
	if r.ID != id || r.Delivered+r.Dropped != r.Connections || r.Slow+r.Gone+r.Failed != r.Dropped {
		t.Fatalf("Push(%+v) = %+v, which does not add up", to, r)
	}
	return r
}

// checkIndexes compares the indexes with each other and the counters with them.
func checkIndexes(t testing.TB, h *Hub) {
	t.Helper()
	var sockets, inside, connections, users int
	for i := range h.indexes.conns {
		s := &h.indexes.conns[i]
		s.mu.Lock()
		sockets += len(s.byID)
		for _, m := range s.byID {
			if !h.loginFirst || m.UID() != "" {
				inside++
			} else if h.indexes.everybody.has(m) {
				t.Errorf("connection %q has entered without a login", m.conn.ID())
			}
		}
		s.mu.Unlock()
	}
	list := h.indexes.everybody.appendTo(nil)
	if len(list) != inside {
		t.Errorf("%d connections in the list of everybody, %d by id that should be", len(list), inside)
	}
	for n, m := range list {
		checkMemberships(t, h, m)
		if id := m.conn.ID(); int(m.slot) != n || h.indexes.connShard(id).byID[id] != m {
			t.Errorf("connection %q is filed wrongly", id)
		}
	}
	for i := range h.indexes.users {
		s := &h.indexes.users[i]
		s.mu.Lock()
		for uid, u := range s.byUID {
			checkSet(t, "user "+uid, &u.members, func(m *Member) bool { return m.user.Load() == u })
			n := len(u.members.list)
			connections += n
			if n > 0 {
				users++
			}
			if n > 0 == (u.departure != nil) {
				t.Errorf("user %q has %d connections and departure %v", uid, n, u.departure)
			}
		}
		s.mu.Unlock()
	}
	for i := range h.indexes.rooms {
		s := &h.indexes.rooms[i]
		s.mu.Lock()
		for name, r := range s.byName {
			checkSet(t, "room "+name, &r.members, func(m *Member) bool { return slices.Contains(m.rooms, r) })
			if len(r.members.list) == 0 {
				t.Errorf("room %q is empty but there", name)
			}
		}
		s.mu.Unlock()
	}
	st := h.Stats()
	if st.Sockets != sockets || st.Connections != connections || st.Users != users {
		t.Errorf("Stats = %+v; the indexes have %d users, %d connections, %d sockets", st, users, connections, sockets)
	}
}

// checkMemberships makes sure that a connection is in the rooms of its user, and in no other that it has not joined.
func checkMemberships(t testing.TB, h *Hub, m *Member) {
	t.Helper()
	of := h.Memberships(m.UID())
	for _, room := range of {
		if m.roomIndex(room) < 0 {
			t.Errorf("connection %q is not in the room %q of its user", m.conn.ID(), room)
		}
	}
	for _, r := range m.rooms[m.own:] {
		if !slices.Contains(of, r.name) {
			t.Errorf("connection %q is in the room %q for no reason", m.conn.ID(), r.name)
		}
	}
}

func checkSet(t testing.TB, what string, s *memberSet, belongs func(*Member) bool) {
	t.Helper()
	if s.index != nil && len(s.index) != len(s.list) {
		t.Errorf("%s: %d in the list, %d in the index", what, len(s.list), len(s.index))
	}
	seen := make(map[*Member]bool)
	for i, m := range s.list {
		if !belongs(m) || seen[m] || s.index != nil && s.index[m] != i {
			t.Errorf("%s: member %q is filed wrongly", what, m.conn.ID())
		}
		seen[m] = true
	}
}

// checkEmpty makes sure that nothing is left behind.
func checkEmpty(t testing.TB, h *Hub) {
	t.Helper()
	checkIndexes(t, h)
	for i := range shardCount {
		conns, users, rooms := &h.indexes.conns[i], &h.indexes.users[i], &h.indexes.rooms[i]
		if len(conns.byID)+len(users.byUID)+len(rooms.byName) != 0 {
			t.Errorf("shard %d is not empty: %v %v %v", i, conns.byID, users.byUID, rooms.byName)
		}
	}
	if n := len(h.indexes.everybody.list); n != 0 {
		t.Errorf("%d connections are left in the list of everybody", n)
	}
	if st := h.Stats(); st.Users != 0 || st.Connections != 0 || st.Sockets != 0 {
		t.Errorf("Stats = %+v, want zeros", st)
	}
	if p := h.presence; p != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		if len(p.arrivals) != 0 || p.leaving != (departures{}) || p.absent != (departures{}) {
			t.Errorf("presence still has %d arrivals, departures %v and %v", len(p.arrivals), p.leaving, p.absent)
		}
	}
}

func ids(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("conn-%d", i)
	}
	return out
}
