package hub

import (
	"context"
	"errors"
	"slices"
	"testing"
)

// With LoginFirst nothing reaches a connection before its login and after its logout, whatever a push names.
func TestLoginFirst(t *testing.T) {
	h := newHub(t, Options{LoginFirst: true})
	m, conn := join(t, h, "c", "")
	join(t, h, "other", "bob", "z")
	audiences := map[string]Audience{
		"all":        {All: true},
		"all but":    {All: true, Except: &Audience{Users: []string{"bob"}}},
		"connection": {Connections: []string{"c"}},
		"union":      {Connections: []string{"c", "other"}, Users: []string{"alice", "bob"}, Rooms: []string{"z"}},
		"user":       {Users: []string{"alice"}},
		"room":       {Rooms: []string{"z"}},
	}
	reached := func(when string, want bool) {
		t.Helper()
		for name, to := range audiences {
			push(t, h, name, to)
			got := conn.take()
			if want != slices.Equal(got, []string{name}) {
				t.Errorf("%s, a push to %s: got %v", when, name, got)
			}
			members, err := h.Members(to)
			if err != nil || slices.Contains(members, m) != want {
				t.Errorf("%s, the members of %s: %v, %v", when, name, members, err)
			}
		}
		checkIndexes(t, h)
	}
	if err := m.Join("z"); !errors.Is(err, ErrLoginFirst) {
		t.Errorf("Join before a login: %v", err)
	}
	reached("before the login", false)
	if _, err := h.Connect(&fakeConn{id: "c"}); !errors.Is(err, ErrDuplicateID) {
		t.Errorf("the id of one outside is free: %v", err)
	}
	if st := h.Stats(); st.Sockets != 2 || st.Connections != 1 {
		t.Errorf("Stats = %+v", st)
	}
	for range 2 {
		if err := errors.Join(m.Login("alice"), m.Join("z")); err != nil {
			t.Fatal(err)
		}
		reached("logged in", true)
		m.Logout()
		m.Logout()
		reached("logged out", false)
		if rooms := m.Rooms(); len(rooms) != 0 {
			t.Errorf("rooms after the logout: %v", rooms)
		}
	}
	if n, err := h.Disconnect(context.Background(), Audience{All: true}); n != 1 || err != nil || conn.kicks != 0 {
		t.Errorf("Disconnect of all = %d, %v, %d kicks", n, err, conn.kicks)
	}
	m.Gone()
	m.Gone()
	if err := m.Login("alice"); !errors.Is(err, ErrGone) {
		t.Errorf("Login of one that is gone: %v", err)
	}
	again, _ := join(t, h, "c", "alice")
	if r := push(t, h, "m", Audience{All: true}); r.Connections != 2 {
		t.Errorf("Push = %+v", r)
	}
	again.Gone()
	checkIndexes(t, h)
}
