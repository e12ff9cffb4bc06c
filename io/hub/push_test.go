package hub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
)

// The same text as uid, room and connection id must never cross.
func TestNameSpacesAreSeparate(t *testing.T) {
	h := newHub(t, Options{})
	const name = "same"
	conns := map[string]*fakeConn{}
	_, conns["id"] = join(t, h, name, "someone")
	_, conns["user"] = join(t, h, "c1", name)
	_, conns["room"] = join(t, h, "c2", "other", name)
	_, conns["guest"] = join(t, h, "c3", "")
	only := []string{name}
	for _, tc := range []struct {
		to   Audience
		want []string
	}{
		{Audience{Connections: only}, []string{"id"}},
		{Audience{Users: only}, []string{"user"}},
		{Audience{Rooms: only}, []string{"room"}},
		{Audience{All: true, Except: &Audience{Connections: only}}, []string{"guest", "room", "user"}},
		{Audience{All: true, Except: &Audience{Users: only}}, []string{"guest", "id", "room"}},
		{Audience{All: true, Except: &Audience{Rooms: only}}, []string{"guest", "id", "user"}},
	} {
		t.Run(fmt.Sprintf("%+v", tc.to), func(t *testing.T) {
			push(t, h, "m", tc.to)
			var got []string
			for who, c := range conns {
				if ids := c.take(); len(ids) > 0 {
					got = append(got, who)
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, tc.want) {
				t.Errorf("reached %v, want %v", got, tc.want)
			}
		})
	}
}

func TestPushMatches(t *testing.T) {
	h := newHub(t, Options{})
	conns := map[string]*fakeConn{}
	add := func(id, uid string, rooms ...string) { _, conns[id] = join(t, h, id, uid, rooms...) }
	add("a1", "alice", "red", "blue")
	add("a2", "alice")
	add("b1", "bob", "red")
	add("c1", "carol", "blue")
	add("g1", "", "blue")
	add("g2", "")
	users := func(names ...string) []string { return names }
	for _, tc := range []struct {
		what  string
		to    Audience
		want  string
		users int
	}{
		{"nobody", Audience{}, "", 0},
		{"nobody known", Audience{Users: users("x"), Rooms: users("x"), Connections: users("x", "")}, "", 0},
		{"a user", Audience{Users: users("alice")}, "a1 a2", 1},
		{"a user twice", Audience{Users: users("alice", "alice")}, "a1 a2", 1},
		{"users", Audience{Users: users("alice", "x", "bob")}, "a1 a2 b1", 2},
		{"a room", Audience{Rooms: users("blue")}, "a1 c1 g1", 2},
		{"rooms that overlap", Audience{Rooms: users("blue", "red")}, "a1 b1 c1 g1", 3},
		{"a connection", Audience{Connections: users("g1")}, "g1", 0},
		{"a user's connection", Audience{Connections: users("a2")}, "a2", 1},
		{"union", Audience{Users: users("alice"), Rooms: users("red"), Connections: users("a1", "g2")}, "a1 a2 b1 g2", 2},
		{"all", Audience{All: true}, "a1 a2 b1 c1 g1 g2", 3},
		{"all and others", Audience{All: true, Users: users("alice")}, "a1 a2 b1 c1 g1 g2", 3},
		{"all except a user", Audience{All: true, Except: &Audience{Users: users("alice")}}, "b1 c1 g1 g2", 2},
		{"all except all", Audience{All: true, Except: &Audience{All: true}}, "", 0},
		{"except nobody", Audience{Users: users("alice"), Except: &Audience{}}, "a1 a2", 1},
		{"user except own connection", Audience{Users: users("alice"), Except: &Audience{Connections: users("a1")}}, "a2", 1},
		{"room except user", Audience{Rooms: users("blue"), Except: &Audience{Users: users("alice")}}, "c1 g1", 1},
		{"except all but a room", Audience{All: true, Except: &Audience{All: true, Except: &Audience{Rooms: users("red")}}}, "a1 b1", 2},
	} {
		t.Run(tc.what, func(t *testing.T) {
			before := h.Stats()
			r := push(t, h, "m", tc.to)
			var got []string
			for id, c := range conns {
				for range c.take() {
					got = append(got, id)
				}
			}
			slices.Sort(got)
			if strings.Join(got, " ") != tc.want {
				t.Errorf("reached %v, want %q", got, tc.want)
			}
			if r.Connections != len(got) || r.Delivered != len(got) || r.Users != tc.users {
				t.Errorf("Result = %+v, want %d users, %d connections", r, tc.users, len(got))
			}
			after := h.Stats()
			if after.Pushes != before.Pushes+1 || after.Delivered != before.Delivered+uint64(len(got)) {
				t.Errorf("Stats went from %+v to %+v", before, after)
			}
		})
	}
}

func TestPushRefuses(t *testing.T) {
	h := newHub(t, Options{})
	_, c := join(t, h, "c", "u")
	nested := &Audience{All: true}
	for range maxExcept {
		nested = &Audience{All: true, Except: nested}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tc := range []struct {
		what string
		ctx  context.Context
		p    Push
		want error
	}{
		{"no message", t.Context(), Push{To: Audience{All: true}}, ErrBadMessage},
		{"no event", t.Context(), Push{To: Audience{All: true}, Message: &Message{}}, ErrBadMessage},
		{"bad event", t.Context(), Push{To: Audience{All: true}, Message: &Message{Event: "\xff"}}, ErrBadMessage},
		{"too deep", t.Context(), Push{To: Audience{All: true, Except: nested}, Message: message("m")}, ErrBadAudience},
		{"deep enough", t.Context(), Push{To: *nested, Message: message("deep")}, nil},
		{"ended context", ended, Push{To: Audience{All: true}, Message: message("m")}, context.Canceled},
	} {
		t.Run(tc.what, func(t *testing.T) {
			r, err := h.Push(tc.ctx, tc.p)
			if !errors.Is(err, tc.want) || err != nil && r != (Result{}) {
				t.Errorf("Push = %+v, %v, want %v", r, err, tc.want)
			}
		})
	}
	if got := c.take(); !slices.Equal(got, []string{"deep"}) {
		t.Errorf("got %v, want only the good message", got)
	}
	if _, err := h.Disconnect(ended, Audience{All: true}); !errors.Is(err, context.Canceled) || c.kicks != 0 {
		t.Errorf("Disconnect with an ended context: %v, %d kicks", err, c.kicks)
	}
}

func TestPushGivesAnID(t *testing.T) {
	h, other := newHub(t, Options{}), newHub(t, Options{})
	seen := make(map[string]bool)
	for range 100 {
		for _, h := range []*Hub{h, other} {
			m := &Message{Event: "e"}
			r, err := h.Push(t.Context(), Push{Message: m})
			if err != nil || r.ID == "" || r.ID != m.ID || seen[r.ID] {
				t.Fatalf("Push = %+v, %v, message %q; seen before: %v", r, err, m.ID, seen[r.ID])
			}
			seen[r.ID] = true
		}
	}
}

// Refusals are counted by reason and keep nothing from the others, in every way through Push.
func TestDropsAreCountedByReason(t *testing.T) {
	for _, each := range []int{1, 2, 2 * chunk} {
		t.Run(fmt.Sprintf("%d of each", each), func(t *testing.T) {
			var log bytes.Buffer
			h := newHub(t, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
			answers := []error{ErrSlow, nil, fmt.Errorf("sending: %w", ErrSlow), ErrGone, errors.New("disk on fire"), nil}
			var good []*fakeConn
			for i := range each * len(answers) {
				_, c := join(t, h, fmt.Sprintf("c%d", i), "u", "r")
				if c.err = answers[i%len(answers)]; c.err == nil {
					good = append(good, c)
				}
			}
			want := Result{
				ID: "m", Users: 1, Connections: 6 * each, Delivered: 2 * each,
				Dropped: 4 * each, Slow: 2 * each, Gone: each, Failed: each,
			}
			ways := []Audience{{All: true}, {Users: []string{"u"}}, {Rooms: []string{"r"}}, {Users: []string{"u"}, Rooms: []string{"r"}}}
			for _, to := range ways {
				if r := push(t, h, "m", to); r != want {
					t.Errorf("Push(%+v) = %+v, want %+v", to, r, want)
				}
				for _, c := range good {
					if got := c.take(); len(got) != 1 {
						t.Fatalf("a good connection got %v", got)
					}
				}
			}
			n := uint64(each * len(ways))
			if st := h.Stats(); st.Slow != 2*n || st.Gone != n || st.Failed != n || st.Delivered != 2*n {
				t.Errorf("Stats = %+v", st)
			}
			if lines := strings.Count(log.String(), "disk on fire"); lines != len(ways) {
				t.Errorf("the unexpected error is in the log %d times, want once a push:\n%s", lines, log.String())
			}
		})
	}
}

// Two pushes of one caller arrive in order at every connection, also when helpers deliver them and other callers push.
func TestPushesOfOneCallerStayInOrder(t *testing.T) {
	h := newHub(t, Options{})
	h.helpers = make(chan struct{}, 4) // whatever the machine has
	conns := make([]*fakeConn, 5*chunk+7)
	for i := range conns {
		_, conns[i] = join(t, h, fmt.Sprintf("c%d", i), fmt.Sprintf("u%d", i%100), "r")
	}
	const callers, each = 4, 25
	ways := []Audience{{All: true}, {Rooms: []string{"r"}}, {All: true, Except: &Audience{Connections: []string{"none"}}}}
	var wg sync.WaitGroup
	for caller := range callers {
		wg.Go(func() {
			for i := range each {
				push(t, h, fmt.Sprintf("%d-%03d", caller, i), ways[i%len(ways)])
			}
		})
	}
	wg.Wait()
	for _, c := range conns {
		got := c.take()
		slices.SortStableFunc(got, func(a, b string) int { return strings.Compare(a[:1], b[:1]) })
		if len(got) != callers*each || !slices.IsSorted(got) {
			t.Fatalf("%s got %d messages, not all in order: %v", c.id, len(got), got)
		}
	}
	if n := len(h.helpers); n != 0 {
		t.Errorf("%d helpers' tokens were not given back", n)
	}
}

func TestDisconnectKicks(t *testing.T) {
	h := newHub(t, Options{})
	_, a := join(t, h, "a", "alice")
	_, b := join(t, h, "b", "alice")
	_, c := join(t, h, "c", "bob")
	n, err := h.Disconnect(t.Context(), Audience{Users: []string{"alice"}, Connections: []string{"a"}})
	if err != nil || n != 2 || a.kicks != 1 || b.kicks != 1 || c.kicks != 0 {
		t.Errorf("Disconnect = %d, %v; kicks %d %d %d, want 2 and 1 1 0", n, err, a.kicks, b.kicks, c.kicks)
	}
}

func TestPushToUserAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	h := newHub(t, Options{})
	for i := range few {
		c := &countConn{id: fmt.Sprintf("c%d", i)}
		if err := connect(t, h, c).Login("u"); err != nil {
			t.Fatal(err)
		}
	}
	p := Push{To: Audience{Users: []string{"u"}}, Message: message("m")}
	if n := testing.AllocsPerRun(100, func() {
		if r, err := h.Push(context.Background(), p); err != nil || r.Delivered != few {
			t.Errorf("Push = %+v, %v", r, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations for a push to a user, want 0", n)
	}
}
