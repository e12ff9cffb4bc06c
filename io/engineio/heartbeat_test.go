package engineio_test

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"crier/io/engineio"
)

// late is how late a time-out can be: two turns of the wheel.
const late = 60 * time.Millisecond

// grid is how late a ping can be besides.
const grid = 250 * time.Millisecond

const (
	eio3 = "EIO=3&transport=polling"
	eio4 = "EIO=4&transport=polling"
)

func packet(t engineio.PacketType, data string) engineio.Packet {
	return engineio.Packet{Type: t, Data: []byte(data)}
}

// wantClosed checks that the session ends for that reason after d.
func wantClosed(t *testing.T, r *rig, rc *receiver, reason engineio.Reason, d time.Duration) {
	t.Helper()
	start := time.Now()
	want(t, rc.events, "closed: "+string(reason))
	if took := time.Since(start); took < d || took > d+late {
		t.Errorf("closed after %v, want %v", took, d)
	}
	if n := r.srv.Stats().Sessions; n != 0 {
		t.Errorf("%d sessions left", n)
	}
}

func TestHeartbeatRevision4(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFakeRig(t, engineio.Options{})
		rc, f := r.open(eio4)
		for range 4 {
			time.Sleep(25*time.Second - time.Millisecond)
			synctest.Wait()
			f.wantSent(t)
			time.Sleep(time.Millisecond + late)
			synctest.Wait()
			f.wantSent(t, "2")
			time.Sleep(19*time.Second - late) // answers late, but in time, and in a whole second
			if err := rc.session.Receive(f, packet(engineio.Pong, "")); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(25*time.Second + late)
		synctest.Wait()
		f.wantSent(t, "2")
		// Messages are no answer.
		if err := rc.session.Receive(f, packet(engineio.Message, "hello")); err != nil {
			t.Fatal(err)
		}
		want(t, rc.events, "text hello")
		wantClosed(t, r.rig, rc, engineio.PingTimeout, 20*time.Second-late)
		if f.count("abort") != 1 {
			t.Error("the transport was not aborted")
		}
	})
}

// Pings of clients that came at different times leave at the same one, not early and at most a hundredth of the interval late.
func TestPingsLeaveTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFakeRig(t, engineio.Options{})
		began := time.Now()
		var clients []*fakeTransport
		for _, at := range []time.Duration{10, 100, 250} {
			time.Sleep(time.Until(began.Add(at * time.Millisecond)))
			_, f := r.open(eio4)
			clients = append(clients, f)
		}
		time.Sleep(time.Until(began.Add(25_249 * time.Millisecond)))
		synctest.Wait()
		for _, f := range clients {
			f.wantSent(t)
		}
		time.Sleep(time.Millisecond + late)
		synctest.Wait()
		for _, f := range clients {
			f.wantSent(t, "2")
		}
	})
}

// The interval is kept also when it is less than the time to answer.
func TestShortInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFakeRig(t, engineio.Options{PingInterval: 5 * time.Second})
		rc, f := r.open(eio4)
		for range 3 {
			time.Sleep(5*time.Second + late)
			synctest.Wait()
			f.wantSent(t, "2")
			time.Sleep(time.Second - late)
			if err := rc.session.Receive(f, packet(engineio.Pong, "")); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// The time-outs are those announced, counted from the handshake.
func TestPingTimeout(t *testing.T) {
	for name, query := range map[string]string{"revision 3": eio3, "revision 4": eio4} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newFakeRig(t, engineio.Options{PingInterval: 300 * time.Millisecond, PingTimeout: 200 * time.Millisecond})
				rc, _ := r.open(query)
				wantClosed(t, r.rig, rc, engineio.PingTimeout, 500*time.Millisecond)
			})
		})
	}
}

// A request does not find a session whose time is over, even before the wheel
// has come round to it.
func TestExpiredSessionIsNotFound(t *testing.T) {
	for name, query := range map[string]string{"revision 3": eio3, "revision 4": eio4} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newFakeRig(t, engineio.Options{PingInterval: 310 * time.Millisecond, PingTimeout: 201 * time.Millisecond})
				rc, _ := r.open(query)
				time.Sleep(510 * time.Millisecond)
				if code := request(r.srv, http.MethodGet, query+"&sid="+rc.session.ID()).Code; code != http.StatusNoContent {
					t.Fatalf("status %d before the end", code)
				}
				time.Sleep(time.Millisecond)
				wantError(t, request(r.srv, http.MethodGet, query+"&sid="+rc.session.ID()), engineio.UnknownSession)
				want(t, rc.events, "closed: ping timeout")
			})
		})
	}
}

func TestHeartbeatRevision3(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFakeRig(t, engineio.Options{})
		rc, f := r.open(eio3)
		for _, data := range []string{"", "probe", "中文"} {
			time.Sleep(44 * time.Second)
			synctest.Wait()
			f.wantSent(t) // the server does not ping
			if err := rc.session.Receive(f, packet(engineio.Ping, data)); err != nil {
				t.Fatal(err)
			}
			f.wantSent(t, "3"+data)
		}
		binary := engineio.Packet{Type: engineio.Ping, Binary: true, Data: []byte{0xff}}
		if err := rc.session.Receive(f, binary); err != nil {
			t.Fatal(err)
		}
		f.wantSent(t, "3") // bytes are no text
		wantClosed(t, r.rig, rc, engineio.PingTimeout, 45*time.Second)
	})
}

// A pong that was not asked for puts the next ping off, as in the Node server.
func TestUnsolicitedPong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFakeRig(t, engineio.Options{})
		rc, f := r.open(eio4)
		time.Sleep(20 * time.Second)
		if err := rc.session.Receive(f, packet(engineio.Pong, "")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(24 * time.Second)
		synctest.Wait()
		f.wantSent(t)
		time.Sleep(time.Second + late)
		synctest.Wait()
		f.wantSent(t, "2")
	})
}

func TestHeartbeatInTheWrongDirection(t *testing.T) {
	for _, c := range []struct {
		query  string
		packet engineio.PacketType
	}{{eio3, engineio.Pong}, {eio4, engineio.Ping}} {
		t.Run(c.query, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newFakeRig(t, engineio.Options{})
				rc, f := r.open(c.query)
				if err := rc.session.Receive(f, packet(c.packet, "")); err == nil {
					t.Error("no error")
				}
				wantClosed(t, r.rig, rc, engineio.TransportError, 0)
			})
		})
	}
}

func TestSetDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFakeRig(t, engineio.Options{PingInterval: time.Hour})
		rc, _ := r.open(eio4)
		rc.session.SetDeadline(time.Second)
		rc.session.SetDeadline(0)
		time.Sleep(time.Minute)
		rc.session.SetDeadline(10 * time.Second)
		wantClosed(t, r.rig, rc, engineio.ForcedClose, 10*time.Second)
		rc.session.SetDeadline(time.Second) // of no use any more
		time.Sleep(time.Minute)
	})
}

// A closed session waits for the client's next request, but not for ever.
func TestLinger(t *testing.T) {
	for name, c := range map[string]struct {
		end     func(*receiver, *fakeTransport)
		reason  string
		lingers time.Duration
	}{
		"server": {func(rc *receiver, _ *fakeTransport) { rc.session.Close() }, "forced close", 30 * time.Second},
		"client": {func(rc *receiver, f *fakeTransport) {
			if err := rc.session.Receive(f, packet(engineio.Close, "")); err == nil {
				panic("reading goes on")
			}
		}, "transport close", time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newFakeRig(t, engineio.Options{PingInterval: time.Hour})
				rc, f := r.open(eio4)
				f.set(func() { f.lingers = true })
				c.end(rc, f)
				want(t, rc.events, "closed: "+c.reason)
				rc.session.Close() // once is enough
				if err := rc.session.Send(engineio.Prepare([]byte("late"), 4)); !errors.Is(err, engineio.ErrClosed) {
					t.Errorf("Send = %v", err)
				}
				time.Sleep(c.lingers - time.Millisecond)
				if n := r.srv.Stats().Sessions; n != 1 || f.count("abort") != 0 {
					t.Errorf("%d sessions, %d aborts", n, f.count("abort"))
				}
				time.Sleep(time.Millisecond + late)
				if n := r.srv.Stats().Sessions; n != 0 || f.count("abort") != 1 {
					t.Errorf("%d sessions, %d aborts", n, f.count("abort"))
				}
				if n := f.count("close"); n != 1 {
					t.Errorf("closed %d times", n)
				}
			})
		})
	}
}

// What one receiver does when its session times out does not hold the others up.
func TestSlowReceiverDoesNotStopTheWheel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFakeRig(t, engineio.Options{})
		slow, _ := r.open(eio4)
		release := make(chan struct{})
		slow.onClosed = func(engineio.Reason) { <-release }
		time.Sleep(10 * time.Second)
		rc, f := r.open(eio4)
		time.Sleep(25*time.Second + late)
		f.wantSent(t, "2")
		if err := rc.session.Receive(f, packet(engineio.Pong, "")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(25*time.Second + grid + late)
		want(t, slow.events, "closed: ping timeout")
		f.wantSent(t, "2")
		close(release)
	})
}
