package hub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var errFull = errors.New("no space left")

// Who was online before a restart and comes back in time causes no change; who does not is reported offline.
func TestRestartGrace(t *testing.T) {
	for _, tc := range []struct {
		what, script string
		online       []string
		want         []string
	}{
		{"nobody is back", "2m", []string{"u", "v"}, []string{"1m0s -u restart", "1m0s -v restart"}},
		{"back in time", "59s,+a u,2m", []string{"u", "v"}, []string{"1m0s -v restart"}},
		{"back at once and gone", "+a u,1s,-a,2m", []string{"u"}, []string{"4s -u disconnect"}},
		{"logged out", "+a u,1s,!a,2m", []string{"u"}, []string{"4s -u logout"}},
		{"back too late", "61s,+a u,2m", []string{"u"}, []string{"1m0s -u restart", "1m1s +u"}},
		{"others come and go meanwhile", "+a x,1s,-a,2m", []string{"u"}, []string{"0s +x", "4s -x disconnect", "1m0s -u restart"}},
		{"nobody was online", "+a x,2m", nil, []string{"0s +x"}},
		{"named twice", "2m", []string{"u", "u"}, []string{"1m0s -u restart"}},
	} {
		t.Run(tc.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRecorder(t)
				for _, uid := range tc.online {
					r.online[uid] = true
				}
				h := newHub(t, Options{
					OfflineDelay: 3 * time.Second, Presence: r.observe,
					Restart: &Restart{Online: tc.online, Grace: time.Minute},
				})
				for _, uid := range tc.online {
					if h.Online(uid) {
						t.Errorf("%s counts as connected", uid)
					}
				}
				<-time.After(time.Hour) // a slow start
				r.start = time.Now()
				r.check()
				h.Open()
				runScript(t, h, tc.script)
				r.check(tc.want...)
			})
		})
	}
}

// With an observer that remembers, a stop reports nobody offline: neither who is connected, nor who loses the connection
// because of it, nor who has lost it less than the delay ago.
func TestStopOwesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder(t)
		h := newHub(t, Options{OfflineDelay: 3 * time.Second, Presence: r.observe, Restart: &Restart{Grace: time.Minute}})
		a, _ := join(t, h, "a", "connected")
		b, _ := join(t, h, "b", "lost")
		c, _ := join(t, h, "c", "left before")
		c.Gone()
		pass := func(d time.Duration) { <-time.After(d); synctest.Wait() }
		pass(2 * time.Second)
		h.Drain()
		b.Gone()
		pass(10 * time.Second) // a stop that takes longer than the delay
		d, _ := join(t, h, "d", "new")
		if err := h.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.check("0s +connected", "0s +lost", "0s +left before", "12s +new")
		a.Gone()
		d.Gone()
		pass(time.Hour)
		r.check()
		checkEmpty(t, h)
	})
}

// Versions grow though the clock was set back.
func TestVersionsGrowWithTheClockSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ahead := uint64(time.Now().Add(1000 * time.Hour).UnixMicro())
		var got []uint64
		h := newHub(t, Options{Restart: &Restart{Version: ahead}, Presence: func(cs []PresenceChange) error {
			for _, c := range cs {
				got = append(got, c.Version)
			}
			return nil
		}})
		join(t, h, "a", "u")
		join(t, h, "b", "v")
		synctest.Wait()
		if len(got) != 2 || got[0] != ahead+1 || got[1] != ahead+2 {
			t.Errorf("versions %d, want them behind %d", got, ahead)
		}
	})
}

// While the observer fails, changes are kept, once per user, and those that cancel out are not told; then all is told.
func TestObserverFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r := newRecorder(t)
		var err error
		tries := 0
		h := newHub(t, Options{
			OfflineDelay: 3 * time.Second,
			Logger:       slog.New(slog.NewTextHandler(&log, nil)),
			Presence: func(cs []PresenceChange) error {
				tries++
				if err != nil {
					return err
				}
				return r.observe(cs)
			},
		})
		pass := func(d time.Duration) { <-time.After(d); synctest.Wait() }
		stays, _ := join(t, h, "stays", "stays")
		leaves, _ := join(t, h, "leaves", "leaves")
		returns, _ := join(t, h, "returns", "returns")
		synctest.Wait()
		r.check("0s +stays", "0s +leaves", "0s +returns")
		h.presence.mu.Lock() // orders err
		err = errFull
		h.presence.mu.Unlock()
		before := tries
		leaves.Gone()
		returns.Gone()
		pass(time.Minute) // both would be offline
		join(t, h, "returns again", "returns")
		join(t, h, "comes", "comes")
		for i := range 1000 { // visits that nobody is told of
			m, _ := join(t, h, "visit", fmt.Sprint("visitor ", i))
			m.Gone()
			if i%100 == 0 {
				pass(10 * time.Second)
			}
		}
		pass(time.Hour)
		if n := tries - before; n < 300 || n > 1000 {
			t.Errorf("%d tries in an hour", n)
		}
		h.presence.mu.Lock()
		err = nil
		users := 0
		for i := range h.indexes.users {
			users += len(h.indexes.users[i].byUID)
		}
		h.presence.mu.Unlock()
		if users != 4 {
			t.Errorf("%d users are held, want 4", users)
		}
		pass(10 * time.Second)
		r.check("3s -leaves disconnect", "1m0s +comes")
		stays.Gone()
		pass(5 * time.Second)
		if got := r.take(); len(got) != 1 || !strings.HasSuffix(got[0], "-stays disconnect") {
			t.Errorf("told %q", got)
		}
		if n := strings.Count(log.String(), "could not be stored"); n < 55 || n > 70 || strings.Count(log.String(), "is stored again") != 1 {
			t.Errorf("%d lines in an hour; log %s", n, log.String())
		}
	})
}

// Thousands who come back at once are reported in a few calls, and not more often than once a tick.
func TestBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const crowd = 15_000
		var sizes []int
		var at []time.Duration
		start := time.Now()
		h := newHub(t, Options{OfflineDelay: time.Second, PresenceTick: 50 * time.Millisecond, Presence: func(cs []PresenceChange) error {
			sizes = append(sizes, len(cs))
			at = append(at, time.Since(start))
			return nil
		}})
		join(t, h, "first", "first")
		synctest.Wait()
		if len(sizes) != 1 || at[0] != 0 {
			t.Errorf("a single login is told %v", at)
		}
		members := make([]*Member, crowd)
		for i := range members {
			members[i], _ = join(t, h, fmt.Sprint("c", i), fmt.Sprint("u", i))
		}
		<-time.After(time.Second)
		for _, m := range members {
			m.Gone()
		}
		<-time.After(2 * time.Second)
		synctest.Wait()
		if fmt.Sprint(sizes) != "[1 10000 5000 10000 5000]" {
			t.Errorf("batches of %v", sizes)
		}
		for i := 1; i < len(at); i++ {
			if at[i]-at[i-1] < 50*time.Millisecond {
				t.Errorf("calls at %v", at)
			}
		}
	})
}

// A stop asks an observer that remembers once more, and waits for one that does not.
func TestCloseWhileTheObserverFails(t *testing.T) {
	for _, remembers := range []bool{true, false} {
		t.Run(fmt.Sprint("remembers ", remembers), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := Options{Presence: func([]PresenceChange) error { return errFull }}
				if remembers {
					o.Restart = &Restart{}
				}
				h, err := New(o)
				if err != nil {
					t.Fatal(err)
				}
				m, _ := join(t, h, "c", "u")
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				began := time.Now()
				err = h.Close(ctx)
				if took := time.Since(began); remembers && (err != nil || took != 0) || !remembers && (!errors.Is(err, errUnreported) || took != 5*time.Second) {
					t.Errorf("Close = %v after %v", err, took)
				}
				m.Gone()
				synctest.Wait()
				checkEmpty(t, h)
			})
		})
	}
}

func TestBadPresenceOptions(t *testing.T) {
	for _, o := range []Options{{PresenceTick: -1}, {Restart: &Restart{Grace: -1}}} {
		if h, err := New(o); err == nil {
			t.Errorf("%+v was taken", o)
			if err := h.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
}

// After a restart, too, what a client has got of what is stored is known by the offset that it comes back with, and is not given
// again; also when the log, before the restart, had begun to forget.
func TestRestartKnowsWhatIsConfirmed(t *testing.T) {
	o := recoveryOptions()
	o.MaxMessages = 2
	h, inbox := inboxHub(t, Options{Recovery: o})
	c := &pageConn{t: t, id: "c", most: 100}
	m := connect(t, h, c)
	if err := m.Login("42"); err != nil {
		t.Fatal(err)
	}
	var b Beginning
	if err := m.Track(func(given Beginning) error { b = given; return nil }); err != nil {
		t.Fatal(err)
	}
	offset := ""
	c.stamp = func(m *Message) string { offset = m.Offset(); return offset }
	for i := range 3 {
		push(t, h, fmt.Sprint("m", i), user1("42"))
	}
	store(t, h, "stored", user1("42"))
	until(t, func() bool { return c.waiting() > 3 }) // it has it, and has not confirmed it
	m.Away(nil)
	if err := h.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	var records [][]byte
	if err := h.SaveRecovery(func(r []byte) error { records = append(records, r); return nil }); err != nil {
		t.Fatal(err)
	}
	o.Restore = func(fn func([]byte) error) error {
		for _, r := range records {
			if err := fn(r); err != nil {
				return err
			}
		}
		return nil
	}
	h = newHub(t, Options{Recovery: o, Inbox: inbox})
	p := h.Claim(b.PID, offset)
	if p == nil {
		t.Fatal("it is not recovered")
	}
	next := &pageConn{t: t, id: p.ID(), most: 100, absent: true}
	m = connect(t, h, next)
	begin := func(Beginning) error {
		next.mu.Lock()
		defer next.mu.Unlock()
		next.absent = false
		return nil
	}
	if err := m.Recover(p, begin); err != nil {
		t.Fatal(err)
	}
	m.Ready()
	until(t, func() bool { return len(inbox.ids("42")) == 0 })
	next.await()
}
