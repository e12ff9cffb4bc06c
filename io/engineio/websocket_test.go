package engineio_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"crier/io/engineio"
	"crier/io/wsconn"
)

const (
	ws3 = "EIO=3&transport=websocket"
	ws4 = "EIO=4&transport=websocket"
)

// connect opens a WebSocket session and takes what opening does.
func (r *rig) connect(query string, header ...string) (*receiver, *socket) {
	r.t.Helper()
	s := r.ws(query, header...)
	rc := next(r.t, r.handler.accepted)
	want(r.t, rc.events, "opened")
	if text := next(r.t, s.got); !strings.HasPrefix(text, `0{"sid":"`+rc.session.ID()+`"`) {
		r.t.Fatalf("open packet %s", text)
	}
	return rc, s
}

func send(t testing.TB, s *engineio.Session, text string, attachments ...[]byte) {
	t.Helper()
	if err := s.Send(engineio.Prepare([]byte(text), len(text), attachments...)); err != nil {
		t.Fatalf("sending %.50s: %v", text, err)
	}
}

func TestWebSocketMessages(t *testing.T) {
	attachment := []byte{1, 2, 3, 4}
	for _, c := range []struct {
		query    string
		in, text string // a binary message from the client, and to it
	}{
		{ws4, "01020304", "binary 01020304"},
		{ws4 + "&b64=1", "01020304", "binary 01020304"}, // revision 4 knows no such thing over WebSocket
		{ws3, "01020304", "binary 0401020304"},
		{ws3 + "&b64=1", "01020304", "b4AQIDBA=="},
	} {
		t.Run(c.query, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, false, engineio.Options{})
				rc, s := r.connect(c.query)
				s.send("4中文é😀")
				want(t, rc.events, "text 中文é😀")
				s.send("4")
				want(t, rc.events, "text ")
				s.send("0")
				s.send("5")
				s.send("6noop") // of no meaning here
				if strings.HasPrefix(c.query, ws3) {
					s.sendBinary(4, 1, 2, 3, 4)
					s.send("b4AQIDBA==")
				} else {
					s.sendBinary(1, 2, 3, 4)
					s.send("bAQIDBA==")
				}
				want(t, rc.events, "binary "+c.in, "binary "+c.in)
				send(t, rc.session, "中文é😀")
				want(t, s.got, "4中文é😀")
				send(t, rc.session, "attached", attachment)
				want(t, s.got, "4attached", c.text)
			})
		})
	}
}

// The clients for Java and Python come back only after a connection that breaks off: they get what waits, and no close
// frame.
func TestWebSocketBreaksOff(t *testing.T) {
	for agent, frames := range map[string][]string{
		"okhttp/3.12.12":                 {"4last"},
		"python-requests/2.34.2":         {"4last"},
		"Python/3.11 aiohttp/3.14.5":     {"4last"},
		"Mozilla/5.0 (okhttp/3 aiohttp)": {"4last", "close"},
		"":                               {"4last", "close"},
	} {
		t.Run(agent, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, false, engineio.Options{})
				rc, s := r.connect(ws4, "User-Agent: "+agent)
				send(t, rc.session, "last")
				rc.session.Close()
				want(t, s.got, frames...)
				wantEnd(t, s.got)
				want(t, rc.events, "closed: forced close")
			})
		})
	}
}

// 1.0 clients say EIO=2 and encode text twice, also on a WebSocket.
func TestWebSocketTextTwice(t *testing.T) {
	for _, c := range []struct{ name, sent, want string }{
		{"every kind of character", "4\u00e4\u00b8\u00ad\u00c3\u00a9\u00f0\u009f\u0098\u0080", "中é😀"},
		{"what looks encoded", "4\u00c3\u0083\u00c2\u00a9", "\u00c3\u00a9"},
		{"ASCII", "4hello", "hello"},
		{"encoded once, against all expectation", "4中", "中"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, false, engineio.Options{})
				rc, s := r.connect("EIO=2&transport=websocket")
				s.send(c.sent)
				want(t, rc.events, "text "+c.want)
				s.sendBinary(4, 0xc3, 0xa9)
				want(t, rc.events, "binary c3a9")
				if err := rc.session.Send(engineio.Prepare([]byte(`2["中"]`), 1, []byte{0xc3})); err != nil {
					t.Fatal(err)
				}
				want(t, s.got, `42["\u4e2d"]`, "binary 04c3")
				s.send("2probe")
				want(t, s.got, "3probe")
			})
		})
	}
}

func TestWebSocketHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, false, engineio.Options{})
		rc, s := r.connect(ws4)
		for range 3 {
			want(t, s.got, "2")
			s.send("3")
		}
		want(t, s.got, "2")
		want(t, rc.events, "closed: ping timeout")
		wantEnd(t, s.got)

		rc, s = r.connect(ws3)
		for range 3 {
			time.Sleep(44 * time.Second)
			s.send("2")
			want(t, s.got, "3")
		}
		s.send("2probe")
		want(t, s.got, "3probe")
		want(t, rc.events, "closed: ping timeout")
		wantEnd(t, s.got)
	})
}

// Why a WebSocket session ends, and how the client sees it.
func TestWebSocketEnds(t *testing.T) {
	for _, c := range []struct {
		name   string
		end    func(*rig, *receiver, *socket)
		reason string
		seen   []string // by the client, before its connection ends
	}{
		{"server", func(_ *rig, rc *receiver, _ *socket) { rc.session.Close() }, "forced close", []string{"close"}},
		{"server after a message", func(r *rig, rc *receiver, _ *socket) {
			send(r.t, rc.session, "last words")
			rc.session.Close()
		}, "forced close", []string{"4last words", "close"}},
		{"server shutting down", func(r *rig, _ *receiver, _ *socket) { closeServer(r.t, r.srv) }, "server shutting down", []string{"close"}},
		{"deadline", func(_ *rig, rc *receiver, _ *socket) { rc.session.SetDeadline(time.Second) }, "forced close", []string{"close"}},
		{"close packet", func(_ *rig, _ *receiver, s *socket) { s.send("1") }, "transport close", []string{"close"}},
		{"close frame", func(_ *rig, _ *receiver, s *socket) {
			s.write(ws.MaskFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusGoingAway, ""))))
		}, "transport close", []string{"close 1001"}},
		{"connection lost", func(r *rig, _ *receiver, s *socket) {
			if err := s.conn.Close(); err != nil {
				r.t.Error(err)
			}
		}, "transport close", nil},
		{"no packet", func(_ *rig, _ *receiver, s *socket) { s.send("abc") }, "parse error", []string{"close 1002"}},
		{"empty packet", func(_ *rig, _ *receiver, s *socket) { s.send("") }, "parse error", []string{"close 1002"}},
		{"bad base64", func(_ *rig, _ *receiver, s *socket) { s.send("b!") }, "parse error", []string{"close 1002"}},
		{"refused by the receiver", func(_ *rig, _ *receiver, s *socket) { s.send("4bad") }, "parse error", []string{"close 1002"}},
		{"wrong direction", func(_ *rig, _ *receiver, s *socket) { s.send("2") }, "transport error", []string{"close 1002"}},
		{"frame without mask", func(_ *rig, _ *receiver, s *socket) {
			s.write(ws.NewTextFrame([]byte("4hello")))
		}, "transport error", []string{"close 1002"}},
		{"text that is not UTF-8", func(_ *rig, _ *receiver, s *socket) { s.send("4\xff") }, "transport error", []string{"close 1007"}},
		{"too large", func(_ *rig, _ *receiver, s *socket) { s.send("4" + strings.Repeat("x", 1000)) }, "transport error", []string{"close 1009"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, false, engineio.Options{MaxPayload: 1000})
				r.handler.onMessage = func(_ *engineio.Session, data []byte) error {
					if string(data) == "bad" {
						return errors.New("refused")
					}
					return nil
				}
				rc, s := r.connect(ws4)
				other, s2 := r.connect(ws3)
				c.end(r, rc, s)
				if c.name == "refused by the receiver" {
					want(t, rc.events, "text bad")
				}
				want(t, rc.events, "closed: "+c.reason)
				want(t, s.got, c.seen...)
				wantEnd(t, s.got)
				if err := rc.session.Send(engineio.Prepare([]byte("late"), 4)); !errors.Is(err, engineio.ErrClosed) {
					t.Errorf("Send = %v", err)
				}
				if sent, err := rc.session.SendVolatile(engineio.Prepare([]byte("late"), 4)); sent || !errors.Is(err, engineio.ErrClosed) {
					t.Errorf("SendVolatile = %v, %v", sent, err)
				}
				rc.session.Close()
				if c.reason == "server shutting down" {
					return
				}
				// Nobody else is affected.
				send(t, other.session, "still here")
				want(t, s2.got, "4still here")
				if n := r.srv.Stats().Sessions; n != 1 {
					t.Errorf("%d sessions left", n)
				}
				if len(rc.events) > 0 {
					t.Errorf("told twice: %s", <-rc.events)
				}
			})
		})
	}
}

// The receiver may close the session from any of its methods.
func TestCloseInTheReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, false, engineio.Options{})
		r.handler.onMessage = func(s *engineio.Session, _ []byte) error {
			s.Close()
			return nil
		}
		rc, s := r.connect(ws4)
		s.send("4one")
		s.send("4two")
		want(t, rc.events, "text one", "closed: forced close")
		want(t, s.got, "close")
		wantEnd(t, s.got)
		synctest.Wait()
		if len(rc.events) > 0 {
			t.Errorf("%q came behind the end", <-rc.events)
		}
	})
}

// A client whose queue is full is closed, counted and told of in a goroutine
// of its own; nobody else is affected.
func TestQueueFull(t *testing.T) {
	r := newRig(t, true, engineio.Options{QueueBytes: 64 << 10, QueueMessages: 1000})
	rc, s := r.connect(ws4)
	conn, _, resp := r.handshake(ws4) // never read
	if resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("status %d", resp.StatusCode)
	}
	defer conn.Close() //nolint:errcheck // reset by the server
	if err := conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	stalled := next(t, r.handler.accepted)
	want(t, stalled.events, "opened")
	locked := make(chan struct{}) // what a sender may hold while it sends
	stalled.onClosed = func(engineio.Reason) { <-locked }

	p := engineio.Prepare([]byte(strings.Repeat("x", 16<<10)), 16<<10)
	var err error
	for range 10000 { // 160 MB: more than any kernel takes
		if err = stalled.session.Send(p); err != nil {
			break
		}
		if err := rc.session.Send(p); err != nil {
			t.Fatalf("the other client: %v", err)
		}
		if got := next(t, s.got); len(got) != 1+16<<10 {
			t.Fatalf("got %d bytes", len(got))
		}
	}
	close(locked)
	if !errors.Is(err, engineio.ErrQueueFull) {
		t.Fatalf("Send = %v", err)
	}
	want(t, stalled.events, "closed: slow consumer")
	if err := stalled.session.Send(p); !errors.Is(err, engineio.ErrClosed) {
		t.Errorf("Send after the end = %v", err)
	}
	if st := r.srv.Stats(); st.SlowConsumers.Total() != 1 || st.Sessions != 1 {
		t.Errorf("%+v", st)
	}
	send(t, rc.session, "still here")
	want(t, s.got, "4still here")
}

// The same when it is not its queue that is full, but most of what waits for all is its.
func TestEvicted(t *testing.T) {
	budget, err := wsconn.NewBudget(wsconn.BudgetOptions{Bytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(budget.Close)
	r := newRig(t, true, engineio.Options{QueueBytes: 1 << 30, QueueMessages: 1 << 30, Budget: budget})
	rc, s := r.connect(ws4)
	conn, _, _ := r.handshake(ws4) // never read
	defer conn.Close()             //nolint:errcheck // reset by the server
	if err := conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	stalled := next(t, r.handler.accepted)
	want(t, stalled.events, "opened")
	p := engineio.Prepare([]byte(strings.Repeat("x", 16<<10)), 16<<10)
	for range 10000 { // 160 MB: more than any kernel takes
		if err = stalled.session.Send(p); err != nil {
			break
		}
		if err := rc.session.Send(p); err != nil {
			t.Fatalf("the other client: %v", err)
		}
		if got := next(t, s.got); len(got) != 1+16<<10 {
			t.Fatalf("got %d bytes", len(got))
		}
	}
	if !errors.Is(err, engineio.ErrClosed) {
		t.Fatalf("Send = %v", err)
	}
	want(t, stalled.events, "closed: slow consumer")
	if st := r.srv.Stats(); st.SlowConsumers.Total() != 1 || st.Sessions != 1 || budget.Stats().Evicted != 1 {
		t.Errorf("%+v, %+v", st, budget.Stats())
	}
	send(t, rc.session, "still here")
	want(t, s.got, "4still here")
}

// What can be lost does not queue behind a client that reads slowly.
func TestSendVolatile(t *testing.T) {
	r := newRig(t, true, engineio.Options{QueueBytes: 64 << 20})
	conn, br, _ := r.handshake(ws4)
	defer conn.Close() //nolint:errcheck // the end of the test
	rc := next(t, r.handler.accepted)
	want(t, rc.events, "opened")
	if sent, err := rc.session.SendVolatile(engineio.Prepare([]byte("first"), 5)); !sent || err != nil {
		t.Fatalf("SendVolatile = %v, %v", sent, err)
	}
	send(t, rc.session, strings.Repeat("x", 32<<20))
	if sent, err := rc.session.SendVolatile(engineio.Prepare([]byte("lost"), 4)); sent || err != nil {
		t.Fatalf("SendVolatile = %v, %v", sent, err)
	}
	send(t, rc.session, "last")
	var got []string
	for range 4 {
		f, err := readFrame(br)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(f.Payload[:min(len(f.Payload), 6)]))
	}
	if strings.Join(got[1:], " ") != "4first 4xxxxx 4last" {
		t.Errorf("got %q", got)
	}
	if n := r.srv.Stats().SlowConsumers.Total(); n != 0 {
		t.Errorf("%d slow consumers", n)
	}
}

// What a client sends right behind its handshake is not lost.
func TestEarlyMessages(t *testing.T) {
	r := newRig(t, true, engineio.Options{})
	conn, err := r.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // the end of the test
	frame, err := ws.CompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte("4early"))))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(append([]byte(handshakeRequest(ws4)), frame...)); err != nil {
		t.Fatal(err)
	}
	rc := next(t, r.handler.accepted)
	want(t, rc.events, "opened", "text early")
}

// Clients that connect while the server closes: nobody is left, and every
// receiver is told once.
func TestConnectWhileTheServerCloses(t *testing.T) {
	for range 20 {
		r := newRig(t, true, engineio.Options{})
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					conn, err := r.dial()
					if err != nil {
						t.Error(err)
						return
					}
					if _, err := io.WriteString(conn, handshakeRequest(ws4)); err != nil {
						t.Log(err) // the server was faster
					}
					if _, err := conn.Read(make([]byte, 100)); err != nil {
						t.Log(err)
					}
					if err := conn.Close(); err != nil {
						t.Error(err)
					}
				}
			})
		}
		first := next(t, r.handler.accepted)
		closeServer(t, r.srv)
		close(stop)
		wg.Wait()
		r.handler.accepted <- first
		for len(r.handler.accepted) > 0 {
			rc := <-r.handler.accepted
			for event := ""; !strings.HasPrefix(event, "closed: "); {
				event = next(t, rc.events)
			}
		}
	}
}
