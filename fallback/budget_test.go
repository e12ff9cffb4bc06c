package fallback_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"crier/fallback"
	"crier/io/engineio"
	"crier/io/wsconn"
)

// newBudget returns a budget of so many bytes, of which nothing may be left in the end. It has to be made before the servers
// that have it.
func newBudget(t testing.TB, bytes int64) *wsconn.Budget {
	t.Helper()
	b, err := wsconn.NewBudget(wsconn.BudgetOptions{Bytes: bytes})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.Close()
		if got := b.Stats().Bytes; got != 0 {
			t.Errorf("%d bytes are left", got)
		}
	})
	return b
}

// unread opens a stream or a WebSocket whose client reads no more than the head of the answer. told returns the rest.
func unread(d *desk, path string) (told func() string) {
	conn := d.stall(path)
	d.t.Cleanup(func() { conn.Close() })
	return func() string {
		rest, err := io.ReadAll(conn)
		if err != nil && !strings.Contains(err.Error(), net.ErrClosed.Error()) {
			d.t.Errorf("reading the rest: %v", err)
		}
		return string(rest)
	}
}

// On each transport it is the client with most that is ended, is told why as far as that can be, and is counted; the one that
// reads gets everything, and the one with less stays.
func TestBudget(t *testing.T) {
	for _, tt := range []struct {
		name string
		open func(d *desk) (told func() string) // for user 7
		want string
	}{
		{"ws", func(d *desk) func() string { return unread(d, "/ws?uid=7") }, "\x11\x4d" + fallback.TooMuch.Text},
		{"sse", func(d *desk) func() string { return unread(d, "/sse?uid=7") }, "event: disconnect\ndata: [{\"error\":\"" + fallback.TooMuch.Text + "\",\"code\":\"too_slow\"}]\n\n"},
		{"comet", func(d *desk) func() string {
			p := d.poll("uid=7&wait=0")
			return func() string { return d.get("/comet?uid=7&wait=0&after=" + p.Next).body }
		}, `"missed":true`},
		{"sockjs websocket", func(d *desk) func() string { return unread(d, "/sockjs/000/s/websocket?uid=7") }, `c[4429,"` + fallback.TooMuch.Text + `"]`},
		{"sockjs stream", func(d *desk) func() string { return unread(d, "/sockjs/000/s/eventsource?uid=7") }, `c[4429,"` + fallback.TooMuch.Text + `"]`},
		{"sockjs poll", func(d *desk) func() string {
			wantAnswer(d.t, d.do(http.MethodPost, "/sockjs/000/s/xhr?uid=7", ""), http.StatusOK, "o\n")
			return func() string { return d.sock("s", "xhr").body }
		}, `c[4429,"` + fallback.TooMuch.Text + `"]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBudget(t, 50_000)
			d := newDesk(t, false, fallback.Options{Budget: b})
			told := tt.open(d)
			healthy := d.frames("/ws?uid=8", false)
			less := unread(d, "/sse?uid=9")
			for _, uid := range []string{"7", "8", "9"} {
				d.awaitUser(uid, 1)
			}
			arg := fmt.Sprintf(`"%01000d"`, 0)
			n := 0
			for d.push("m", "7", "e", arg).Slow == 0 && b.Stats().Evicted == 0 {
				d.push("m", "8", "e", arg)
				if got := next(t, healthy.got); !strings.Contains(got, arg) {
					t.Fatalf("the healthy client got %.100q", got)
				}
				if n%10 == 0 {
					d.push("m", "9", "e", arg)
				}
				if n++; n > 900 {
					t.Fatalf("nobody is evicted, with %d bytes waiting", b.Stats().Bytes)
				}
			}
			want(t, d.events, "7 has gone")
			d.awaitUser("7", 0)
			if got := told(); !strings.Contains(got, tt.want) {
				t.Errorf("the client is told %.200q, which ends with %q", got, got[max(len(got)-200, 0):])
			}
			if got := d.srv.Stats(); got.SlowConsumers.Total() != 1 || b.Stats().Evicted != 1 {
				t.Errorf("%+v, %+v", got, b.Stats())
			}
			d.push("last", "9", "e")
			d.kick("9")
			if got := less(); !strings.Contains(got, "id: last\n") {
				t.Errorf("the one with less got %q", got[max(len(got)-200, 0):])
			}
		})
	}
}

// Over HTTP/2 too.
func TestBudgetHTTP2(t *testing.T) {
	b := newBudget(t, 8<<20)
	d := newDesk(t, true, fallback.Options{Budget: b, QueueBytes: 64 << 20})
	web := httptest.NewUnstartedServer(d.srv)
	web.EnableHTTP2 = true
	web.StartTLS()
	t.Cleanup(web.Close)
	t.Cleanup(func() {
		if err := d.srv.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, web.URL+"/sse?uid=7", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := web.Client().Do(r)
	if err != nil || resp.ProtoMajor != 2 {
		t.Fatalf("%+v, %v", resp, err)
	}
	defer resp.Body.Close()
	d.awaitUser("7", 1)
	content := `"` + strings.Repeat("x", 1<<20) + `"`
	for n := 0; b.Stats().Evicted == 0; n++ {
		d.push("m", "7", "e", content)
		if n > 60 {
			t.Fatalf("nobody is evicted, with %d bytes waiting", b.Stats().Bytes)
		}
	}
	want(t, d.events, "7 has gone")
	if got := d.srv.Stats(); got.SlowConsumers.Total() != 1 {
		t.Errorf("%+v", got)
	}
}

// A session that polls is ended when most is queued for it; its next request finds it gone.
func TestBudgetPolling(t *testing.T) {
	b := newBudget(t, 10_000)
	r := newRig(t, false, engineio.Options{Budget: b})
	p, other := r.open("EIO=4"), r.open("EIO=4")
	msg := engineio.Prepare([]byte(strings.Repeat("x", 1000)), 0)
	for range 3 {
		if err := other.session.Send(msg); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.Stats().Bytes; got != 3000 {
		t.Errorf("%d bytes wait, want 3000", got)
	}
	for range 8 { // 11,000 in all
		if err := p.session.Send(msg); err != nil {
			t.Fatal(err)
		}
	}
	p.wantEnded(engineio.SlowConsumer)
	b.Close() // the session hears of its end before the queue has gone
	if st := r.srv.Stats(); st.SlowConsumers.Total() != 1 || b.Stats().Bytes != 3000 || b.Stats().Evicted != 1 {
		t.Errorf("%+v, %+v", st, b.Stats())
	}
	if a := p.get(); a.status != http.StatusBadRequest || !strings.Contains(a.body, "Session ID unknown") {
		t.Errorf("%+v", a)
	}
	if a := other.get(); a.status != http.StatusOK || strings.Count(a.body, "\x1e") != 2 {
		t.Errorf("%d, %d bytes", a.status, len(a.body))
	}
}
