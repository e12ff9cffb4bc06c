package hub

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// roomLog keeps what rooms are told, as "room+uid" and "room-uid".
type roomLog struct {
	mu  sync.Mutex
	got []string
}

func (l *roomLog) observe(c RoomChange) {
	sign := "-"
	if c.Joined {
		sign = "+"
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.got = append(l.got, c.Room+sign+c.UID)
}

// take returns what has come since the last call, once everything rests.
func (l *roomLog) take() string {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	got := strings.Join(l.got, " ")
	l.got = nil
	return got
}

func TestRoomPresence(t *testing.T) {
	const delay = 3 * time.Second
	tests := []struct {
		name string
		run  func(t *testing.T, h *Hub, told func(want string))
	}{
		{"first in, last out", func(t *testing.T, h *Hub, told func(string)) {
			a, _ := join(t, h, "a", "u", "r")
			told("r+u")
			b, _ := join(t, h, "b", "u", "r")
			a.Leave("r")
			told("")
			b.Leave("r")
			told("r-u")
		}},
		{"joining twice is joining once", func(t *testing.T, h *Hub, told func(string)) {
			a, _ := join(t, h, "a", "u", "r", "r")
			told("r+u")
			a.Leave("r")
			told("r-u")
		}},
		{"a refresh is not told", func(t *testing.T, h *Hub, told func(string)) {
			a, _ := join(t, h, "a", "u", "r", "s")
			told("r+u s+u")
			a.Gone()
			time.Sleep(delay - 1)
			b, _ := join(t, h, "b", "u", "r")
			time.Sleep(time.Nanosecond)
			told("s-u")
			time.Sleep(delay)
			told("")
			b.Gone()
			time.Sleep(delay - 1)
			told("")
			time.Sleep(time.Nanosecond)
			told("r-u")
		}},
		{"back and away again counts from the last time", func(t *testing.T, h *Hub, told func(string)) {
			a, _ := join(t, h, "a", "u", "r")
			told("r+u")
			a.Gone()
			time.Sleep(2 * time.Second)
			b, _ := join(t, h, "b", "u", "r")
			told("")
			b.Gone()
			time.Sleep(delay - 1)
			told("")
			time.Sleep(time.Nanosecond)
			told("r-u")
		}},
		{"leaving is told at once, also beside an absence", func(t *testing.T, h *Hub, told func(string)) {
			a, _ := join(t, h, "a", "u", "r")
			told("r+u")
			a.Gone()
			b, _ := join(t, h, "b", "u", "r")
			b.Leave("r")
			told("r-u")
			time.Sleep(delay)
			told("")
		}},
		{"who logs in is in the rooms it had", func(t *testing.T, h *Hub, told func(string)) {
			a, _ := join(t, h, "a", "", "r", "s")
			told("")
			if err := a.Login("u"); err != nil {
				t.Fatal(err)
			}
			told("r+u s+u")
			a.Leave("s")
			a.Logout()
			told("s-u r-u")
			if err := a.Login("v"); err != nil {
				t.Fatal(err)
			}
			told("r+v")
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log roomLog
				h := newHub(t, Options{OfflineDelay: delay, RoomPresence: log.observe})
				tt.run(t, h, func(want string) {
					t.Helper()
					if got := log.take(); got != want {
						t.Errorf("told %q, want %q", got, want)
					}
				})
			})
		})
	}
}

// A leave that nobody can come back from is told at once: the end of a connection without a delay, and the logout of one
// that must log in first, which also leaves the rooms.
func TestRoomPresenceAtOnce(t *testing.T) {
	for name, tt := range map[string]struct {
		options Options
		leave   func(*Member)
	}{
		"no delay":    {Options{}, (*Member).Gone},
		"login first": {Options{LoginFirst: true, OfflineDelay: time.Second}, (*Member).Logout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log roomLog
				tt.options.RoomPresence = log.observe
				h := newHub(t, tt.options)
				a, _ := join(t, h, "a", "u", "r")
				log.take()
				tt.leave(a)
				if got := log.take(); got != "r-u" {
					t.Errorf("told %q", got)
				}
			})
		})
	}
}

// After Close nobody is told, and Close can be called again.
func TestRoomPresenceAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log roomLog
		h := newHub(t, Options{OfflineDelay: time.Second, RoomPresence: log.observe})
		a, _ := join(t, h, "a", "u", "r")
		log.take()
		for range 2 {
			if err := h.Close(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		a.Leave("r")
		a.Gone()
		time.Sleep(time.Minute)
		if got := log.take(); got != "" {
			t.Errorf("told %q", got)
		}
	})
}

// Many connections come, go, join and leave at random: for each user in each room the changes alternate, begin with a
// joining and end as things are, and in the end nothing is kept.
func TestRoomPresenceAlternates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log roomLog
		h := newHub(t, Options{OfflineDelay: 5 * time.Millisecond, RoomPresence: log.observe})
		var all sync.WaitGroup
		for i := range 50 {
			rnd := rand.New(rand.NewPCG(1, uint64(i)))
			all.Go(func() {
				for n := range 40 {
					m := connect(t, h, &fakeConn{id: fmt.Sprint(i, "-", n)})
					for range 10 {
						room := fmt.Sprint("r", rnd.IntN(3))
						switch rnd.IntN(4) {
						case 0:
							m.Leave(room)
						case 1:
							m.Logout()
						case 2:
							if err := m.Login(fmt.Sprint("u", rnd.IntN(5))); err != nil {
								t.Error(err)
							}
						default:
							if err := m.Join(room); err != nil {
								t.Error(err)
							}
						}
						time.Sleep(time.Duration(rnd.IntN(3)) * time.Millisecond)
					}
					m.Gone()
				}
			})
		}
		all.Wait()
		time.Sleep(time.Second)
		in := make(map[string]bool)
		for _, line := range strings.Fields(log.take()) {
			name, joined := strings.Replace(line, "-", "+", 1), strings.Contains(line, "+")
			if in[name] == joined {
				t.Fatalf("%s is told twice", line)
			}
			in[name] = joined
		}
		if len(in) != 15 {
			t.Errorf("%d users in rooms were seen, want 15", len(in))
		}
		for name, is := range in {
			if is {
				t.Errorf("%s is still there", name)
			}
		}
		if len(h.rooms.stays) != 0 || len(h.rooms.absences) != 0 || len(h.rooms.ready) != 0 {
			t.Errorf("kept: %d stays, %d absences", len(h.rooms.stays), len(h.rooms.absences))
		}
	})
}
