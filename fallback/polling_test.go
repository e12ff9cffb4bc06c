package fallback_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"crier/io/engineio"
)

// bubble runs a test on a server without sockets, in fake time.
func bubble(t *testing.T, o engineio.Options, f func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newRig(t, false, o)) })
}

func TestPollingMessages(t *testing.T) {
	const octets = "application/octet-stream"
	text := "中文é😀"
	for _, c := range []struct {
		query      string
		in, inType string // text and 01020304 from the client
		out        string // the same, and an attachment without bytes, to the client
		outType    string
	}{
		{"EIO=4", "4" + text + "\x1ebAQIDBA==", "text/plain;charset=UTF-8", "4" + text + "\x1ebAQIDBA==\x1eb", "text/plain; charset=UTF-8"},
		{"EIO=4&b64=1", "4" + text + "\x1ebAQIDBA==", "", "4" + text + "\x1ebAQIDBA==\x1eb", "text/plain; charset=UTF-8"},
		{
			"EIO=3", "\x00\x01\x03\xff4" + text + "\x01\x05\xff\x04\x01\x02\x03\x04", octets,
			"\x00\x01\x03\xff4" + text + "\x01\x05\xff\x04\x01\x02\x03\x04\x01\x01\xff\x04", octets,
		},
		{
			"EIO=3", "6:4" + text + "10:b4AQIDBA==", "text/plain;charset=UTF-8",
			"\x00\x01\x03\xff4" + text + "\x01\x05\xff\x04\x01\x02\x03\x04\x01\x01\xff\x04", octets,
		},
		{"EIO=3&b64=1", "6:4" + text + "10:b4AQIDBA==", "", "6:4" + text + "10:b4AQIDBA==2:b4", "text/plain; charset=UTF-8"},
	} {
		t.Run(c.query+" "+c.inType, func(t *testing.T) {
			bubble(t, engineio.Options{}, func(t *testing.T, r *rig) {
				p := r.open(c.query)
				a := p.post(c.in, "Content-Type", c.inType)
				wantAnswer(t, a, http.StatusOK, "ok")
				if ct := a.header.Get("Content-Type"); ct != "text/html" {
					t.Errorf("POST: Content-Type %q", ct)
				}
				want(t, p.events, "text "+text, "binary 01020304")

				p.send(text, []byte{1, 2, 3, 4}, nil)
				a = p.get()
				wantAnswer(t, a, http.StatusOK, c.out)
				h := a.header
				if h.Get("Content-Type") != c.outType || h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" {
					t.Errorf("GET: %v", h)
				}
			})
		})
	}
}

// Text alone leaves revision 3 as text, JSON in ASCII.
func TestPollingTextRevision3(t *testing.T) {
	bubble(t, engineio.Options{}, func(t *testing.T, r *rig) {
		p := r.open("EIO=3")
		for _, text := range []string{"one", `2["é"]`} {
			if err := p.session.Send(engineio.Prepare([]byte(text), 0)); err != nil {
				t.Fatal(err)
			}
		}
		a := p.get()
		wantAnswer(t, a, http.StatusOK, `4:4one`+`12:42["\u00e9"]`)
		if ct := a.header.Get("Content-Type"); ct != "text/plain; charset=UTF-8" {
			t.Errorf("Content-Type %q", ct)
		}
	})
}

// Text leaves in the binary framing for clients that take nothing else, and when it is long.
func TestPollingOctetsRevision3(t *testing.T) {
	long := `2["` + strings.Repeat("é", 15_000) + `"]`
	for query, text := range map[string]string{
		"EIO=2&t=1416848461132-0": `2["é"]`, "EIO=3&t=1416848461132-0": `2["é"]`, "EIO=3&t=PKcWtUA": long,
	} {
		t.Run(query, func(t *testing.T) {
			bubble(t, engineio.Options{}, func(t *testing.T, r *rig) {
				p := r.open(query)
				if err := p.session.Send(engineio.Prepare([]byte(text), 1)); err != nil {
					t.Fatal(err)
				}
				a := p.get()
				if ct := a.header.Get("Content-Type"); ct != "application/octet-stream" {
					t.Errorf("Content-Type %q", ct)
				}
				payload := engineio.Prepare([]byte(text), 1).Payload(engineio.FramingV3Binary)
				wantAnswer(t, a, http.StatusOK, string(payload))
			})
		})
	}
}

func TestPollWaits(t *testing.T) {
	bubble(t, engineio.Options{PingInterval: time.Hour}, func(t *testing.T, r *rig) {
		p := r.open("EIO=4")
		if sent, err := p.session.SendVolatile(engineio.Prepare([]byte("lost"), 4)); sent || err != nil {
			t.Errorf("SendVolatile without a GET = %v, %v", sent, err)
		}
		got := p.goGet()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if len(got) > 0 {
			t.Fatalf("answered with %+v", <-got)
		}
		if sent, err := p.session.SendVolatile(engineio.Prepare([]byte("now"), 3)); !sent || err != nil {
			t.Errorf("SendVolatile with a GET = %v, %v", sent, err)
		}
		wantAnswer(t, next(t, got), http.StatusOK, "4now")
		for _, text := range []string{"one", "two", "three"} {
			p.send(text)
		}
		wantAnswer(t, p.get(), http.StatusOK, "4one\x1e4two\x1e4three")
	})
}

func TestPollingHeartbeat(t *testing.T) {
	bubble(t, engineio.Options{}, func(t *testing.T, r *rig) {
		p := r.open("EIO=4")
		for range 3 {
			wantAnswer(t, p.get(), http.StatusOK, "2")
			wantAnswer(t, p.post("3"), http.StatusOK, "ok")
		}
		start := time.Now()
		got := p.goGet()
		wantAnswer(t, next(t, got), http.StatusOK, "2")
		wantAnswer(t, p.get(), http.StatusOK, "1") // told to a GET that waits
		if took := time.Since(start); took < 45*time.Second || took > 45100*time.Millisecond {
			t.Errorf("timed out after %v", took)
		}
		p.wantEnded(engineio.PingTimeout)

		p = r.open("EIO=3")
		for range 3 {
			time.Sleep(44 * time.Second)
			wantAnswer(t, p.post("1:2"), http.StatusOK, "ok")
			wantAnswer(t, p.get(), http.StatusOK, "1:3")
		}
		time.Sleep(45 * time.Second)
		p.wantRefused(p.post("1:2"), http.StatusBadRequest, engineio.PingTimeout)
	})
}

// What breaks the protocol ends the session; the GET that waits is told.
func TestPollingViolations(t *testing.T) {
	post := func(body string, header ...string) func(*peer) answer {
		return func(p *peer) answer { return p.post(body, header...) }
	}
	for _, c := range []struct {
		name, query string
		do          func(*peer) answer
		status      int
		reason      engineio.Reason
	}{
		{"second GET", "EIO=4", (*peer).get, http.StatusBadRequest, engineio.TransportError},
		{"second GET, revision 3", "EIO=3", (*peer).get, http.StatusBadRequest, engineio.TransportError},
		{"no packet", "EIO=4", post("abc"), http.StatusBadRequest, engineio.ParseError},
		{"no packet, revision 3", "EIO=3", post("abc"), http.StatusBadRequest, engineio.ParseError},
		{"no payload", "EIO=4", post(""), http.StatusBadRequest, engineio.ParseError},
		{"no payload, revision 3", "EIO=3", post("7:4hello"), http.StatusBadRequest, engineio.ParseError},
		{"no UTF-8", "EIO=4", post("4\xff"), http.StatusBadRequest, engineio.ParseError},
		{"octets in revision 4", "EIO=4", post("4hello", "Content-Type", "application/octet-stream"), http.StatusBadRequest, engineio.TransportError},
		{"wrong direction", "EIO=4", post("2"), http.StatusBadRequest, engineio.TransportError},
		{"wrong direction, revision 3", "EIO=3", post("1:3"), http.StatusBadRequest, engineio.TransportError},
		{"too large", "EIO=4", post("4" + strings.Repeat("x", 1000)), http.StatusRequestEntityTooLarge, engineio.TransportError},
		{"too large, length unknown", "EIO=4", func(p *peer) answer {
			body := io.MultiReader(strings.NewReader("4" + strings.Repeat("x", 1000)))
			return p.do(context.Background(), http.MethodPost, p.query, body)
		}, http.StatusRequestEntityTooLarge, engineio.TransportError},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, engineio.Options{MaxPayload: 1000}, func(t *testing.T, r *rig) {
				p, other := r.open(c.query), r.open(c.query)
				waits := p.goGet()
				synctest.Wait()
				a := c.do(p)
				told := "1"
				if strings.HasPrefix(c.query, "EIO=3") {
					told = "1:1"
				}
				wantAnswer(t, next(t, waits), http.StatusOK, told)
				p.wantRefused(a, c.status, c.reason)
				// Nobody else is affected.
				other.send("x")
				if a := other.get(); a.status != http.StatusOK {
					t.Errorf("the other session: %+v", a)
				}
			})
		})
	}
}

// The largest body allowed is taken.
func TestPostOfTheLimit(t *testing.T) {
	bubble(t, engineio.Options{MaxPayload: 1000}, func(t *testing.T, r *rig) {
		p := r.open("EIO=4")
		text := strings.Repeat("x", 999)
		wantAnswer(t, p.post("4"+text), http.StatusOK, "ok")
		body := io.MultiReader(strings.NewReader("4" + text)) // length unknown
		wantAnswer(t, p.do(context.Background(), http.MethodPost, p.query, body), http.StatusOK, "ok")
		want(t, p.events, "text "+text, "text "+text)
	})
}

// A client may send the next GET as soon as it has read the answer to the last.
func TestGetsFollow(t *testing.T) {
	bubble(t, engineio.Options{}, func(t *testing.T, r *rig) {
		p := r.open("EIO=4")
		for i := range 200 {
			first := p.goGet()
			if i%2 == 0 {
				synctest.Wait()
			}
			p.send("x")
			if a := next(t, first); a.status != http.StatusOK || a.body != "4x" {
				t.Fatalf("GET %d: %+v", i, a)
			}
		}
	})
}

func TestTwoPostsAtOnce(t *testing.T) {
	bubble(t, engineio.Options{}, func(t *testing.T, r *rig) {
		p := r.open("EIO=4")
		body, w := io.Pipe()
		first := make(chan answer, 1)
		go func() { first <- p.do(context.Background(), http.MethodPost, p.query, body) }()
		if _, err := io.WriteString(w, "4one"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		p.wantRefused(p.post("4two"), http.StatusBadRequest, engineio.TransportError)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		wantAnswer(t, next(t, first), http.StatusOK, "ok") // of no use to anybody
		if len(p.events) > 0 {
			t.Errorf("%q came behind the end", <-p.events)
		}
		p = r.open("EIO=4")
		for _, text := range []string{"one", "two", "three"} {
			wantAnswer(t, p.post("4"+text), http.StatusOK, "ok")
			want(t, p.events, "text "+text)
		}
	})
}

// A body that does not come in time ends its session.
func TestSlowPost(t *testing.T) {
	bubble(t, engineio.Options{PingInterval: time.Hour}, func(t *testing.T, r *rig) {
		p := r.open("EIO=4")
		body, w := io.Pipe()
		defer w.Close() //nolint:errcheck // ends the request's writer
		first := make(chan answer, 1)
		start := time.Now()
		go func() { first <- p.do(context.Background(), http.MethodPost, p.query, body) }()
		if _, err := io.WriteString(w, "4one"); err != nil {
			t.Fatal(err)
		}
		want(t, p.events, "closed: transport error")
		if took := time.Since(start); took != 30*time.Second {
			t.Errorf("ended after %v", took)
		}
		if a := next(t, first); a.err == nil && a.status != http.StatusBadRequest {
			t.Errorf("%+v", a)
		}
	})
}

// A client that does not read the answer to its GET does not hold the server up for ever.
func TestStalledGet(t *testing.T) {
	bubble(t, engineio.Options{PingInterval: time.Hour}, func(t *testing.T, r *rig) {
		p := r.open("EIO=4")
		p.send(strings.Repeat("x", 1<<20))
		conn, err := r.dial()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close() //nolint:errcheck // the end of the test
		if _, err := io.WriteString(conn, "GET /socket.io/?transport=polling&"+p.query+" HTTP/1.1\r\nHost: crier.test\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		p.wantEnded(engineio.TransportError)
		if took := time.Since(start); took != 30*time.Second {
			t.Errorf("ended after %v", took)
		}
	})
}

func TestClientBreaksOff(t *testing.T) {
	bubble(t, engineio.Options{}, func(t *testing.T, r *rig) {
		p := r.open("EIO=4")
		ctx, cancel := context.WithCancel(context.Background())
		got := make(chan answer, 1)
		go func() { got <- p.do(ctx, http.MethodGet, p.query, nil) }()
		synctest.Wait()
		cancel()
		if a := next(t, got); !errors.Is(a.err, context.Canceled) {
			t.Errorf("%+v", a)
		}
		p.wantEnded(engineio.TransportError)

		p = r.open("EIO=4")
		body, w := io.Pipe()
		go func() { got <- p.do(context.Background(), http.MethodPost, p.query, body) }()
		if _, err := io.WriteString(w, "4one"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := w.CloseWithError(errors.New("gone")); err != nil {
			t.Fatal(err)
		}
		if a := next(t, got); a.err == nil {
			t.Errorf("%+v", a)
		}
		p.wantEnded(engineio.TransportError)
	})
}

func TestPollingMethods(t *testing.T) {
	bubble(t, engineio.Options{}, func(t *testing.T, r *rig) {
		p := r.open("EIO=4")
		for _, method := range []string{http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodPatch} {
			a := p.do(context.Background(), method, p.query, nil)
			if a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != "GET, POST, OPTIONS" {
				t.Errorf("%s: %+v", method, a)
			}
		}
		p.send("still here")
		wantAnswer(t, p.get(), http.StatusOK, "4still here")
	})
}

func TestPollingQueueFull(t *testing.T) {
	for name, o := range map[string]engineio.Options{
		"messages": {QueueMessages: 100},
		"bytes":    {QueueBytes: 1000},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, o, func(t *testing.T, r *rig) {
				p, other := r.open("EIO=4"), r.open("EIO=4")
				msg := engineio.Prepare([]byte("0123456789"), 10)
				for i := range 100 {
					if err := p.session.Send(msg); err != nil {
						t.Fatalf("message %d: %v", i, err)
					}
				}
				if err := p.session.Send(msg); !errors.Is(err, engineio.ErrQueueFull) {
					t.Errorf("Send = %v", err)
				}
				if err := p.session.Send(msg); !errors.Is(err, engineio.ErrClosed) {
					t.Errorf("Send after the end = %v", err)
				}
				p.wantEnded(engineio.SlowConsumer)
				if st := r.srv.Stats(); st.SlowConsumers.Total() != 1 || st.Sessions != 1 {
					t.Errorf("%+v", st)
				}
				other.send("still here")
				wantAnswer(t, other.get(), http.StatusOK, "4still here")
				// One message of any size is taken, with its attachments.
				other.send("large", slices.Repeat([]byte("x"), 2000), nil)
				if a := other.get(); a.status != http.StatusOK || len(a.body) < 2000 {
					t.Errorf("%+v", a)
				}
			})
		})
	}
}
