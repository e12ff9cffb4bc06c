package engineio_test

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"crier/io/engineio"
)

// confirm asks for a confirmation and writes what is told of it to the channel.
func confirm(s *engineio.Session) <-chan string {
	told := make(chan string, 3)
	s.Confirm(func() { told <- "taken" }, func(ok bool) {
		if ok {
			told <- "arrived"
		} else {
			told <- "lost"
		}
	})
	return told
}

// wantOpen checks that nothing has been told yet.
func wantOpen(t testing.TB, told <-chan string) {
	t.Helper()
	synctest.Wait()
	select {
	case got := <-told:
		t.Fatalf("%q too early", got)
	default:
	}
}

// pong answers the ping of the WebSocket protocol that comes next.
func (s *socket) pong() {
	s.t.Helper()
	text, ok := strings.CutPrefix(next(s.t, s.got), "ping ")
	payload, err := hex.DecodeString(text)
	if err != nil || !ok {
		s.t.Fatalf("no ping: %q %v", text, err)
	}
	s.write(ws.MaskFrame(ws.NewPongFrame(payload)))
}

// A client of revision 4 answers each ping, in order.
func TestPongConfirms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, false, engineio.Options{})
		rc, s := r.connect(ws4)
		send(t, rc.session, "one")
		one := confirm(rc.session)
		send(t, rc.session, "two")
		two := confirm(rc.session)
		want(t, s.got, "4one", "2", "4two", "2")
		wantOpen(t, one)
		s.send("4hello") // is no answer
		want(t, rc.events, "text hello")
		wantOpen(t, one)
		s.send("3")
		want(t, one, "arrived")
		wantOpen(t, two)
		s.send("3")
		want(t, two, "arrived")
		s.send("3") // answers nothing
		synctest.Wait()
		three := confirm(rc.session)
		want(t, s.got, "2")
		wantOpen(t, three)
		s.send("1")
		want(t, three, "lost")
		want(t, confirm(rc.session), "lost")
	})
}

// The pings of confirmations do not stand in for those of the heartbeat, nor the other way round.
func TestConfirmBesideTheHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, false, engineio.Options{})
		rc, s := r.connect(ws4)
		early := confirm(rc.session)
		want(t, s.got, "2")
		time.Sleep(25*time.Second + late)
		want(t, s.got, "2") // the heartbeat's
		behind := confirm(rc.session)
		want(t, s.got, "2")
		s.send("3")
		want(t, early, "arrived")
		wantOpen(t, behind)
		s.send("3") // the heartbeat's
		wantOpen(t, behind)
		s.send("3")
		want(t, behind, "arrived")
		// It beats on: the next ping is due 25 s after the answer.
		time.Sleep(25*time.Second + late)
		want(t, s.got, "2")
		// Who answers a confirmation is alive, but its heartbeat is still owed.
		time.Sleep(19 * time.Second)
		told := confirm(rc.session)
		want(t, s.got, "2")
		wantOpen(t, told)
		want(t, rc.events, "closed: ping timeout")
		want(t, told, "lost")
	})
}

// A client of revision 3 answers no ping; its platform does, and it says something itself sooner or later.
func TestPacketAfterAPongConfirms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, false, engineio.Options{})
		rc, s := r.connect(ws3)
		send(t, rc.session, "one")
		one := confirm(rc.session)
		want(t, s.got, "4one")
		s.send("4early") // may have been sent before it had the message
		want(t, rc.events, "text early")
		wantOpen(t, one)
		s.pong()
		want(t, one, "taken")
		wantOpen(t, one)
		two := confirm(rc.session)
		three := confirm(rc.session)
		four := confirm(rc.session)
		s.send("2") // as every 25 s at the latest
		want(t, one, "arrived")
		wantOpen(t, two)
		// A pong may be for several pings (RFC 6455, 5.5.3).
		next(t, s.got)
		s.pong()
		want(t, two, "taken")
		want(t, three, "taken")
		wantOpen(t, four)
		s.send("4hello")
		want(t, two, "arrived")
		want(t, three, "arrived")
		wantOpen(t, four)
	})
}

// Pongs that nobody asked for confirm nothing.
func TestForgedPongs(t *testing.T) {
	for _, payload := range []string{"", "\x00", "\x00\x00\x00\x01", "\xff\xff\xff\xff", "\x00\x00\x00\x00\x00"} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, false, engineio.Options{})
			rc, s := r.connect(ws3)
			s.write(ws.MaskFrame(ws.NewPongFrame([]byte("\x00\x00\x00\x00"))))
			synctest.Wait()
			told := confirm(rc.session)
			s.write(ws.MaskFrame(ws.NewPongFrame([]byte(payload))))
			s.send("2")
			wantOpen(t, told)
			if ping := next(t, s.got); ping != "ping 00000000" {
				t.Fatalf("got %q", ping)
			}
			s.send("2")
			wantOpen(t, told)
		})
	}
}

// What ends a session tells those who wait, from no lock of a sender.
func TestConfirmOfALostSession(t *testing.T) {
	for name, end := range map[string]func(*rig, *receiver, *socket){
		"server":   func(_ *rig, rc *receiver, _ *socket) { rc.session.Close() },
		"overflow": func(_ *rig, rc *receiver, _ *socket) { rc.session.Overflow() },
		"client": func(r *rig, _ *receiver, s *socket) {
			if err := s.conn.Close(); err != nil {
				r.t.Error(err)
			}
		},
		"shutdown": func(r *rig, _ *receiver, _ *socket) { closeServer(r.t, r.srv) },
		"silence":  func(*rig, *receiver, *socket) { time.Sleep(time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, false, engineio.Options{})
				rc, s := r.connect(ws4)
				one, two := confirm(rc.session), confirm(rc.session)
				end(r, rc, s)
				want(t, one, "lost")
				want(t, two, "lost")
				if name == "overflow" {
					want(t, rc.events, "closed: "+string(engineio.SlowConsumer))
				}
			})
		})
	}
}

// What was not polled is confirmed on the WebSocket that the session has moved to, also when it is more than the queue takes.
func TestConfirmAcrossAnUpgrade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFakeRig(t, engineio.Options{QueueBytes: 1000, QueueMessages: 3})
		rc, f, s := r.probed("4")
		polled := confirm(rc.session)
		f.set(func() { f.late = 2 })
		for range 6 {
			send(t, rc.session, strings.Repeat("x", 300))
		}
		one, two := confirm(rc.session), confirm(rc.session)
		rc.session.Arrived(f, 0)
		wantOpen(t, polled)
		s.send("5")
		for range 6 {
			want(t, s.got, "4"+strings.Repeat("x", 300))
		}
		want(t, s.got, "2", "2")
		want(t, polled, "arrived")
		rc.session.Arrived(f, 2) // the old transport has no say any more
		wantOpen(t, one)
		s.send("3")
		want(t, one, "arrived")
		s.send("3")
		want(t, two, "arrived")
		if err := rc.session.Receive(f, packet(engineio.Pong, "")); !errors.Is(err, engineio.ErrClosed) {
			t.Errorf("Receive = %v", err)
		}
	})
}
