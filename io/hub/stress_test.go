package hub

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// stressConn checks that it gets nothing twice and nothing that was never for it.
type stressConn struct {
	t       *testing.T
	id, uid string // the only user it ever logs in as
	rooms   string // the rooms it ever joins, one byte each

	mu     sync.Mutex
	got    map[string]bool
	member atomic.Pointer[Member]
}

func (c *stressConn) ID() string { return c.id }

func (c *stressConn) Deliver(m *Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.got[m.ID] {
		c.t.Errorf("connection %s got %s twice", c.id, m.ID)
	}
	c.got[m.ID] = true
	switch to := m.Event[1:]; m.Event[0] {
	case 'u':
		if to != c.uid {
			c.t.Errorf("connection %s of user %s got what was for user %s", c.id, c.uid, to)
		}
	case 'r':
		if !strings.Contains(c.rooms, to) {
			c.t.Errorf("connection %s of rooms %q got what was for room %s", c.id, c.rooms, to)
		}
	case 'c':
		if to != c.id {
			c.t.Errorf("connection %s got what was for connection %s", c.id, to)
		}
	}
	if m.ID[len(m.ID)-1]%5 == 0 {
		return ErrSlow
	}
	return nil
}

// Kick ends the connection at once, as no transport would, to have Gone called from within the hub's own call.
func (c *stressConn) Kick() {
	if m := c.member.Load(); m != nil {
		m.Gone()
	}
}

// digit is a name; users, rooms and connections use the same ones.
func digit(rnd *rand.Rand) string { return string(rune('0' + rnd.IntN(10))) }

// live runs one connection through its life, with several goroutines using its member, and returns when it is gone.
func live(t *testing.T, h *Hub, rnd *rand.Rand) {
	c := &stressConn{t: t, id: digit(rnd), uid: digit(rnd), rooms: digit(rnd) + digit(rnd), got: make(map[string]bool)}
	m, err := h.Connect(c)
	if err != nil {
		if !errors.Is(err, ErrDuplicateID) {
			t.Errorf("Connect: %v", err)
		}
		return
	}
	c.member.Store(m)
	steps := 1 + rnd.IntN(20)
	gone := rnd.IntN(40)
	var wg sync.WaitGroup
	for range 2 {
		seed := rnd.Uint64()
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, 0))
			for step := range steps {
				var err error
				switch rnd.IntN(5) {
				case 0, 1:
					err = m.Login(c.uid)
				case 2:
					err = m.Join(string(c.rooms[rnd.IntN(2)]))
				case 3:
					m.Leave(string(c.rooms[rnd.IntN(2)]))
				case 4:
					m.Logout()
				}
				if err != nil && !errors.Is(err, ErrGone) && (!h.loginFirst || !errors.Is(err, ErrLoginFirst)) {
					t.Errorf("connection %s: %v", c.id, err)
				}
				if uid := m.UID(); uid != "" && uid != c.uid {
					t.Errorf("connection %s is user %s, not %s", c.id, uid, c.uid)
				}
				if step == gone {
					m.Gone()
				}
			}
		})
	}
	wg.Wait()
	m.Gone()
	if m.UID() != "" || len(m.Rooms()) != 0 {
		t.Errorf("connection %s is gone but user %q in %v", c.id, m.UID(), m.Rooms())
	}
}

// pushSomething pushes to a random audience, or now and then kicks it.
func pushSomething(t *testing.T, h *Hub, rnd *rand.Rand, id string) {
	name := digit(rnd)
	var to Audience
	event := "a"
	switch rnd.IntN(6) {
	case 0:
		to, event = Audience{Users: []string{name}}, "u"+name
	case 1:
		to, event = Audience{Rooms: []string{name}}, "r"+name
	case 2:
		to, event = Audience{Connections: []string{name}}, "c"+name
	case 3:
		to = Audience{All: true}
	case 4:
		to = Audience{Users: []string{name, digit(rnd)}, Rooms: []string{name, digit(rnd)}, Connections: []string{name}}
	case 5:
		to = Audience{All: true, Except: &Audience{Users: []string{name}, Rooms: []string{name}}}
	}
	if rnd.IntN(100) == 0 {
		if _, err := h.Disconnect(context.Background(), to); err != nil {
			t.Errorf("Disconnect: %v", err)
		}
		return
	}
	r, err := h.Push(context.Background(), Push{To: to, Message: &Message{ID: id, Event: event}})
	if err != nil || r.Delivered+r.Slow != r.Connections || r.Users > r.Connections {
		t.Errorf("Push = %+v, %v", r, err)
	}
}

func TestStress(t *testing.T) {
	for name, o := range map[string]Options{
		"no delay":    {},
		"short delay": {OfflineDelay: 50 * time.Microsecond},
		"long delay":  {OfflineDelay: time.Hour},
		"login first": {LoginFirst: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRecorder(t)
			o.Presence = r.observe
			h := newHub(t, o)
			const lives, pushes = 600, 1500
			var wg, pushing sync.WaitGroup
			var pushed atomic.Bool // there is somebody to push to until then
			for worker := range 6 {
				wg.Go(func() {
					rnd := rand.New(rand.NewPCG(uint64(worker), 1))
					for n := 0; n < lives || !pushed.Load(); n++ {
						live(t, h, rnd)
					}
				})
			}
			for pusher := range 3 {
				pushing.Go(func() {
					rnd := rand.New(rand.NewPCG(uint64(pusher), 2))
					for i := 0; i < pushes || !reached(h); i++ {
						pushSomething(t, h, rnd, fmt.Sprintf("%d-%d", pusher, i))
					}
				})
			}
			pushing.Wait()
			pushed.Store(true)
			wg.Wait()
			if err := h.Close(context.Background()); err != nil {
				t.Fatal(err)
			}
			checkEmpty(t, h)
			r.mu.Lock()
			defer r.mu.Unlock()
			if len(r.changes) == 0 {
				t.Error("no presence changes")
			}
			for uid, online := range r.online {
				if online {
					t.Errorf("user %s was left online", uid)
				}
			}
		})
	}
}

// reached says whether a push has reached somebody, and met somebody who is too slow.
func reached(h *Hub) bool {
	st := h.Stats()
	return st.Delivered > 0 && st.Slow > 0
}

// Logins that run into Close either are refused or get their online and offline changes.
func TestCloseDuringLogins(t *testing.T) {
	for range 50 {
		r := newRecorder(t)
		h := newHub(t, Options{OfflineDelay: time.Hour, Presence: r.observe})
		var wg sync.WaitGroup
		var loggedIn atomic.Int64
		members := make([]*Member, 8)
		for i := range members {
			members[i], _ = join(t, h, fmt.Sprintf("c%d", i), "")
			wg.Go(func() {
				switch err := members[i].Login(fmt.Sprintf("u%d", i)); {
				case err == nil:
					loggedIn.Add(1)
				case !errors.Is(err, ErrClosed):
					t.Errorf("Login: %v", err)
				}
				if i%2 == 0 {
					members[i].Gone()
				}
			})
		}
		wg.Go(func() {
			if err := h.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		for _, m := range members {
			m.Gone()
		}
		checkEmpty(t, h)
		if got := len(r.take()); got != int(2*loggedIn.Load()) {
			t.Fatalf("%d changes for %d logins, want two each", got, loggedIn.Load())
		}
	}
}
