package hub

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// book keeps memberships in memory, in the place of a store.
type book struct {
	mu   sync.Mutex
	list []stayKey
	err  error // what every call answers
}

func (b *book) AddMembership(uid, room string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.list = append(b.list, stayKey{room, uid})
	}
	return b.err
}

func (b *book) RemoveMembership(uid, room string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.list = slices.DeleteFunc(b.list, func(k stayKey) bool { return k == stayKey{room, uid} })
	}
	return b.err
}

func (b *book) EachMembership(fn func(uid, room string) error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, k := range b.list {
		if err := fn(k.uid, k.room); err != nil {
			return err
		}
	}
	return b.err
}

// enroll adds memberships of the user, and checks how many connections have joined a room by that.
func enroll(t testing.TB, h *Hub, uid string, joined int, rooms ...string) {
	t.Helper()
	for _, room := range rooms {
		if n, err := h.AddMembership(context.Background(), uid, room); n != joined || err != nil {
			t.Errorf("AddMembership(%s, %s) = %d, %v, want %d", uid, room, n, err, joined)
		}
	}
}

func expel(t testing.TB, h *Hub, uid string, left int, rooms ...string) {
	t.Helper()
	for _, room := range rooms {
		if n, err := h.RemoveMembership(context.Background(), uid, room); n != left || err != nil {
			t.Errorf("RemoveMembership(%s, %s) = %d, %v, want %d", uid, room, n, err, left)
		}
	}
}

func wantRooms(t testing.TB, what string, m *Member, want ...string) {
	t.Helper()
	if got := m.Rooms(); !slices.Equal(got, want) {
		t.Errorf("%s: in the rooms %q, want %q", what, got, want)
	}
	checkIndexes(t, m.hub)
}

func TestMembership(t *testing.T) {
	h := newHub(t, Options{})
	first, conn := join(t, h, "1", "alice")
	other, _ := join(t, h, "2", "bob")
	enroll(t, h, "alice", 1, "vip", "eu")
	enroll(t, h, "alice", 0, "vip") // once more
	enroll(t, h, "carol", 0, "vip")
	wantRooms(t, "there before", first, "vip", "eu")
	wantRooms(t, "somebody else", other)
	if r := push(t, h, "m", Audience{Rooms: []string{"vip"}}); r.Connections != 1 || !slices.Equal(conn.take(), []string{"m"}) {
		t.Errorf("Push = %+v", r)
	}
	second, _ := join(t, h, "3", "alice", "own")
	wantRooms(t, "come later", second, "own", "vip", "eu")
	first.Gone()
	second.Gone()
	back, _ := join(t, h, "4", "alice")
	wantRooms(t, "back", back, "vip", "eu")
	if got := h.Memberships("alice"); !slices.Equal(got, []string{"vip", "eu"}) {
		t.Errorf("Memberships = %q", got)
	}
	expel(t, h, "alice", 1, "vip")
	expel(t, h, "alice", 0, "vip") // once more
	wantRooms(t, "removed", back, "eu")
	back.Logout()
	wantRooms(t, "logged out", back)
	if err := back.Login("carol"); err != nil {
		t.Fatal(err)
	}
	wantRooms(t, "somebody else now", back, "vip")
	expel(t, h, "alice", 0, "eu")
	expel(t, h, "carol", 1, "vip")
	back.Gone()
	other.Gone()
	if h.Memberships("alice") != nil {
		t.Errorf("Memberships = %q", h.Memberships("alice"))
	}
	checkEmpty(t, h)
}

// A connection's own joining and its user's membership are two reasons to be in a room.
func TestMembershipAndJoin(t *testing.T) {
	h := newHub(t, Options{})
	m, _ := join(t, h, "1", "alice", "a", "b")
	enroll(t, h, "alice", 0, "a") // in it already
	enroll(t, h, "alice", 1, "vip")
	wantRooms(t, "both", m, "a", "b", "vip")
	m.Leave("vip")
	wantRooms(t, "a member does not leave", m, "a", "b", "vip")
	m.Leave("a")
	wantRooms(t, "nor one that had joined", m, "b", "vip", "a")
	if err := errors.Join(m.Join("vip"), m.Join("vip")); err != nil {
		t.Fatal(err)
	}
	wantRooms(t, "joined too", m, "b", "vip", "a")
	expel(t, h, "alice", 0, "vip") // which it has joined itself
	expel(t, h, "alice", 1, "a")
	wantRooms(t, "its own", m, "b", "vip")
	m.Leave("vip")
	m.Leave("vip")
	wantRooms(t, "left", m, "b")
	enroll(t, h, "alice", 1, "vip")
	m.Logout()
	wantRooms(t, "logged out", m, "b")
	enroll(t, h, "alice", 0, "b")
	if err := m.Login("alice"); err != nil {
		t.Fatal(err)
	}
	wantRooms(t, "logged in again", m, "b", "vip")
	m.Leave("b")
	wantRooms(t, "a member by now", m, "vip", "b")
}

func TestMembershipBehindALogin(t *testing.T) {
	h := newHub(t, Options{LoginFirst: true})
	m, _ := join(t, h, "1", "")
	enroll(t, h, "alice", 0, "vip")
	wantRooms(t, "outside", m)
	for range 2 {
		if err := errors.Join(m.Login("alice"), m.Join("a")); err != nil {
			t.Fatal(err)
		}
		wantRooms(t, "logged in", m, "a", "vip")
		m.Logout()
		wantRooms(t, "logged out", m)
	}
}

// What is stored is there again, and what could not be stored has not happened.
func TestMembershipIsStored(t *testing.T) {
	b := &book{}
	h := newHub(t, Options{Memberships: b})
	m, _ := join(t, h, "1", "alice")
	enroll(t, h, "alice", 1, "vip", "eu")
	enroll(t, h, "bob", 0, "vip")
	expel(t, h, "alice", 1, "eu")
	b.err = errors.New("the disk is full")
	if n, err := h.AddMembership(context.Background(), "alice", "x"); n != 0 || !errors.Is(err, ErrStore) || !errors.Is(err, b.err) {
		t.Errorf("AddMembership = %d, %v", n, err)
	}
	if n, err := h.RemoveMembership(context.Background(), "alice", "vip"); n != 0 || !errors.Is(err, ErrStore) {
		t.Errorf("RemoveMembership = %d, %v", n, err)
	}
	wantRooms(t, "after errors", m, "vip")
	if got := h.Memberships("alice"); !slices.Equal(got, []string{"vip"}) {
		t.Errorf("Memberships = %q", got)
	}
	if _, err := New(Options{Memberships: b}); !errors.Is(err, b.err) {
		t.Errorf("New with a store that cannot be read: %v", err)
	}
	b.err = nil
	again := newHub(t, Options{Memberships: b})
	for uid, want := range map[string][]string{"alice": {"vip"}, "bob": {"vip"}, "carol": nil} {
		if got := again.Memberships(uid); !slices.Equal(got, want) {
			t.Errorf("after a restart, %s is in %q", uid, got)
		}
	}
	m, _ = join(t, again, "1", "bob")
	wantRooms(t, "after a restart", m, "vip")
	b.list = append(b.list, stayKey{"", "alice"})
	if _, err := New(Options{Memberships: b}); !errors.Is(err, ErrBadRoom) {
		t.Errorf("New with a membership that cannot be: %v", err)
	}
}

func TestMembershipRefuses(t *testing.T) {
	h := newHub(t, Options{})
	ctx := context.Background()
	for uid, room := range map[string]string{"": "r", "a\n": "r", "a": "", "b": "r\n"} {
		_, added := h.AddMembership(ctx, uid, room)
		_, removed := h.RemoveMembership(ctx, uid, room)
		want := ErrBadRoom
		if !validName(uid) {
			want = ErrBadUID
		}
		if !errors.Is(added, want) || !errors.Is(removed, want) {
			t.Errorf("%q, %q: %v, %v", uid, room, added, removed)
		}
	}
	for i := range MaxMemberships {
		enroll(t, h, "alice", 0, fmt.Sprint(i))
	}
	if _, err := h.AddMembership(ctx, "alice", "more"); !errors.Is(err, ErrTooManyRooms) {
		t.Errorf("one more: %v", err)
	}
	enroll(t, h, "alice", 0, "7")
	expel(t, h, "alice", 0, "7")
	enroll(t, h, "alice", 0, "more")

	turn := h.roster().users[h.indexes.shard("alice")].turn
	turn <- struct{}{} // somebody takes his time
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := h.AddMembership(cancelled, "alice", "more"); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
	<-turn
	if err := h.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := h.RemoveMembership(ctx, "alice", "more"); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// A room hears of its members as of others who join and leave.
func TestMembershipIsPresence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var changes []RoomChange
		h := newHub(t, Options{OfflineDelay: time.Second, RoomPresence: func(c RoomChange) { changes = append(changes, c) }})
		m, _ := join(t, h, "1", "alice")
		enroll(t, h, "alice", 1, "vip")
		synctest.Wait()
		m.Logout()
		synctest.Wait()
		if err := m.Login("alice"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		expel(t, h, "alice", 1, "vip")
		synctest.Wait()
		in, out := RoomChange{"vip", "alice", true}, RoomChange{"vip", "alice", false}
		if !slices.Equal(changes, []RoomChange{in, out, in, out}) {
			t.Errorf("changes %v", changes)
		}
	})
}

func TestRoomListsMembers(t *testing.T) {
	h := newHub(t, Options{})
	var want []Occupant
	for i := range 30 {
		id, uid := fmt.Sprintf("c%02d", i), fmt.Sprintf("u%02d", i)
		join(t, h, id, uid, "z")
		want = append(want, Occupant{id, uid})
	}
	for i := range 40 {
		uid := fmt.Sprintf("u%02d", i)
		enroll(t, h, uid, 0, "z")
		want = append(want, Occupant{UID: uid})
	}
	enroll(t, h, "stranger", 0, "z")
	enroll(t, h, "u00", 1, "y")
	for _, limit := range []int{1, 7, 15, 30, 35, 69, 70, 71, 1000} {
		var got []Occupant
		cursor := ""
		for {
			page, next, err := h.Room("z", Page{Limit: limit, Cursor: cursor, Prefix: "u"})
			if err != nil || len(page) > limit || next != "" && len(page) < limit {
				t.Fatalf("Room = %v, %q, %v", page, next, err)
			}
			got = append(got, page...)
			if cursor = next; next == "" {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("limit %d: got %v", limit, got)
		}
	}
}

// Whatever happens at once, in the end every connection is in the rooms of its user, and in those it has joined.
func TestMembershipStress(t *testing.T) {
	b := &book{}
	h := newHub(t, Options{Memberships: b})
	var wg sync.WaitGroup
	members := make(chan *Member, 1000)
	for worker := range 4 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(worker), 3))
			for i := range 300 {
				if worker < 2 {
					change := h.AddMembership
					if rnd.IntN(2) == 0 {
						change = h.RemoveMembership
					}
					if _, err := change(context.Background(), digit(rnd), digit(rnd)); err != nil {
						t.Error(err)
					}
					continue
				}
				m := connect(t, h, &countConn{id: fmt.Sprint(worker, i)})
				for range rnd.IntN(10) {
					var err error
					switch rnd.IntN(4) {
					case 0:
						err = m.Login(digit(rnd))
					case 1:
						err = m.Join(digit(rnd))
					case 2:
						m.Leave(digit(rnd))
					case 3:
						m.Logout()
					}
					if err != nil {
						t.Error(err)
					}
				}
				if rnd.IntN(4) == 0 {
					m.Gone()
				} else {
					members <- m
				}
			}
		})
	}
	wg.Wait()
	close(members)
	checkIndexes(t, h)
	stored := map[stayKey]bool{}
	for _, k := range b.list {
		if stored[k] {
			t.Errorf("%v is stored twice", k)
		}
		stored[k] = true
	}
	for uid := range 10 {
		for _, room := range h.Memberships(fmt.Sprint(uid)) {
			if k := (stayKey{room, fmt.Sprint(uid)}); !stored[k] {
				t.Errorf("%v is not stored", k)
			} else {
				delete(stored, k)
			}
		}
	}
	if len(stored) > 0 {
		t.Errorf("stored, but not there: %v", stored)
	}
	for m := range members {
		m.Gone()
	}
	checkEmpty(t, h)
}
