package hub

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"unsafe"
)

// world is a hub with a model beside it that says, slowly, who is meant.
type world struct {
	conns []*fakeConn
	uid   map[*fakeConn]string
	rooms map[*fakeConn][]string
}

// want returns the connections of the audience.
func (w *world) want(a *Audience) map[*fakeConn]bool {
	set := make(map[*fakeConn]bool)
	if a == nil {
		return set
	}
	for _, c := range w.conns {
		in := a.All
		for _, uid := range a.Users {
			in = in || w.uid[c] == uid
		}
		for _, name := range a.Rooms {
			for _, room := range w.rooms[c] {
				in = in || room == name
			}
		}
		for _, id := range a.Connections {
			in = in || c.id == id
		}
		if in {
			set[c] = true
		}
	}
	for c := range w.want(a.Except) {
		delete(set, c)
	}
	return set
}

func randomAudience(rnd *rand.Rand, depth int) *Audience {
	pick := func(prefix string, names int) []string {
		var out []string
		for range rnd.IntN(4) * rnd.IntN(6) {
			out = append(out, fmt.Sprintf("%s%d", prefix, rnd.IntN(names)))
		}
		return out
	}
	a := &Audience{Users: pick("u", 60), Rooms: pick("r", 12), Connections: pick("c", 220), All: rnd.IntN(6) == 0}
	if depth > 0 && rnd.IntN(2) == 0 {
		a.Except = randomAudience(rnd, depth-1)
	}
	return a
}

func TestResolveAgainstModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	h := newHub(t, Options{})
	w := &world{uid: make(map[*fakeConn]string), rooms: make(map[*fakeConn][]string)}
	for i := range 200 { // names above what is used stay unknown
		var uid string
		if rnd.IntN(5) > 0 {
			uid = fmt.Sprintf("u%d", rnd.IntN(50)*rnd.IntN(2))
		}
		var rooms []string
		for range rnd.IntN(4) {
			rooms = append(rooms, fmt.Sprintf("r%d", rnd.IntN(10)))
		}
		_, c := join(t, h, fmt.Sprintf("c%d", i), uid, rooms...)
		w.conns = append(w.conns, c)
		w.uid[c], w.rooms[c] = uid, rooms
	}
	checkIndexes(t, h)
	matched := 0
	for range 3000 {
		a := randomAudience(rnd, 3)
		want := w.want(a)
		users := make(map[string]bool)
		for c := range want {
			if w.uid[c] != "" {
				users[w.uid[c]] = true
			}
		}
		r := push(t, h, "m", *a)
		if r.Connections != len(want) || r.Users != len(users) {
			t.Fatalf("Push(%+v) = %+v, want %d connections, %d users", a, r, len(want), len(users))
		}
		checkMembers(t, h, a, want)
		for _, c := range w.conns {
			if got := len(c.take()); got > 1 || (got == 1) != want[c] {
				t.Fatalf("Push(%+v): %s got it %d times, want %v", a, c.id, got, want[c])
			}
		}
		matched += len(want)
	}
	if matched == 0 {
		t.Error("no audience matched anybody")
	}
}

// checkMembers compares what Members finds with what is wanted.
func checkMembers(t *testing.T, h *Hub, a *Audience, want map[*fakeConn]bool) {
	t.Helper()
	list, err := h.Members(*a)
	if err != nil || len(list) != len(want) {
		t.Fatalf("Members(%+v): %d and %v, want %d", a, len(list), err, len(want))
	}
	found := make(map[Conn]bool)
	for _, m := range list {
		if c, ok := m.Conn().(*fakeConn); !ok || !want[c] || found[c] {
			t.Fatalf("Members(%+v) has %s, who is not meant or there twice", a, m.Conn().ID())
		}
		found[m.Conn()] = true
	}
}

func TestMembersRefuses(t *testing.T) {
	h := newHub(t, Options{})
	deep := &Audience{}
	for range maxExcept + 1 {
		deep = &Audience{Except: deep}
	}
	for _, tt := range []struct {
		a    Audience
		want error
	}{
		{Audience{Rooms: []string{"r", ""}}, ErrBadRoom},
		{Audience{Users: []string{"a\n"}}, ErrBadUID},
		{*deep, ErrBadAudience},
	} {
		if list, err := h.Members(tt.a); !errors.Is(err, tt.want) || list != nil {
			t.Errorf("Members(%+v) = %v, %v; want %v", tt.a, list, err, tt.want)
		}
	}
	if list, err := h.Members(Audience{Connections: []string{"", "nobody"}, Rooms: []string{"empty"}}); err != nil || len(list) != 0 {
		t.Errorf("Members of nobody: %v, %v", list, err)
	}
}

// The list is the caller's: what the hub does next must not change it.
func TestMembersAreASnapshot(t *testing.T) {
	h := newHub(t, Options{})
	m, _ := join(t, h, "c1", "", "r")
	list, err := h.Members(Audience{Rooms: []string{"r"}})
	if err != nil {
		t.Fatal(err)
	}
	m.Gone()
	join(t, h, "c2", "", "r")
	if _, err := h.Members(Audience{All: true}); err != nil {
		t.Fatal(err)
	}
	if len(list) != 1 || list[0] != m {
		t.Errorf("the snapshot has changed: %v", list)
	}
}

// A library has one hub for each namespace, and there may be many.
func TestEmptyHubIsSmall(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	if n := testing.AllocsPerRun(100, func() {
		if _, err := New(Options{}); err != nil { // without an observer there is nothing to close
			t.Fatal(err)
		}
	}); n > 6 {
		t.Errorf("%v allocations for an empty hub, want at most 6", n)
	}
	if n := unsafe.Sizeof(Hub{}); n > 6000 {
		t.Errorf("a Hub takes %d bytes, want at most 6000", n)
	}
}

func TestScratchKeepsNoMembers(t *testing.T) {
	h := newHub(t, Options{})
	for i, id := range ids(100) {
		join(t, h, id, fmt.Sprintf("u%d", i), "r", "s")
	}
	sc := h.newScratch()
	sc.resolve(h, &Audience{Rooms: []string{"r", "s"}, Users: []string{"u1"}, Except: &Audience{Connections: ids(60)}})
	if n := len(sc.list); n != 40 {
		t.Fatalf("%d matched, want 40", n)
	}
	if n := sc.countUsers(); n != 40 {
		t.Fatalf("%d users, want 40", n)
	}
	h.release(sc)
	for _, m := range sc.list[:cap(sc.list)] {
		if m != nil {
			t.Fatalf("the released list still has %s", m.conn.ID())
		}
	}
	if len(sc.seen) != 0 || len(sc.users) != 0 || sc.known != 0 {
		t.Errorf("released with %d seen, %d users, %d known", len(sc.seen), len(sc.users), sc.known)
	}
}
