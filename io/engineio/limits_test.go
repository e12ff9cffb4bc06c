package engineio_test

import (
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"crier/io/engineio"
)

// Whoever comes in leaves once, however the session ends.
func TestEnter(t *testing.T) {
	var inside, entered atomic.Int64
	var closed atomic.Pointer[engineio.RequestError]
	enter := func(*http.Request) (func(), *engineio.RequestError) {
		if no := closed.Load(); no != nil {
			return nil, no
		}
		entered.Add(1)
		inside.Add(1)
		return func() { inside.Add(-1) }, nil
	}
	for name, end := range map[string]func(r *rig, s *socket, rc *receiver){
		"the client closes":        func(_ *rig, s *socket, _ *receiver) { s.send("1") },
		"the connection breaks":    func(r *rig, s *socket, _ *receiver) { shut(r.t, s.conn) },
		"the server closes it":     func(_ *rig, _ *socket, rc *receiver) { rc.session.Close() },
		"the client talks rubbish": func(_ *rig, s *socket, _ *receiver) { s.send("x") },
		"its time is up":           func(*rig, *socket, *receiver) { time.Sleep(time.Hour) },
		"the server stops":         func(r *rig, _ *socket, _ *receiver) { closeServer(r.t, r.srv) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inside.Store(0)
				r := newRig(t, false, engineio.Options{Enter: enter})
				s := r.ws(ws4)
				next(t, s.got)
				rc := next(t, r.handler.accepted)
				if n := inside.Load(); n != 1 {
					t.Fatalf("%d are inside", n)
				}
				end(r, s, rc)
				synctest.Wait()
				if n := inside.Load(); n != 0 {
					t.Errorf("%d are inside at the end", n)
				}
			})
		})
	}
	t.Run("refused", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			inside.Store(0)
			entered.Store(0)
			o, _ := withFakes(engineio.Options{Enter: enter})
			r := newRig(t, false, o)
			for code, status := range map[engineio.ErrorCode]int{engineio.TooManyRequests: 429, engineio.Overloaded: 503} {
				closed.Store(&engineio.RequestError{Code: code, Detail: "come later", RetryAfter: 1500 * time.Millisecond})
				w := request(r.srv, http.MethodGet, eio4)
				want := fmt.Sprintf(`{"code":%d,"message":"%s: come later"}`, code, code)
				if w.Code != status || w.Body.String() != want || w.Header().Get("Retry-After") != "2" {
					t.Errorf("%d %q, Retry-After %q", w.Code, w.Body, w.Header().Get("Retry-After"))
				}
				conn, _, resp := r.handshake(ws4)
				shut(t, conn)
				if resp.StatusCode != status {
					t.Errorf("a handshake is answered with %d", resp.StatusCode)
				}
			}
			closed.Store(nil)
			if w := request(r.srv, http.MethodGet, eio4+"&sid=gone"); w.Code != 400 {
				t.Errorf("%d for a session that there is not", w.Code)
			}
			w := request(r.srv, http.MethodGet, ws4, "Upgrade", "websocket") // and no more of a handshake
			if w.Code == http.StatusSwitchingProtocols || inside.Load() != 0 || entered.Load() != 1 {
				t.Errorf("a broken handshake: %d, %d inside, %d entered", w.Code, inside.Load(), entered.Load())
			}
		})
	})
}

func shut(t testing.TB, c io.Closer) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// What comes too fast is read later, in order, and nothing of it is lost.
func TestMessagesPerSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, false, engineio.Options{MessagesPerSecond: 10})
		s := r.ws(ws4)
		next(t, s.got)
		rc := next(t, r.handler.accepted)
		want(t, rc.events, "opened")
		begin := time.Now()
		go func() {
			for i := range 30 {
				s.send(fmt.Sprintf("4%d", i))
			}
		}()
		for i := range 30 {
			want(t, rc.events, fmt.Sprintf("text %d", i))
		}
		if d := time.Since(begin); d < 1900*time.Millisecond || d > 2100*time.Millisecond {
			t.Errorf("30 messages took %v", d)
		}
		if n := r.srv.Stats().Rests; n != 20 {
			t.Errorf("it rested %d times", n)
		}
	})
}
