package engineio_test

import (
	"testing"
	"testing/synctest"
	"time"

	"crier/io/engineio"
)

// probed opens a session on a fake transport and a WebSocket for it that has
// been probed.
func (r *fakeRig) probed(revision string) (*receiver, *fakeTransport, *socket) {
	r.t.Helper()
	rc, f := r.open("EIO=" + revision + "&transport=polling")
	s := r.ws("EIO=" + revision + "&transport=websocket&sid=" + rc.session.ID())
	s.send("2probe")
	want(r.t, s.got, "3probe")
	synctest.Wait()
	return rc, f, s
}

func TestUpgrade(t *testing.T) {
	for _, revision := range []string{"3", "4"} {
		t.Run(revision, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newFakeRig(t, engineio.Options{})
				rc, f, s := r.probed(revision)
				for _, text := range []string{"one", "two", "three"} {
					send(t, rc.session, text)
				}
				if rc.session.Transport() != "polling" {
					t.Error("moved before the upgrade packet")
				}
				s.send("5")
				s.send("4hello")
				want(t, s.got, "4one", "4two", "4three")
				want(t, rc.events, "text hello")
				if got := r.srv.Stats(); rc.session.Transport() != "websocket" || got.Upgrades != 1 || got.Sessions != 1 {
					t.Errorf("on %s, %+v", rc.session.Transport(), got)
				}
				// The old transport has no say any more.
				rc.session.Fail(f, engineio.TransportError)
				if err := rc.session.Receive(f, packet(engineio.Message, "old")); err == nil {
					t.Error("the old transport is listened to")
				}
				nudges := f.count("nudge")
				send(t, rc.session, "four")
				want(t, s.got, "4four")
				time.Sleep(time.Second)
				if n := f.count("nudge"); n != nudges || f.count("abort")+f.count("close") != 0 {
					t.Errorf("calls %q", f.calls)
				}
				s.send("1")
				want(t, rc.events, "closed: transport close")
			})
		})
	}
}

// A poll that comes after the probe is ended soon, too.
func TestNudges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFakeRig(t, engineio.Options{UpgradeTimeout: time.Second})
		_, f := r.open(eio4)
		time.Sleep(time.Second)
		if n := f.count("nudge"); n != 0 {
			t.Errorf("%d nudges without an upgrade", n)
		}
		_, f, s := r.probed("4")
		if n := f.count("nudge"); n != 1 {
			t.Errorf("%d nudges for the probe", n)
		}
		time.Sleep(510 * time.Millisecond)
		if n := f.count("nudge"); n < 5 || n > 6 {
			t.Errorf("%d nudges in half a second", n)
		}
		time.Sleep(time.Second)
		wantEnd(t, s.got)
		n := f.count("nudge")
		time.Sleep(time.Second)
		if got := f.count("nudge"); got != n {
			t.Errorf("%d nudges after the upgrade timed out", got-n)
		}
	})
}

// Whatever becomes of an upgrade, the session goes on where it was.
func TestFailedUpgrades(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(*rig, *fakeTransport, *socket)
	}{
		{"silence", func(*rig, *fakeTransport, *socket) { time.Sleep(10*time.Second + late) }},
		{"silence after the probe", func(_ *rig, _ *fakeTransport, s *socket) {
			s.send("2probe")
			want(s.t, s.got, "3probe")
			time.Sleep(10*time.Second + late)
		}},
		{"no probe", func(_ *rig, _ *fakeTransport, s *socket) {
			s.send("5")
			want(s.t, s.got, "close 1002")
		}},
		{"wrong probe", func(_ *rig, _ *fakeTransport, s *socket) {
			s.send("2")
			want(s.t, s.got, "close 1002")
		}},
		{"message", func(_ *rig, _ *fakeTransport, s *socket) {
			s.send("4hello")
			want(s.t, s.got, "close 1002")
		}},
		{"close packet", func(_ *rig, _ *fakeTransport, s *socket) {
			s.send("1")
			want(s.t, s.got, "close 1002")
		}},
		{"binary", func(_ *rig, _ *fakeTransport, s *socket) {
			s.sendBinary(5)
			want(s.t, s.got, "close 1002")
		}},
		{"no packet", func(_ *rig, _ *fakeTransport, s *socket) {
			s.send("x")
			want(s.t, s.got, "close 1002")
		}},
		{"a request is being read", func(_ *rig, f *fakeTransport, s *socket) {
			f.set(func() { f.busy = true })
			s.send("2probe")
			want(s.t, s.got, "3probe")
			s.send("5")
			want(s.t, s.got, "close 1002")
		}},
		{"lost", func(r *rig, _ *fakeTransport, s *socket) {
			if err := s.conn.Close(); err != nil {
				r.t.Error(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newFakeRig(t, engineio.Options{PingInterval: time.Hour})
				rc, f := r.open(eio4)
				s := r.ws(ws4 + "&sid=" + rc.session.ID())
				c.do(r.rig, f, s)
				wantEnd(t, s.got)
				synctest.Wait()
				send(t, rc.session, "still here")
				f.wantSent(t, "4still here")
				if err := rc.session.Receive(f, packet(engineio.Message, "hello")); err != nil {
					t.Error(err)
				}
				want(t, rc.events, "text hello")
				if st := r.srv.Stats(); st.Upgrades != 0 || st.Sessions != 1 {
					t.Errorf("%+v", st)
				}
				// The next attempt succeeds.
				f.set(func() { f.busy = false })
				s = r.ws(ws4 + "&sid=" + rc.session.ID())
				s.send("2probe")
				want(t, s.got, "3probe")
				s.send("5")
				synctest.Wait()
				if got := rc.session.Transport(); got != "websocket" {
					t.Errorf("on %s", got)
				}
			})
		})
	}
}

// One WebSocket at a time may be offered to a session, and none once it has moved.
func TestSecondUpgrade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFakeRig(t, engineio.Options{})
		rc, _, s := r.probed("4")
		second := r.ws(ws4 + "&sid=" + rc.session.ID())
		want(t, second.got, "close")
		wantEnd(t, second.got)
		s.send("5")
		synctest.Wait()
		third := r.ws(ws4 + "&sid=" + rc.session.ID())
		want(t, third.got, "close")
		wantEnd(t, third.got)
		s.send("4hello")
		want(t, rc.events, "text hello")
		send(t, rc.session, "hello")
		want(t, s.got, "4hello")

		rc, s = r.connect(ws4)
		never := r.ws(ws4 + "&sid=" + rc.session.ID())
		want(t, never.got, "close")
		send(t, rc.session, "hello")
		want(t, s.got, "4hello")
	})
}

// A session that ends takes the upgrade under way with it.
func TestCloseWhileUpgrading(t *testing.T) {
	for name, end := range map[string]func(*rig, *receiver, *fakeTransport){
		"close":   func(_ *rig, rc *receiver, _ *fakeTransport) { rc.session.Close() },
		"failure": func(_ *rig, rc *receiver, f *fakeTransport) { rc.session.Fail(f, engineio.ForcedClose) },
		"lingers": func(_ *rig, rc *receiver, f *fakeTransport) {
			f.set(func() { f.lingers = true })
			rc.session.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newFakeRig(t, engineio.Options{})
				rc, f, s := r.probed("4")
				end(r.rig, rc, f)
				want(t, rc.events, "closed: forced close")
				wantEnd(t, s.got)
				if n := f.count("handover"); n != 0 {
					t.Errorf("%d handovers", n)
				}
			})
		})
	}
}

// More than the queue of a WebSocket holds is waiting: it is all handed over.
func TestUpgradeWithAFullQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFakeRig(t, engineio.Options{QueueBytes: 100, QueueMessages: 10})
		rc, _, s := r.probed("4")
		for range 50 {
			send(t, rc.session, "0123456789")
		}
		s.send("5")
		for range 50 {
			want(t, s.got, "40123456789")
		}
		synctest.Wait()
		send(t, rc.session, "last")
		want(t, s.got, "4last")
	})
}
