package hop

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// echo tells what has arrived.
func echo(w http.ResponseWriter, r *http.Request, p *Passed) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	kind := Kind("")
	if p != nil {
		kind = p.Kind + Kind(p.Extra)
	}
	w.Header().Set("Set-Cookie", "a=b")
	w.WriteHeader(http.StatusAccepted)
	fmt.Fprintf(w, "%s %s %s%s %q %s %q", kind, r.Method, r.Host, r.URL.RequestURI(), body, r.RemoteAddr, []string{
		r.Header.Get("X-Forwarded-For"), r.Header.Get("Origin"), r.Header.Get("User-Agent"), r.Header.Get("Crier-Hop"), r.Header.Get("Accept-Encoding"),
	})
}

// A request arrives at the server that it is for as it came to the first, from the client's address.
func TestPass(t *testing.T) {
	o := newTown()
	first, _ := newNode(t, o, "first2", nil, unknown), newNode(t, o, "second", nil, echo)
	for name, test := range map[string]struct{ method, path, body string }{
		"a poll":             {"GET", "/socket.io/?EIO=4&transport=polling&sid=x", ""},
		"a POST":             {"POST", "/socket.io/?EIO=4&sid=x", "40\x1e2\x00\xff"},
		"an odd query":       {"GET", "/socket.io/?sid=x;y&j=%zz&&q=a+b", ""},
		"an odd path":        {"GET", "/a%2Fb/%E4%B8%AD", ""},
		"an empty POST":      {"POST", "/", ""},
		"one that is cached": {"HEAD", "/", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := send(t, test.method, first.url+test.path, test.body, func(r *http.Request) {
				r.Host = "shop.example"
				r.Header.Set(passTo, "second")
				r.Header.Set("Origin", "https://shop.example")
				r.Header.Set("X-Forwarded-For", "203.0.113.7, 10.0.0.1")
				r.Header.Set("User-Agent", "")
			})
			start := fmt.Sprintf("visit %s shop.example%s %q 127.0.0.1:", test.method, test.path, test.body)
			end := ` ["203.0.113.7, 10.0.0.1" "https://shop.example" "" "" ""]`
			if test.method == "HEAD" {
				start, end = "", ""
			}
			if got.status != http.StatusAccepted || !strings.HasPrefix(got.body, start) || !strings.HasSuffix(got.body, end) || got.header.Get("Set-Cookie") != "a=b" {
				t.Errorf("%+v\nwant %s…%s", got, start, end)
			}
			if own := first.server.Listener.Addr().String(); strings.Contains(got.body, own) {
				t.Errorf("it came from %s, the server that passed it on", own)
			}
		})
	}
}

// What is compressed stays so.
func TestPassCompressed(t *testing.T) {
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := io.WriteString(z, strings.Repeat("news ", 1000)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	o := newTown()
	first := newNode(t, o, "first2", nil, unknown)
	newNode(t, o, "second", nil, func(w http.ResponseWriter, r *http.Request, _ *Passed) {
		if r.Header.Get("Accept-Encoding") != "gzip" {
			t.Errorf("Accept-Encoding %q", r.Header["Accept-Encoding"])
		}
		w.Header().Set("Content-Encoding", "gzip")
		if _, err := w.Write(zipped.Bytes()); err != nil {
			t.Error(err)
		}
	})
	got := send(t, "GET", first.url, "", func(r *http.Request) {
		r.Header.Set(passTo, "second")
		r.Header.Set("Accept-Encoding", "gzip")
	})
	if got.body != zipped.String() || got.header.Get("Content-Encoding") != "gzip" {
		t.Errorf("%d bytes, %v", len(got.body), got.header)
	}
}

// An answer is passed back while it is still being made.
func TestPassStreams(t *testing.T) {
	o := newTown()
	first := newNode(t, o, "first2", nil, unknown)
	goOn := make(chan struct{})
	newNode(t, o, "second", nil, func(w http.ResponseWriter, r *http.Request, _ *Passed) {
		fmt.Fprint(w, "one")
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		select {
		case <-goOn:
			fmt.Fprint(w, "two")
		case <-r.Context().Done():
		}
	})
	r, err := http.NewRequest(http.MethodGet, first.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	to("second")(r)
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	part := make([]byte, 3)
	if _, err := io.ReadFull(resp.Body, part); err != nil || string(part) != "one" {
		t.Fatalf("%q, %v", part, err)
	}
	close(goOn)
	if rest, err := io.ReadAll(resp.Body); err != nil || string(rest) != "two" {
		t.Errorf("%q, %v", rest, err)
	}
}

// When the client goes, the server that it is for learns of it.
func TestPassEnds(t *testing.T) {
	o := newTown()
	first := newNode(t, o, "first2", nil, unknown)
	began, gone := make(chan struct{}), make(chan struct{})
	newNode(t, o, "second", nil, func(_ http.ResponseWriter, r *http.Request, _ *Passed) {
		close(began)
		<-r.Context().Done()
		close(gone)
	})
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, first.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	to("second")(r)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if resp, err := client.Do(r); err == nil {
			t.Errorf("status %d", resp.StatusCode)
			resp.Body.Close()
		}
	}()
	<-began
	if got := first.Stats(); got.Requests != 1 {
		t.Errorf("%+v", got)
	}
	cancel()
	<-ended
	<-gone
	await(t, "the end of the request", func() bool { return first.Stats().Requests == 0 })
}

// A server that is not there has no session: the first answers by itself, at once.
func TestOwnerGone(t *testing.T) {
	o := newTown()
	first := newNode(t, o, "first2", nil, unknown)
	asked := 0
	second := newNode(t, o, "second", nil, func(w http.ResponseWriter, _ *http.Request, _ *Passed) { asked++ })
	if got := send(t, "GET", first.url, "", to("second")); got.status != http.StatusOK {
		t.Fatalf("%+v", got)
	}
	second.server.Close()
	o.mu.Lock()
	o.owners["bad222"] = "://"
	o.mu.Unlock()
	for name, tag := range map[string]string{"gone": "second", "gone a moment ago": "second", "never there": "nobody", "nowhere": "bad222"} {
		for _, method := range []string{"GET", "POST"} {
			if got := send(t, method, first.url, "body", to(tag)); got.status != http.StatusBadRequest || got.body != "Session ID unknown\n" {
				t.Errorf("%s: %+v", name, got)
			}
		}
		_, _, resp := upgrade(t, first.url, tag)
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: a WebSocket is answered %d", name, resp.StatusCode)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
	if log := first.log.String(); strings.Count(log, "level=WARN") != 1 {
		t.Errorf("want one warning:\n%s", log)
	}
}

// One that hangs is not waited for without end.
func TestOwnerHangs(t *testing.T) {
	o := newTown()
	first := newNode(t, o, "first2", func(o *Options) { o.AnswerTimeout = 50 * time.Millisecond }, unknown)
	newNode(t, o, "second", nil, func(_ http.ResponseWriter, r *http.Request, _ *Passed) { <-r.Context().Done() })
	if got := send(t, "GET", first.url, "", to("second")); got.status != http.StatusGatewayTimeout || !strings.Contains(got.body, "does not answer") {
		t.Errorf("%+v", got)
	}
	_, _, resp := upgrade(t, first.url, "second")
	if resp.StatusCode != http.StatusGatewayTimeout {
		t.Errorf("a WebSocket is answered %d", resp.StatusCode)
	}
}

// There is one hop: who is sent what is for another server says so, and the first answers by itself.
func TestOneHop(t *testing.T) {
	o := newTown()
	first := newNode(t, o, "first2", nil, unknown)
	second := newNode(t, o, "second", nil, echo)
	o.mu.Lock()
	o.owners["third2"] = second.url
	o.mu.Unlock()
	if got := send(t, "GET", first.url, "", to("third2")); got.status != http.StatusBadRequest {
		t.Errorf("%+v", got)
	}
	if log := first.log.String(); !strings.Contains(log, "cluster.advertise") {
		t.Errorf("the log does not name the setting:\n%s", log)
	}
}

// Who is no server of the cluster cannot pretend to be one.
func TestForged(t *testing.T) {
	mine, other := newTown(), newTown()
	other.secrets = [][]byte{[]byte("guessed")}
	first := newNode(t, other, "first2", nil, unknown)
	second := newNode(t, mine, "second", nil, echo)
	other.mu.Lock()
	other.owners["second"] = second.url
	other.mu.Unlock()
	if got := send(t, "GET", first.url, "", to("second")); got.status != http.StatusBadRequest {
		t.Errorf("%+v", got)
	}
	got := send(t, "GET", second.url, "", func(r *http.Request) { r.Header.Set(header, "visit second 1 203.0.113.7:1 . AAAA") })
	if got.status != http.StatusForbidden || !strings.Contains(got.header.Get(header), "cluster.prefix") {
		t.Errorf("%+v", got)
	}
	mine.mu.Lock()
	mine.secrets = nil
	mine.mu.Unlock()
	if got := send(t, "GET", second.url, "", func(r *http.Request) { r.Header.Set(header, "x") }); got.status != http.StatusForbidden {
		t.Errorf("without a secret: %+v", got)
	}
}

// The leader is told who calls.
func TestCall(t *testing.T) {
	o := newTown()
	leader := newNode(t, o, "leader", nil, echo)
	first := newNode(t, o, "first2", nil, nil)
	rec := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPut, "/v1/schedules/a", strings.NewReader("{}"))
	r.RemoteAddr = "203.0.113.7:4711"
	if !first.Call(rec, r, "leader", `{"may":"push"}`) {
		t.Fatal("it was not passed on")
	}
	if want := `call{"may":"push"} PUT example.com/v1/schedules/a "{}" 203.0.113.7:4711 `; !strings.HasPrefix(rec.Body.String(), want) {
		t.Errorf("%s\nwant %s", rec.Body, want)
	}
	leader.server.Close()
	rec = httptest.NewRecorder()
	if first.Call(rec, httptest.NewRequest(http.MethodGet, "/v1/schedules", nil), "leader", "") || rec.Body.Len() > 0 {
		t.Errorf("without a leader: %s", rec.Body)
	}
}

// A server that stops has the polls that wait there for others answered.
func TestRelease(t *testing.T) {
	o := newTown()
	first := newNode(t, o, "first2", nil, unknown)
	nudged, began := make(chan struct{}), make(chan struct{})
	newNode(t, o, "second", nil, func(w http.ResponseWriter, r *http.Request, p *Passed) {
		if p.Kind == Nudge {
			if r.URL.RequestURI() != "/socket.io/?sid=x" {
				t.Errorf("nudged %s", r.URL)
			}
			close(nudged)
			w.WriteHeader(http.StatusNoContent)
			return
		}
		close(began)
		<-nudged
		fmt.Fprint(w, "6")
	})
	got := make(chan answer, 1)
	go func() { got <- send(t, "GET", first.url+"/socket.io/?sid=x", "", to("second")) }()
	<-began
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	first.Release(ctx)
	if a := <-got; a.body != "6" || ctx.Err() != nil {
		t.Errorf("%+v, %v", a, ctx.Err())
	}
}

// Bytes go through both ways, without a limit, and a side that goes is followed by the other.
func TestTunnel(t *testing.T) {
	for name, ownerEnds := range map[string]bool{"the client ends": false, "the owner ends": true} {
		t.Run(name, func(t *testing.T) {
			o := newTown()
			first := newNode(t, o, "first2", nil, unknown)
			taken := make(chan net.Conn, 1)
			newNode(t, o, "second", nil, func(w http.ResponseWriter, r *http.Request, p *Passed) {
				if r.Host != "shop.example" || r.Header.Get("Upgrade") != "websocket" || r.Header.Get("User-Agent") != "" || p == nil {
					t.Errorf("%+v", r)
				}
				conn, rw, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: yes\r\n\r\nhello"); err != nil {
					t.Error(err)
				}
				early := make([]byte, 5)
				if _, err := io.ReadFull(rw, early); err != nil || string(early) != "early" {
					t.Errorf("%q, %v", early, err)
				}
				taken <- conn
			})
			conn, from, resp := upgrade(t, first.url, "second")
			if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Sec-WebSocket-Accept") != "yes" {
				t.Fatalf("%+v", resp)
			}
			hello := make([]byte, 5)
			if _, err := io.ReadFull(from, hello); err != nil || string(hello) != "hello" {
				t.Fatalf("%q, %v", hello, err)
			}
			owner := <-taken
			defer owner.Close()
			if err := owner.SetDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			if got := first.Stats(); got.WebSockets != 1 {
				t.Errorf("%+v", got)
			}
			// More than all buffers hold, so that one side has to wait for the other.
			much := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
			written := make(chan error, 1)
			go func() {
				_, err := owner.Write(much)
				written <- err
			}()
			got := make([]byte, len(much))
			if _, err := io.ReadFull(from, got); err != nil || !bytes.Equal(got, much) {
				t.Errorf("what the owner sent: %v", err)
			}
			if err := <-written; err != nil {
				t.Error(err)
			}
			if _, err := io.WriteString(conn, "up"); err != nil {
				t.Error(err)
			}
			up := make([]byte, 2)
			if _, err := io.ReadFull(owner, up); err != nil || string(up) != "up" {
				t.Errorf("%q, %v", up, err)
			}
			ends, other := conn, io.Reader(owner)
			if ownerEnds {
				ends, other = owner, from
			}
			if err := ends.Close(); err != nil {
				t.Error(err)
			}
			if rest, err := io.ReadAll(other); err != nil || len(rest) > 0 {
				t.Errorf("behind the end: %q, %v", rest, err)
			}
			if ownerEnds {
				conn.Close()
			} else {
				owner.Close()
			}
			await(t, "the end of the tunnel", func() bool { return first.Stats().WebSockets == 0 && first.poller.Len() == 0 })
		})
	}
}

// A WebSocket that is refused is refused in the words of the server that it is for.
func TestTunnelRefused(t *testing.T) {
	o := newTown()
	first := newNode(t, o, "first2", nil, unknown)
	newNode(t, o, "second", nil, func(w http.ResponseWriter, _ *http.Request, _ *Passed) {
		w.Header().Set("Content-Type", "application/json")
		http.Error(w, "no", http.StatusForbidden)
	})
	_, _, resp := upgrade(t, first.url, "second")
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusForbidden || string(body) != "no\n" {
		t.Errorf("%d %q, %v", resp.StatusCode, body, err)
	}
}

// A server that stops ends the WebSockets that go through it.
func TestTunnelRetires(t *testing.T) {
	o := newTown()
	first := newNode(t, o, "first2", nil, unknown)
	newNode(t, o, "second", nil, func(w http.ResponseWriter, _ *http.Request, _ *Passed) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		go func() {
			defer conn.Close()
			if _, err := io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n\r\n"); err != nil {
				t.Error(err)
			}
			io.Copy(io.Discard, conn)
		}()
	})
	conn, from, _ := upgrade(t, first.url, "second")
	ends := first.Retire()
	if len(ends) != 1 {
		t.Fatalf("%d WebSockets", len(ends))
	}
	ends[0]()
	if rest, err := io.ReadAll(from); err != nil || len(rest) > 0 {
		t.Errorf("%q, %v", rest, err)
	}
	conn.Close()
	await(t, "the end of both connections", func() bool { return first.poller.Len() == 0 })
}
