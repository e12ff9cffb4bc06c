package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"crier/io/hub"
)

func TestRelayDisconnect(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	list := newMembers(t, server, "a", "b")
	a1, b1, b2 := list[0].enter(t, server, "a1", "alice"), list[1].enter(t, server, "b1", "alice"), list[1].enter(t, server, "b2", "bob")
	n, err := list[0].Disconnect(context.Background(), hub.Audience{Users: []string{"alice"}})
	if n != 2 || err != nil || !a1.kicked || !b1.kicked || b2.kicked {
		t.Errorf("%d, %v: %v %v %v", n, err, a1.kicked, b1.kicked, b2.kicked)
	}
	if n, err := list[0].Disconnect(context.Background(), hub.Audience{Connections: []string{"b2"}}); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

func TestRelayLists(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	list := newMembers(t, server, "a", "b", "c")
	var want []string
	for i := range 25 {
		uid := fmt.Sprintf("u%02d", i)
		list[i%3].enter(t, server, uid+"x", uid, "r", "room-"+uid)
		list[i%2].enter(t, server, uid+"y", uid)
		want = append(want, uid+" 2")
	}
	walk := func(page func(hub.Page) ([]string, string)) (all []string) {
		p := hub.Page{Limit: 4}
		for {
			names, next := page(p)
			if all = append(all, names...); next == "" {
				return all
			}
			if len(names) == 0 || len(names) > 4 {
				t.Fatalf("a page of %d", len(names))
			}
			p.Cursor = next
		}
	}
	check := func(what string, err error) {
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	if got := walk(func(p hub.Page) (names []string, next string) {
		page, next, err := list[1].Users(p)
		check("users", err)
		for _, one := range page {
			names = append(names, fmt.Sprint(one.Name, " ", one.Connections))
		}
		return names, next
	}); !slices.Equal(got, want) {
		t.Errorf("users: %q", got)
	}
	if got := walk(func(p hub.Page) (names []string, next string) {
		p.Prefix = "room-"
		page, next, err := list[1].Rooms(p)
		check("rooms", err)
		for _, one := range page {
			names = append(names, strings.TrimPrefix(fmt.Sprint(one.Name, " ", one.Connections+1), "room-"))
		}
		return names, next
	}); !slices.Equal(got, want) {
		t.Errorf("rooms: %q", got)
	}
	if got := walk(func(p hub.Page) (names []string, next string) {
		page, next, err := list[2].Room("r", p)
		check("room", err)
		for _, one := range page {
			names = append(names, fmt.Sprint(strings.TrimSuffix(one.Connection, "x"), " 2"))
		}
		return names, next
	}); !slices.Equal(got, want) {
		t.Errorf("room: %q", got)
	}
	sessions, err := list[2].User("u07")
	check("user", err)
	if len(sessions) != 2 || sessions[0].Connection != "u07x" || !slices.Equal(sessions[0].Rooms, []string{"r", "room-u07"}) || sessions[1].Connection != "u07y" {
		t.Errorf("user: %+v", sessions)
	}
	for _, to := range []hub.Audience{{Users: []string{"u07", "u08", "none"}}, {Rooms: []string{"room-u07", "room-u08"}, Users: []string{"u08"}}} {
		r, err := list[0].Count(context.Background(), to)
		check("count", err)
		if want := 5 - len(to.Users) + len(to.Rooms)/2; r.Users != 2 && len(to.Rooms) == 0 || r.Partial || len(to.Rooms) == 0 && r.Connections != 4 {
			t.Errorf("count of %+v: %+v, want %d", to, r, want)
		}
	}
	if _, _, err := list[0].Users(hub.Page{Limit: 1, Cursor: "x"}); !errors.Is(err, hub.ErrBadCursor) {
		t.Errorf("a bad cursor: %v", err)
	}
}
