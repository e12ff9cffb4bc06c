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
	"testing/synctest"
	"time"
)

// recorder is an observer that keeps what it is told and checks what must hold of every sequence of changes.
type recorder struct {
	t testing.TB

	mu      sync.Mutex
	start   time.Time
	changes []PresenceChange
	online  map[string]bool
	version uint64
	last    map[string]time.Time
}

func newRecorder(t testing.TB) *recorder {
	return &recorder{t: t, start: time.Now(), online: make(map[string]bool), last: make(map[string]time.Time)}
}

func (r *recorder) observe(changes []PresenceChange) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range changes {
		r.note(c)
	}
	return nil
}

func (r *recorder) note(c PresenceChange) {
	if r.online[c.UID] == c.Online {
		r.t.Errorf("%+v does not alternate", c)
	}
	if c.Version <= r.version || c.Version < uint64(r.start.UnixMicro()) {
		r.t.Errorf("%+v has no version above %d", c, r.version)
	}
	if c.Online && (c.Connections < 1 || c.Cause != "") || !c.Online && (c.Connections != 0 || c.Cause == "") {
		r.t.Errorf("%+v has the wrong number of connections or the wrong cause", c)
	}
	if c.Time.Before(r.last[c.UID]) {
		r.t.Errorf("%+v is before the user's last change", c)
	}
	r.online[c.UID], r.version, r.last[c.UID] = c.Online, c.Version, c.Time
	r.changes = append(r.changes, c)
}

// take returns what has been told since the last call, as "0s +alice" or "3s -alice disconnect".
func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, c := range r.changes {
		if c.Online {
			out = append(out, fmt.Sprintf("%s +%s", c.Time.Sub(r.start), c.UID))
		} else {
			out = append(out, fmt.Sprintf("%s -%s %s", c.Time.Sub(r.start), c.UID, c.Cause))
		}
	}
	r.changes = nil
	return out
}

func (r *recorder) check(want ...string) {
	r.t.Helper()
	synctest.Wait()
	if got := r.take(); !slices.Equal(got, want) {
		r.t.Errorf("told %q, want %q", got, want)
	}
}

// inBubble runs f with a hub whose presence is recorded, under a clock of its own, and closes the hub in the end.
func inBubble(t *testing.T, delay time.Duration, f func(t *testing.T, h *Hub, r *recorder)) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder(t)
		h, err := New(Options{OfflineDelay: delay, Presence: r.observe})
		if err != nil {
			t.Fatal(err)
		}
		f(t, h, r)
		if err := h.Close(context.Background()); err != nil {
			t.Error(err)
		}
		for uid, online := range r.online {
			if online {
				t.Errorf("user %q was left online", uid)
			}
		}
	})
}

// Each script is a list of steps: "+c uid" connects c and logs in, "-c" is gone, "!c" logs out, "=c uid" logs in again, a
// duration passes.
func TestPresence(t *testing.T) {
	for _, tc := range []struct {
		what, script string
		delay        time.Duration
		want         []string
	}{
		{"come and go", "+a u,1s,-a,10s", 3 * time.Second, []string{"0s +u", "4s -u disconnect"}},
		{"still waiting", "+a u,1s,-a,2999ms", 3 * time.Second, []string{"0s +u"}},
		{"logout", "+a u,!a,10s", 3 * time.Second, []string{"0s +u", "3s -u logout"}},
		{"page refresh", "+a u,1s,-a,1s,+b u,10s", 3 * time.Second, []string{"0s +u"}},
		{"back at the last moment", "+a u,-a,2999ms,+b u,10s", 3 * time.Second, []string{"0s +u"}},
		{"back too late", "+a u,-a,4s,+b u,10s", 3 * time.Second, []string{"0s +u", "3s -u disconnect", "4s +u"}},
		{"the delay starts anew", "+a u,-a,2s,+b u,-b,2s,+c u,!c,2s,10s", 3 * time.Second, []string{"0s +u", "7s -u logout"}},
		{"two tabs", "+a u,+b u,-a,10s,-b,10s", 3 * time.Second, []string{"0s +u", "13s -u disconnect"}},
		{"the last one says why", "+a u,+b u,-a,1s,!b,10s", 3 * time.Second, []string{"0s +u", "4s -u logout"}},
		{"another user on the connection", "+a u,1s,!a,=a v,10s", 3 * time.Second, []string{"0s +u", "1s +v", "4s -u logout"}},
		{"logout and login again", "+a u,1s,!a,1s,=a u,10s", 3 * time.Second, []string{"0s +u"}},
		{"second login changes nothing", "+a u,=a v,10s", 3 * time.Second, []string{"0s +u"}},
		{"gone before anybody was told", "+a u,-a,10s", 3 * time.Second, []string{"0s +u", "3s -u disconnect"}},
		{
			"each in turn", "+a u,+b v,+c w,1s,-a,1s,-b,1s,-c,10s", 3 * time.Second,
			[]string{"0s +u", "0s +v", "0s +w", "4s -u disconnect", "5s -v disconnect", "6s -w disconnect"},
		},
		{
			"the middle one is back", "+a u,+b v,+c w,-a,1s,-b,1s,-c,=c x,+d v,10s", 3 * time.Second,
			[]string{"0s +u", "0s +v", "0s +w", "3s -u disconnect", "5s -w disconnect"},
		},
		{"first and last are back", "+a u,+b v,+c w,-a,-b,-c,1s,+d u,+e w,10s", 3 * time.Second, []string{"0s +u", "0s +v", "0s +w", "3s -v disconnect"}},
		{"no delay", "+a u,1s,-a,1s,+b u,1s", 0, []string{"0s +u", "1s -u disconnect", "2s +u"}},
		{"no delay, at once", "+a u,-a,1s", 0, []string{"0s +u", "0s -u disconnect"}},
	} {
		t.Run(tc.what, func(t *testing.T) {
			inBubble(t, tc.delay, func(t *testing.T, h *Hub, r *recorder) {
				runScript(t, h, tc.script)
				r.check(tc.want...)
				checkIndexes(t, h)
			})
		})
	}
}

func runScript(t *testing.T, h *Hub, script string) {
	t.Helper()
	members := make(map[string]*Member)
	for step := range strings.SplitSeq(script, ",") {
		name, uid, _ := strings.Cut(step[1:], " ")
		switch step[0] {
		case '+':
			members[name], _ = join(t, h, name, uid)
		case '-':
			members[name].Gone()
		case '!':
			members[name].Logout()
		case '=':
			if err := members[name].Login(uid); err != nil && !errors.Is(err, ErrGone) {
				t.Fatalf("%s: %v", step, err)
			}
		default:
			d, err := time.ParseDuration(step)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			<-time.After(d)
			synctest.Wait()
		}
	}
}

func TestOnlineTellsHowManyConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []PresenceChange
		gate := make(chan struct{})
		h := newHub(t, Options{Presence: func(cs []PresenceChange) error {
			got = append(got, cs...)
			<-gate
			return nil
		}})
		blocker, _ := join(t, h, "blocker", "blocker")
		synctest.Wait() // the observer is busy
		a, _ := join(t, h, "a", "u")
		b, _ := join(t, h, "b", "u")
		c, _ := join(t, h, "c", "v")
		c.Gone()
		close(gate)
		synctest.Wait()
		a.Gone()
		b.Gone()
		blocker.Gone()
		synctest.Wait()
		var told []string
		for _, c := range got {
			told = append(told, fmt.Sprintf("%s %v %d", c.UID, c.Online, c.Connections))
		}
		want := []string{"blocker true 1", "u true 2", "v true 1", "v false 0", "u false 0", "blocker false 0"}
		if !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
		checkEmpty(t, h)
	})
}

// While the observer is busy, a storm of one user's logins and logouts ends in nothing, and the queues do not grow.
func TestStormCoalesces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder(t)
		gate := make(chan struct{})
		h := newHub(t, Options{OfflineDelay: time.Second, Presence: func(cs []PresenceChange) error {
			err := r.observe(cs)
			<-gate
			return err
		}})
		m, _ := join(t, h, "c", "u")
		other, _ := join(t, h, "d", "")
		synctest.Wait()
		for range 1000 {
			m.Logout()
			if err := other.Login("v"); err != nil {
				t.Fatal(err)
			}
			<-time.After(2 * time.Second) // longer than the delay, but nobody has been told
			other.Logout()
			if err := m.Login("u"); err != nil {
				t.Fatal(err)
			}
		}
		h.presence.mu.Lock()
		arrivals, departures := len(h.presence.arrivals), 0
		for d := h.presence.leaving.head; d != nil; d = d.next {
			departures++
		}
		h.presence.mu.Unlock()
		if arrivals != 1 || departures != 1 {
			t.Errorf("%d arrivals and %d departures wait, want 1 and 1", arrivals, departures)
		}
		close(gate)
		r.check("0s +u", "0s +v")
		<-time.After(2 * time.Second)
		r.check("33m21s -v logout")
		m.Gone()
		<-time.After(2 * time.Second)
		r.check("33m23s -u disconnect")
		other.Gone()
		checkEmpty(t, h)
	})
}

func TestObserverMayUseTheHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h *Hub
		var online []bool
		h = newHub(t, Options{Presence: func(cs []PresenceChange) error {
			for _, c := range cs {
				online = append(online, h.Online(c.UID))
			}
			push(t, h, "online count", Audience{All: true})
			return nil
		}})
		_, watcher := join(t, h, "w", "")
		m, _ := join(t, h, "c", "u")
		synctest.Wait()
		m.Gone()
		synctest.Wait()
		if !slices.Equal(online, []bool{true, false}) || len(watcher.take()) != 2 {
			t.Errorf("online was %v, want true, false", online)
		}
	})
}

func TestCloseFlushes(t *testing.T) {
	for _, tc := range []struct {
		what, script string
		want         []string
	}{
		{"nobody", "1s", nil},
		{"connected", "+a u,1s", []string{"0s +u", "1s -u shutdown"}},
		{"not yet told", "+a u", []string{"0s +u", "0s -u shutdown"}},
		{"lost less than the delay ago", "+a u,1s,-a,1s", []string{"0s +u", "2s -u shutdown"}},
		{"logged out less than the delay ago", "+a u,1s,!a,1s", []string{"0s +u", "2s -u logout"}},
		{"back", "+a u,1s,-a,1s,+b u,1s", []string{"0s +u", "3s -u shutdown"}},
		{"long gone", "+a u,-a,10s", []string{"0s +u", "3s -u disconnect"}},
		{"long logged out", "+a u,!a,10s", []string{"0s +u", "3s -u logout"}},
	} {
		t.Run(tc.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRecorder(t)
				h := newHub(t, Options{OfflineDelay: 3 * time.Second, Presence: r.observe})
				runScript(t, h, tc.script)
				for range 2 {
					if err := h.Close(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				r.check(tc.want...)
				for _, m := range h.indexes.everybody.appendTo(nil) {
					m.Gone()
				}
				<-time.After(time.Minute)
				r.check()
				checkEmpty(t, h)
			})
		})
	}
}

func TestCloseGivesUpWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r := newRecorder(t)
		hung := make(chan struct{})
		h, err := New(Options{
			OfflineDelay: time.Second,
			Logger:       slog.New(slog.NewTextHandler(&log, nil)),
			Presence: func(cs []PresenceChange) error {
				if !cs[0].Online {
					<-hung
					return errors.New("too late")
				}
				return r.observe(cs)
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, uid := range []string{"u", "v", "w"} {
			join(t, h, "c-"+uid, uid)
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		err = h.Close(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errUnreported) || time.Since(start) != 10*time.Second {
			t.Errorf("Close = %v after %s", err, time.Since(start))
		}
		close(hung)
		if err := h.Close(t.Context()); !errors.Is(err, errUnreported) {
			t.Errorf("Close once the observer has returned = %v, want that some were not reported", err)
		}
		if got := r.take(); len(got) != 3 || !strings.Contains(log.String(), "users=3") {
			t.Errorf("told %q, want no offline change; log: %s", got, log.String())
		}
	})
}

func TestCloseGivesUpWhileChangesWait(t *testing.T) {
	for _, script := range []string{"+b v,+c w", "-a,+b u,-b"} {
		t.Run(script, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRecorder(t)
				hung := make(chan struct{})
				h, err := New(Options{Presence: func(cs []PresenceChange) error {
					err := r.observe(cs)
					<-hung
					return err
				}})
				if err != nil {
					t.Fatal(err)
				}
				join(t, h, "first", "first")
				synctest.Wait()
				runScript(t, h, "+a u,"+script)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if err := h.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Close = %v", err)
				}
				close(hung)
				if err := h.Close(t.Context()); !errors.Is(err, errUnreported) {
					t.Errorf("Close once the observer has returned = %v, want that some were not reported", err)
				}
				r.check("0s +first")
			})
		})
	}
}

func TestVersionsNeverFallBehindTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []PresenceChange
		h := newHub(t, Options{Presence: func(cs []PresenceChange) error {
			got = append(got, cs...)
			return nil
		}})
		for i := range 50 { // the bubble's clock stands still: versions must grow all the same
			m, _ := join(t, h, fmt.Sprintf("c%d", i), "u")
			synctest.Wait()
			m.Gone()
			synctest.Wait()
		}
		<-time.After(time.Hour)
		join(t, h, "late", "u")
		synctest.Wait()
		if len(got) != 101 {
			t.Fatalf("%d changes, want 101", len(got))
		}
		for i := 1; i < len(got); i++ {
			if got[i].Version <= got[i-1].Version {
				t.Fatalf("version %d after %d", got[i].Version, got[i-1].Version)
			}
		}
		if last := got[100]; last.Version < uint64(last.Time.UnixMicro()) {
			t.Errorf("version %d is behind the clock at %d", last.Version, last.Time.UnixMicro())
		}
	})
}
