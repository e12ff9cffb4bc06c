package hub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestUsersPages(t *testing.T) {
	h := newHub(t, Options{})
	var want []string
	for i := range 300 {
		uid := fmt.Sprint("u", i)
		want = append(want, uid)
		join(t, h, fmt.Sprint("c", i), uid, fmt.Sprint("r", i%3))
	}
	gone, _ := join(t, h, "gone", "gone", "empty")
	gone.Gone()
	slices.Sort(want)
	for _, limit := range []int{1, 2, 64, 299, 300, 301} {
		var got []string
		p := Page{Limit: limit}
		for first := true; first || p.Cursor != ""; first = false {
			page, next, err := h.Users(p)
			if err != nil || len(page) > limit || len(got) > len(want) {
				t.Fatalf("%d entries after %d: %v", len(page), len(got), err)
			}
			for _, u := range page {
				got = append(got, u.Name)
			}
			p.Cursor = next
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("by %d: %d users", limit, len(got))
		}
	}
	page, next, err := h.Users(Page{Limit: 1000, Prefix: "u29"})
	if err != nil || len(page) != 11 || next != "" {
		t.Errorf("%v, %q, %v", page, next, err)
	}
	rooms, _, err := h.Rooms(Page{Limit: 10})
	slices.SortFunc(rooms, func(a, b Listed) int { return strings.Compare(a.Name, b.Name) })
	if err != nil || !slices.Equal(rooms, []Listed{{"r0", 100}, {"r1", 100}, {"r2", 100}}) {
		t.Errorf("%v, %v", rooms, err)
	}
}

func TestCursors(t *testing.T) {
	h, other := newHub(t, Options{}), newHub(t, Options{})
	for i := range 10 {
		join(t, h, fmt.Sprint("c", i), fmt.Sprint("u", i), "r")
	}
	_, next, err := h.Users(Page{Limit: 1})
	if err != nil || next == "" {
		t.Fatalf("%q, %v", next, err)
	}
	for name, call := range map[string]func() error{
		"another hub":  func() error { _, _, err := other.Users(Page{Limit: 1, Cursor: next}); return err },
		"another list": func() error { _, _, err := h.Rooms(Page{Limit: 1, Cursor: next}); return err },
		"a room":       func() error { _, _, err := h.Room("r", Page{Limit: 1, Cursor: next}); return err },
		"nonsense":     func() error { _, _, err := h.Users(Page{Limit: 1, Cursor: "AA"}); return err },
	} {
		if err := call(); !errors.Is(err, ErrBadCursor) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := h.Room("\n", Page{Limit: 1}); !errors.Is(err, ErrBadRoom) {
		t.Error(err)
	}
	if _, err := h.User(""); !errors.Is(err, ErrBadUID) {
		t.Error(err)
	}
}

func TestCount(t *testing.T) {
	h := newHub(t, Options{})
	_, a := join(t, h, "c1", "a", "r")
	join(t, h, "c2", "a")
	join(t, h, "c3", "", "r")
	for _, c := range []struct {
		to         Audience
		users, con int
	}{
		{Audience{All: true}, 1, 3},
		{Audience{Users: []string{"a"}}, 1, 2},
		{Audience{Rooms: []string{"r"}, Connections: []string{"c3"}}, 1, 2},
		{Audience{All: true, Except: &Audience{Users: []string{"a"}}}, 0, 1},
	} {
		if r, err := h.Count(t.Context(), c.to); err != nil || r.Users != c.users || r.Connections != c.con {
			t.Errorf("%+v: %+v, %v", c.to, r, err)
		}
	}
	if got := a.take(); len(got) != 0 {
		t.Errorf("counting delivered %v", got)
	}
	if _, err := h.Count(t.Context(), Audience{Users: []string{""}}); !errors.Is(err, ErrBadUID) {
		t.Error(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Count(ended, Audience{All: true}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
