package hub

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// register is an Attendance that writes down what it is told.
type register struct {
	t    testing.TB
	hub  *Hub
	lag  time.Duration // of an answer
	late time.Duration // until what was before has come to the hub; negative: never

	mu    sync.Mutex
	err   error
	away  bool
	at    Position
	lines []string
	last  PresenceChange
	epoch int
	tasks sync.WaitGroup
}

var errNotNow = errors.New("not now")

func (r *register) Attend(changes []PresenceChange) (Position, error) {
	r.mu.Lock()
	epoch := r.epoch
	r.mu.Unlock()
	time.Sleep(r.lag)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.epoch != epoch {
		return 0, errNotNow
	}
	if r.err != nil {
		return 0, r.err
	}
	for _, c := range changes {
		sign := "-"
		if c.Online {
			sign = "+"
		}
		line := fmt.Sprintf("%s%s %d", sign, c.UID, c.Connections)
		if c.Trails {
			line += " trail"
		}
		if c.Cause != "" {
			line += " " + c.Cause
		}
		r.lines, r.last = append(r.lines, line), c
	}
	r.at++
	at := r.at
	if r.late >= 0 {
		r.tasks.Go(func() {
			time.Sleep(r.late)
			r.hub.Reached(at)
		})
	}
	return at, nil
}

func (r *register) Reachable() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.away
}

func (r *register) set(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

func (r *register) check(want ...string) {
	r.t.Helper()
	if got := r.take(); !slices.Equal(got, want) {
		r.t.Errorf("told %q, want %q", got, want)
	}
}

// checkAny is check in any order.
func (r *register) checkAny(want ...string) {
	r.t.Helper()
	got := r.take()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		r.t.Errorf("told %q, want %q in any order", got, want)
	}
}

func (r *register) take() []string {
	time.Sleep(time.Second) // of the bubble: a tick, and a pause after an error
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	lines := r.lines
	r.lines = nil
	return lines
}

// forget has it know nothing any more, not even what it is being told.
func (r *register) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = nil
	r.epoch++
}

// inRegister runs f with a hub that has an Attendance, under a clock of its own.
func inRegister(t *testing.T, o Options, r *register, f func(t *testing.T, h *Hub, r *register)) {
	synctest.Test(t, func(t *testing.T) {
		r.t = t
		o.Attendance, o.PresenceTick = r, time.Millisecond
		h := newHub(t, o)
		r.hub = h
		f(t, h, r)
		if err := h.Close(t.Context()); err != nil {
			t.Error(err)
		}
		r.tasks.Wait()
	})
}

func TestAttendanceIsToldOfConnections(t *testing.T) {
	o := Options{OfflineDelay: 3 * time.Second, Recovery: &Recovery{Window: time.Minute, MaxMessages: 10, MaxBytes: 1 << 20}}
	inRegister(t, o, &register{}, func(t *testing.T, h *Hub, r *register) {
		a, _ := join(t, h, "a", "u")
		r.check("+u 1")
		b, _ := join(t, h, "b", "u")
		r.check("+u 2")
		track := func(m *Member) {
			t.Helper()
			if err := m.Track(func(Beginning) error { return nil }); err != nil {
				t.Fatal(err)
			}
		}
		track(b)
		r.check("+u 2 trail")
		c := connect(t, h, &fakeConn{id: "c"})
		track(c)
		if err := c.Login("v"); err != nil {
			t.Fatal(err)
		}
		r.check("+v 1 trail")
		b.Gone()
		r.check("+u 1 trail") // for those who are away
		a.Logout()
		r.check("+u 0 trail") // online still
		if err := a.Login("u"); err != nil {
			t.Fatal(err)
		}
		r.check("+u 1 trail")
		a.Gone()
		r.check("+u 0 trail")
		<-time.After(3 * time.Second)
		r.check("-u 0 trail disconnect")
		join(t, h, "d", "u")
		r.check("+u 1")
		h.Drain()
		c.Gone()
		<-time.After(time.Minute)
		r.check("+v 0 trail")
	})
}

func TestLoginWaitsForAttendance(t *testing.T) {
	for _, tc := range []struct {
		what       string
		r          *register
		first, too time.Duration // how long a first login takes, and another one of that user
	}{
		{"as long as it takes", &register{lag: 20 * time.Millisecond, late: 30 * time.Millisecond}, 50 * time.Millisecond, 0},
		{"a second at most for what was before", &register{late: -1}, time.Second, time.Second},
		{"a second at most for an answer", &register{lag: time.Minute}, time.Second, time.Second},
		{"not at all", &register{away: true, err: errNotNow}, 0, 0},
	} {
		t.Run(tc.what, func(t *testing.T) {
			inRegister(t, Options{}, tc.r, func(t *testing.T, h *Hub, _ *register) {
				for i, want := range []time.Duration{tc.first, tc.too} {
					began := time.Now()
					join(t, h, fmt.Sprint("c", i), "u")
					if took := time.Since(began); took != want {
						t.Errorf("the login took %v, want %v", took, want)
					}
					synctest.Wait()
				}
			})
		})
	}
}

// A user whose last connection goes just when another one comes: that login waits for what says so, not for the one before.
func TestLoginWhileLeaving(t *testing.T) {
	inRegister(t, Options{OfflineDelay: time.Second}, &register{lag: 100 * time.Millisecond}, func(t *testing.T, h *Hub, r *register) {
		a, _ := join(t, h, "a", "u")
		a.Gone()
		time.Sleep(50 * time.Millisecond) // the register is being told that there is nobody
		join(t, h, "b", "u")
		r.mu.Lock()
		last := r.lines[len(r.lines)-1]
		r.mu.Unlock()
		if last != "+u 1" {
			t.Errorf("logged in when the last that was told is %q", last)
		}
		r.check("+u 1", "+u 0", "+u 1")
	})
}

func TestAttendanceFails(t *testing.T) {
	inRegister(t, Options{OfflineDelay: time.Second}, &register{}, func(t *testing.T, h *Hub, r *register) {
		stays, _ := join(t, h, "a", "stays")
		leaves, _ := join(t, h, "b", "leaves")
		r.check("+stays 1", "+leaves 1")
		r.set(errNotNow)
		leaves.Gone()
		visit, _ := join(t, h, "c", "visits")
		visit.Gone()
		join(t, h, "d", "comes")
		<-time.After(time.Minute)
		r.set(nil)
		r.check("-leaves 0 disconnect", "+comes 1")
		stays.Gone()
		<-time.After(time.Second)
		r.check("+stays 0", "-stays 0 disconnect")
	})
}

// When all is to be told once more, it is of those who are there; of who is not, only that he has gone.
func TestRelist(t *testing.T) {
	inRegister(t, Options{OfflineDelay: time.Minute}, &register{lag: 10 * time.Millisecond}, func(t *testing.T, h *Hub, r *register) {
		join(t, h, "a", "stays")
		b, _ := join(t, h, "b", "waits")
		c, _ := join(t, h, "c", "leaves")
		r.check("+stays 1", "+waits 1", "+leaves 1")
		b.Gone()
		r.check("+waits 0")
		h.Relist()
		r.checkAny("+stays 1", "+leaves 1")

		// While it is being told of something.
		c.Gone()
		time.Sleep(5 * time.Millisecond)
		h.Relist()
		r.check("+leaves 0", "+stays 1")
		d, _ := join(t, h, "d", "waits")
		r.check("+waits 1")
		d.Gone()
		<-time.After(2 * time.Minute)
		r.check("+waits 0", "-leaves 0 disconnect", "-waits 0 disconnect")
	})
}

// Who is told of once more has come anew, if he had gone in the Attendance's eyes: not before he had.
func TestRelistTime(t *testing.T) {
	inRegister(t, Options{}, &register{}, func(t *testing.T, h *Hub, r *register) {
		join(t, h, "a", "stays")
		r.check("+stays 1")
		<-time.After(time.Minute)
		given := time.Now()
		h.Relist()
		r.check("+stays 1")
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.last.Time.Before(given) {
			t.Errorf("he came %v before he was given up", given.Sub(r.last.Time))
		}
	})
}

// Many who come and go at once, with an observer that fails and forgets: in the end it knows who is there.
func TestAttendanceStress(t *testing.T) {
	inRegister(t, Options{OfflineDelay: 5 * time.Millisecond}, &register{lag: 700 * time.Microsecond}, func(t *testing.T, h *Hub, r *register) {
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				for n := range 50 {
					m, _ := join(t, h, fmt.Sprint(i, "-", n), fmt.Sprint("u", (i+n)%7))
					time.Sleep(time.Duration(n%5) * time.Millisecond)
					switch {
					case i == 0 && n%10 == 5:
						r.forget()
						time.Sleep(time.Millisecond)
						h.Relist()
					case i == 1:
						r.set(map[bool]error{true: errNotNow}[n%10 == 5])
					}
					if i != 3 || n < 49 {
						m.Gone()
					}
				}
			})
		}
		all.Wait()
		r.set(nil)
		<-time.After(10 * time.Second)
		synctest.Wait()
		online := map[string]string{}
		for _, line := range r.lines {
			var sign rune
			var uid string
			var n int
			if _, err := fmt.Sscanf(line, "%c%s %d", &sign, &uid, &n); err != nil {
				t.Fatal(line, err)
			}
			if online[uid] = fmt.Sprint(n); sign == '-' {
				delete(online, uid)
			}
		}
		if len(online) != 1 || online["u3"] != "1" { // (3+49)%7
			t.Errorf("in the end it knows of %v, want u3 alone", online)
		}
	})
}
