package hub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
	"unsafe"
)

func TestNewRefusesNegativeDelay(t *testing.T) {
	if h, err := New(Options{OfflineDelay: -1}); err == nil {
		t.Fatalf("New = %v, want an error", h)
	}
}

func TestConnectRefusesDuplicates(t *testing.T) {
	h := newHub(t, Options{})
	first, conn := join(t, h, "same", "u")
	if _, err := h.Connect(&fakeConn{id: "same"}); !errors.Is(err, ErrDuplicateID) {
		t.Fatalf("second Connect: %v, want ErrDuplicateID", err)
	}
	push(t, h, "m", Audience{Connections: []string{"same"}})
	if got := conn.take(); !slices.Equal(got, []string{"m"}) {
		t.Errorf("the first connection got %v", got)
	}
	checkIndexes(t, h)
	first.Gone()
	again, _ := join(t, h, "same", "")
	first.Gone() // late and once more: it must not touch the new one
	if r := push(t, h, "m", Audience{Connections: []string{"same"}}); r.Connections != 1 {
		t.Errorf("Push to the new connection = %+v", r)
	}
	again.Gone()
	checkEmpty(t, h)
}

func TestFirstLoginWins(t *testing.T) {
	h := newHub(t, Options{})
	m, _ := join(t, h, "c", "")
	if m.UID() != "" || m.Conn().ID() != "c" {
		t.Errorf("UID = %q, connection %q", m.UID(), m.Conn().ID())
	}
	for _, uid := range []string{"alice", "bob", "alice"} {
		if err := m.Login(uid); err != nil {
			t.Fatalf("Login(%q): %v", uid, err)
		}
		if m.UID() != "alice" || !h.Online("alice") || h.Online("bob") {
			t.Errorf("after Login(%q): UID %q, alice %v, bob %v", uid, m.UID(), h.Online("alice"), h.Online("bob"))
		}
	}
	if st := h.Stats(); st.Users != 1 || st.Connections != 1 || st.Sockets != 1 {
		t.Errorf("Stats = %+v", st)
	}
	m.Logout()
	m.Logout()
	if m.UID() != "" || h.Online("alice") {
		t.Errorf("after Logout: UID %q, alice %v", m.UID(), h.Online("alice"))
	}
	if err := m.Login("bob"); err != nil || m.UID() != "bob" {
		t.Errorf("Login after Logout: %v, UID %q", err, m.UID())
	}
	m.Gone()
	checkEmpty(t, h)
}

func TestStatsCountUsersConnectionsSockets(t *testing.T) {
	h := newHub(t, Options{})
	join(t, h, "1", "")
	join(t, h, "2", "alice")
	third, _ := join(t, h, "3", "alice")
	fourth, _ := join(t, h, "4", "bob")
	if st := h.Stats(); st.Users != 2 || st.Connections != 3 || st.Sockets != 4 {
		t.Errorf("Stats = %+v, want 2, 3, 4", st)
	}
	third.Logout()
	fourth.Gone()
	if st := h.Stats(); st.Users != 1 || st.Connections != 1 || st.Sockets != 3 {
		t.Errorf("Stats = %+v, want 1, 1, 3", st)
	}
	checkIndexes(t, h)
}

func TestRooms(t *testing.T) {
	h := newHub(t, Options{})
	m, c := join(t, h, "c", "u", "a", "b", "a", "c")
	if got := m.Rooms(); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("Rooms = %v", got)
	}
	m.Leave("b")
	m.Leave("b")
	m.Leave("never")
	if got := m.Rooms(); !slices.Equal(got, []string{"a", "c"}) {
		t.Errorf("Rooms = %v", got)
	}
	m.Logout()
	push(t, h, "1", Audience{Rooms: []string{"b"}})
	push(t, h, "2", Audience{Rooms: []string{"c"}})
	if got := c.take(); !slices.Equal(got, []string{"2"}) {
		t.Errorf("got %v, want what went to room c alone", got)
	}
	checkIndexes(t, h)
	m.Gone()
	if got := m.Rooms(); len(got) != 0 {
		t.Errorf("Rooms after Gone = %v", got)
	}
	checkEmpty(t, h)
}

func TestGoneMember(t *testing.T) {
	h := newHub(t, Options{})
	m, c := join(t, h, "c", "u", "r")
	m.Gone()
	m.Gone()
	m.Logout()
	m.Leave("r")
	if err := m.Login("u"); !errors.Is(err, ErrGone) {
		t.Errorf("Login: %v, want ErrGone", err)
	}
	if err := m.Join("r"); !errors.Is(err, ErrGone) {
		t.Errorf("Join: %v, want ErrGone", err)
	}
	for _, to := range []Audience{{All: true}, {Users: []string{"u"}}, {Rooms: []string{"r"}}, {Connections: []string{"c"}}} {
		if r := push(t, h, "m", to); r.Connections != 0 || r.Users != 0 {
			t.Errorf("Push(%+v) = %+v", to, r)
		}
	}
	if got := c.take(); got != nil {
		t.Errorf("got %v after Gone", got)
	}
	checkEmpty(t, h)
}

func TestClosedHub(t *testing.T) {
	h := newHub(t, Options{})
	m, _ := join(t, h, "c", "")
	logged, _ := join(t, h, "d", "u", "r")
	for range 2 {
		if err := h.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.Connect(&fakeConn{id: "e"}); !errors.Is(err, ErrClosed) {
		t.Errorf("Connect: %v, want ErrClosed", err)
	}
	if err := m.Login("u"); !errors.Is(err, ErrClosed) {
		t.Errorf("Login: %v, want ErrClosed", err)
	}
	if err := logged.Login("v"); err != nil {
		t.Errorf("Login of a connection that is logged in: %v, want nil", err)
	}
	if _, err := h.Push(t.Context(), Push{To: Audience{All: true}, Message: message("m")}); !errors.Is(err, ErrClosed) {
		t.Errorf("Push: %v, want ErrClosed", err)
	}
	checkIndexes(t, h)
	m.Gone()
	logged.Gone()
	checkEmpty(t, h)
}

// There may be a million idle connections: what each holds must not grow unnoticed.
func TestIdleConnectionsAreSmall(t *testing.T) {
	if n := unsafe.Sizeof(Member{}); n > 96 {
		t.Errorf("a Member takes %d bytes, want at most 96", n)
	}
	if n := unsafe.Sizeof(user{}); n > 80 {
		t.Errorf("a user takes %d bytes, want at most 80", n)
	}
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	h := newHub(t, Options{OfflineDelay: time.Hour, Presence: deaf})
	const runs = 10_000
	conns, uids, next := ids(runs+1), make([]string, runs+1), 0
	for i := range uids {
		uids[i] = fmt.Sprintf("user-%d", i)
	}
	// The member, the user and the user's name; beside them the connection of this test. The maps grow now and then.
	if n := testing.AllocsPerRun(runs, func() {
		if err := connect(t, h, &countConn{id: conns[next]}).Login(uids[next]); err != nil {
			t.Fatal(err)
		}
		next++
	}); n > 4 {
		t.Errorf("%v allocations for Connect and Login, want at most 3 and the test's own", n)
	}
}
