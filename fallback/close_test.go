package fallback_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"crier/io/engineio"
)

func TestCloseWithAWaitingGet(t *testing.T) {
	for query, told := range map[string][2]string{
		"EIO=4": {"1", "4last"},
		"EIO=3": {"1:1", "5:4last"},
	} {
		t.Run(query, func(t *testing.T) {
			bubble(t, engineio.Options{}, func(t *testing.T, r *rig) {
				p := r.open(query)
				got := p.goGet()
				synctest.Wait()
				p.session.Close()
				wantAnswer(t, next(t, got), http.StatusOK, told[0])
				p.wantEnded(engineio.ForcedClose)

				p = r.open(query)
				got = p.goGet()
				synctest.Wait()
				p.send("last")
				p.session.Close()
				wantAnswer(t, next(t, got), http.StatusOK, told[1])
				want(t, p.events, "closed: forced close")
				wantAnswer(t, p.get(), http.StatusOK, told[0])
			})
		})
	}
}

// The client for Python takes a close packet for a goodbye: it has to find the session gone.
func TestCloseForPython(t *testing.T) {
	const python = "Python/3.11 aiohttp/3.14.5"
	const gone = `{"code":1,"message":"Session ID unknown: it has ended"}`
	bubble(t, engineio.Options{}, func(t *testing.T, r *rig) {
		p := r.open("EIO=4", "User-Agent", python)
		got := p.goGet()
		synctest.Wait()
		p.session.Close()
		wantAnswer(t, next(t, got), http.StatusBadRequest, gone)
		p.wantEnded(engineio.ForcedClose)

		p = r.open("EIO=4", "User-Agent", python)
		p.send("last")
		p.session.Close()
		wantAnswer(t, p.get(), http.StatusOK, "4last")
		p.wantEnded(engineio.ForcedClose)

		p = r.open("EIO=4", "User-Agent", python)
		got = p.goGet()
		synctest.Wait()
		wantAnswer(t, p.post("1"), http.StatusOK, "ok")
		wantAnswer(t, next(t, got), http.StatusOK, "6")
		p.wantEnded(engineio.TransportClose)
	})
}

// It takes 16 packets in an answer.
func TestAnswersForPython(t *testing.T) {
	bubble(t, engineio.Options{}, func(t *testing.T, r *rig) {
		p := r.open("EIO=4", "User-Agent", "python-requests/2.34.2")
		for range 15 {
			p.send("x")
		}
		p.send("two", []byte{1}) // does not fit any more
		p.send("many", make([][]byte, 20)...)
		p.send("last")
		p.session.Close()
		wantAnswer(t, p.get(), http.StatusOK, strings.Repeat("\x1e4x", 15)[1:])
		wantAnswer(t, p.get(), http.StatusOK, "4two\x1ebAQ==")
		wantAnswer(t, p.get(), http.StatusOK, "4many"+strings.Repeat("\x1eb", 20))
		wantAnswer(t, p.get(), http.StatusOK, "4last")
		p.wantEnded(engineio.ForcedClose)
	})
}

func TestCloseBetweenTwoGets(t *testing.T) {
	bubble(t, engineio.Options{}, func(t *testing.T, r *rig) {
		p := r.open("EIO=4")
		p.send("one")
		p.send("two")
		p.session.Close()
		p.session.Close()
		if err := p.session.Send(engineio.Prepare([]byte("late"), 4)); err == nil {
			t.Error("Send after Close")
		}
		time.Sleep(20 * time.Second)
		wantAnswer(t, p.post("4ignored"), http.StatusOK, "ok")
		wantAnswer(t, p.get(), http.StatusOK, "4one\x1e4two")
		wantAnswer(t, p.get(), http.StatusOK, "1") // alone
		p.wantEnded(engineio.ForcedClose)
	})
}

// A client that never asks again is not waited for longer than half a minute.
func TestLingerEnds(t *testing.T) {
	bubble(t, engineio.Options{}, func(t *testing.T, r *rig) {
		p := r.open("EIO=3") // its heartbeat would be due later
		p.session.Close()
		time.Sleep(30*time.Second + 30*time.Millisecond)
		if n := r.srv.Stats().Sessions; n != 0 {
			t.Errorf("%d sessions", n)
		}
		p.wantEnded(engineio.ForcedClose)
	})
}

func TestClientCloses(t *testing.T) {
	for query, packets := range map[string]struct{ in, noop string }{
		"EIO=4": {"4last\x1e1\x1e4ignored", "6"},
		"EIO=3": {"5:4last1:18:4ignored", "1:6"},
	} {
		t.Run(query, func(t *testing.T) {
			bubble(t, engineio.Options{}, func(t *testing.T, r *rig) {
				p := r.open(query)
				got := p.goGet()
				synctest.Wait()
				wantAnswer(t, p.post(packets.in), http.StatusOK, "ok")
				wantAnswer(t, next(t, got), http.StatusOK, packets.noop)
				want(t, p.events, "text last")
				p.wantEnded(engineio.TransportClose)

				// The GET was on its way.
				p = r.open(query)
				wantAnswer(t, p.post(packets.in), http.StatusOK, "ok")
				want(t, p.events, "text last", "closed: transport close")
				wantAnswer(t, p.get(), http.StatusOK, packets.noop)
				if n := r.srv.Stats().Sessions; n != 0 {
					t.Errorf("%d sessions", n)
				}

				// There was none.
				p = r.open(query)
				wantAnswer(t, p.post(packets.in), http.StatusOK, "ok")
				time.Sleep(time.Second + 30*time.Millisecond)
				want(t, p.events, "text last")
				p.wantEnded(engineio.TransportClose)
			})
		})
	}
}

// The receiver closes the session from within a POST.
func TestCloseInAPost(t *testing.T) {
	bubble(t, engineio.Options{}, func(t *testing.T, r *rig) {
		r.handler.onMessage = func(s *engineio.Session, data []byte, _ bool) error {
			if err := s.Send(engineio.Prepare(data, len(data))); err == nil {
				s.Close()
			}
			return nil
		}
		p := r.open("EIO=4")
		wantAnswer(t, p.post("4one\x1e4two"), http.StatusOK, "ok")
		wantAnswer(t, p.get(), http.StatusOK, "4one")
		wantAnswer(t, p.get(), http.StatusOK, "1")
		p.wantEnded(engineio.ForcedClose)
	})
}

// A stopping server tells the clients that wait and those that come back soon,
// and does not wait for the others.
func TestServerClose(t *testing.T) {
	bubble(t, engineio.Options{}, func(t *testing.T, r *rig) {
		waits, back, gone := r.open("EIO=4"), r.open("EIO=3"), r.open("EIO=4")
		s := r.ws("EIO=4")
		onSocket := next(t, r.handler.accepted)
		want(t, onSocket.events, "opened")
		next(t, s.got)
		got := waits.goGet()
		synctest.Wait()
		start := time.Now()
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			closeServer(t, r.srv)
		}()
		wantAnswer(t, next(t, got), http.StatusOK, "1")
		want(t, s.got, "close")
		time.Sleep(time.Second / 2)
		wantAnswer(t, back.get(), http.StatusOK, "1:1")
		<-closed
		if took := time.Since(start); took != time.Second {
			t.Errorf("Close took %v", took)
		}
		for _, p := range []*receiver{waits.receiver, back.receiver, gone.receiver, onSocket} {
			want(t, p.events, "closed: server shutting down")
		}
		// A handshake that comes too late is turned away.
		a := r.do(context.Background(), http.MethodGet, "EIO=4", nil)
		if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") != "1" {
			t.Errorf("late handshake: %+v", a)
		}
	})
}

// Nobody is there: nothing to wait for.
func TestServerCloseAtOnce(t *testing.T) {
	bubble(t, engineio.Options{}, func(t *testing.T, r *rig) {
		p := r.open("EIO=4")
		got := p.goGet()
		r.ws("EIO=4")
		synctest.Wait()
		start := time.Now()
		closeServer(t, r.srv)
		if took := time.Since(start); took != 0 {
			t.Errorf("Close took %v", took)
		}
		wantAnswer(t, next(t, got), http.StatusOK, "1")
	})
}

// A stop is not held up by a caller who gives no time.
func TestServerCloseWithoutTime(t *testing.T) {
	bubble(t, engineio.Options{}, func(t *testing.T, r *rig) {
		p := r.open("EIO=4")
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		start := time.Now()
		if err := r.srv.Close(ctx); err != nil {
			t.Log(err) // the poller may have had no time either
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("Close took %v", took)
		}
		p.wantEnded(engineio.ServerShuttingDown)
	})
}

// The rest of a body that is refused is not waited for without end.
func TestRefusedSlowPost(t *testing.T) {
	bubble(t, engineio.Options{PingInterval: time.Hour}, func(t *testing.T, r *rig) {
		for _, query := range []string{"EIO=4", "EIO=4&sid=unknown", r.open("EIO=4").query} {
			conn, err := r.dial()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(conn, "POST /socket.io/?transport=polling&"+query+" HTTP/1.1\r\nHost: crier.test\r\n"+
				"Content-Type: application/octet-stream\r\nContent-Length: 100\r\n\r\n4one"); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			answered, err := io.ReadAll(conn)
			if err != nil || !strings.HasPrefix(string(answered), "HTTP/1.1 400 ") {
				t.Errorf("%s: %q, %v", query, answered, err)
			}
			if took := time.Since(start); took > 31*time.Second {
				t.Errorf("%s: took %v", query, took)
			}
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}
