package fastpath

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// upgrades are requests for a WebSocket that the fast path answers.
func upgrades() map[string]string {
	const get, host = "GET /?transport=websocket HTTP/1.1", "Host: 127.0.0.1:2120"
	const connection, upgrade, key = "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
	return map[string]string{
		"browser":      crlf(get, host, connection, upgrade, key, "Sec-WebSocket-Version: 13", "Origin: http://a", "Cookie: a=b; c=d", "", ""),
		"Firefox":      crlf(get, host, "Connection: keep-alive, Upgrade", upgrade, key, "", ""),
		"other cases":  crlf(get, host, "connection: upgrade", "UPGRADE: WebSocket", key, "", ""),
		"least":        crlf("GET / HTTP/1.1", "Host: a", upgrade, connection, "", ""),
		"frames":       crlf(get, host, connection, upgrade, key, "", "\x81\x82abcd\x00\xff"),
		"line ends":    crlf(get, host, connection, upgrade, key, "", "\r\n\r\n"),
		"much":         crlf(get, host, connection, upgrade, key, "", strings.Repeat("much ", 3000)),
		"next request": crlf(get, host, connection, upgrade, key, "", push),
	}
}

// unusual are requests for a WebSocket, or nearly, that go to net/http.
func unusual() map[string]string {
	const get, host = "GET /?transport=websocket HTTP/1.1", "Host: 127.0.0.1:2120"
	const connection, upgrade = "Connection: Upgrade", "Upgrade: websocket"
	return map[string]string{
		"no Upgrade":          crlf(get, host, connection, "", ""),
		"no Connection":       crlf(get, host, upgrade, "", ""),
		"Connection: close":   crlf(get, host, "Connection: close", upgrade, "", ""),
		"another list":        crlf(get, host, "Connection: upgrade, close", upgrade, "", ""),
		"two Connections":     crlf(get, host, connection, "Connection: keep-alive", upgrade, "", ""),
		"two Upgrades":        crlf(get, host, connection, upgrade, upgrade, "", ""),
		"another protocol":    crlf(get, host, connection, "Upgrade: h2c", "", ""),
		"list of protocols":   crlf(get, host, connection, "Upgrade: websocket, h2c", "", ""),
		"another method":      crlf("PUT /?transport=websocket HTTP/1.1", host, connection, upgrade, "", ""),
		"POST":                crlf("POST /v1/push HTTP/1.1", host, connection, upgrade, "", ""),
		"length":              crlf(get, host, connection, upgrade, "Content-Length: 0", "", ""),
		"body":                crlf(get, host, connection, upgrade, "Content-Length: 3", "", "abc"),
		"chunked":             crlf(get, host, connection, upgrade, "Transfer-Encoding: chunked", "", "0", "", ""),
		"HTTP/1.0":            crlf("GET / HTTP/1.0", host, connection, upgrade, "", ""),
		"another path":        crlf("GET /ws HTTP/1.1", host, connection, upgrade, "", ""),
		"another query":       crlf("GET /?poll HTTP/1.1", host, connection, upgrade, "", ""),
		"cut in the head":     crlf(get, host, connection),
		"Expect":              crlf(get, host, connection, upgrade, "Expect: 100-continue", "", ""),
		"head too large":      crlf(get, host, connection, upgrade, "A: "+strings.Repeat("x", bufferSize), "", ""),
		"more fields than 64": crlf(get, host, connection, upgrade, strings.Repeat("A: b\r\n", 64), ""),
	}
}

// switcher answers a request for a WebSocket with what it has of it, and then sends back what comes.
func switcher(t testing.TB, hijack bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
			mirror(w, r)
			return
		}
		var seen strings.Builder
		for _, key := range slices.Sorted(maps.Keys(r.Header)) {
			fmt.Fprintf(&seen, "%s=%q ", key, r.Header[key])
		}
		fmt.Fprintf(&seen, "%s %s %s %s %d %v", r.Method, r.RequestURI, r.Host, r.Proto, r.ContentLength, r.Body == http.NoBody)
		nc, early, err := connectionOf(w, hijack)
		if err != nil {
			t.Error(err)
			return
		}
		go func() { // as a session does, long after the handler has returned
			_, err := nc.Write(append([]byte("HTTP/1.1 101 Switching Protocols\r\n\r\n"+seen.String()+"\n"), early...))
			if err == nil {
				_, err = io.Copy(nc, nc)
			}
			if err = errors.Join(err, nc.Close()); err != nil {
				t.Error(err)
			}
		}()
	}
}

// connectionOf takes a connection over.
func connectionOf(w http.ResponseWriter, hijack bool) (net.Conn, []byte, error) {
	if t, ok := w.(*response); ok && !hijack {
		return t.Takeover()
	}
	nc, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil, err
	}
	early := make([]byte, rw.Reader.Buffered())
	_, err = io.ReadFull(rw.Reader, early)
	return nc, early, errors.Join(err, nc.SetDeadline(time.Time{}))
}

// TestSameUpgrades sends the same bytes to a port with and to one without a Listener.
func TestSameUpgrades(t *testing.T) {
	for _, hijack := range []bool{false, true} {
		handler := switcher(t, hijack)
		t.Run(fmt.Sprintf("polled, hijack %v", hijack), func(t *testing.T) { sameUpgrades(t, open(t, true, handler), open(t, false, handler), true) })
		t.Run(fmt.Sprintf("parked, hijack %v", hijack), func(t *testing.T) { sameUpgrades(t, openParked(t, handler), open(t, false, handler), false) })
	}
}

func sameUpgrades(t *testing.T, ours, theirs *port, polled bool) {
	for _, group := range []struct {
		name     string
		requests map[string]string
		handed   int32
	}{{"taken", upgrades(), 0}, {"left", unusual(), 1}} {
		for name, raw := range group.requests {
			t.Run(group.name+"/"+name, func(t *testing.T) {
				before := ours.handed.Load()
				got, want := ours.exchange(t, raw), theirs.exchange(t, raw)
				if got != want {
					t.Errorf("a client gets\n%s\nand from net/http\n%s", got, want)
				}
				if switched := strings.HasPrefix(got, "HTTP/1.1 101 "); group.handed == 0 && !switched {
					t.Errorf("no connection was taken over: %s", got)
				}
				if n := ours.handed.Load() - before; n != group.handed && name != "no Connection" && (name != "much" || !polled) {
					t.Errorf("%d connections went to net/http, want %d", n, group.handed)
				}
				if n := ours.fast.Open(); n != 0 && group.handed == 0 {
					t.Errorf("%d connections are open", n)
				}
			})
		}
	}
}

// TestRefusedUpgrades has requests for a WebSocket answered as others are, which leaves the connection as it is.
func TestRefusedUpgrades(t *testing.T) {
	ours, theirs := open(t, true, mirror), open(t, false, mirror)
	for name, raw := range upgrades() {
		if name == "much" {
			continue // a request line without an end: where it is cut depends on the buffer
		}
		t.Run(name, func(t *testing.T) {
			if got, want := ours.exchange(t, raw), theirs.exchange(t, raw); got != want {
				t.Errorf("a client gets\n%s\nand from net/http\n%s", got, want)
			}
		})
	}
}

// TestTakeoverWatched takes over a connection that is watched for its client's end: what the client has said meanwhile is not lost, and
// the request's context lives as long as its handler.
func TestTakeoverWatched(t *testing.T) {
	taken, went := make(chan bool), make(chan bool)
	p := open(t, true, func(w http.ResponseWriter, r *http.Request) {
		over := r.Context().Done()
		taken <- true
		<-went
		nc, early, err := w.(*response).Takeover()
		if err == nil {
			err = r.Context().Err()
		}
		select {
		case <-over:
			err = errors.Join(err, errors.New("the context has ended"))
		default:
		}
		if err != nil {
			t.Error(err)
			return
		}
		if _, _, err := w.(*response).Takeover(); !errors.Is(err, http.ErrHijacked) {
			t.Errorf("taken over twice: %v", err)
		}
		rest, err := io.ReadAll(nc)
		if err == nil {
			_, err = nc.Write(append(early, rest...))
		}
		if err = errors.Join(err, nc.Close()); err != nil {
			t.Error(err)
		}
	})
	c := p.dial(t)
	send(t, c, upgrades()["least"]+"ab")
	<-taken
	send(t, c, "cdef")
	went <- true
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c); err != nil || string(got) != "abcdef" {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestOnlyUpgrades takes requests for a WebSocket alone: others of the same path go to net/http.
func TestOnlyUpgrades(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &port{addr: l.Addr().String(), ended: make(chan error, 1), server: &http.Server{Handler: switcher(t, false)}}
	p.server.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			p.handed.Add(1)
		}
	}
	if p.fast, err = New(Options{Listener: l, Server: p.server, Upgrades: takesUpgrade}); err != nil {
		t.Fatal(err)
	}
	go func() { p.ended <- p.server.Serve(p.fast) }()
	for i, raw := range []string{upgrades()["least"], crlf("GET / HTTP/1.1", "Host: a", "", ""), push} {
		if got := p.exchange(t, raw); !strings.HasPrefix(got, "HTTP/1.1 ") {
			t.Errorf("%q is answered with %q", raw, got)
		}
		if n := p.handed.Load(); n != int32(i) {
			t.Errorf("%d connections went to net/http, want %d", n, i)
		}
	}
	if err := p.stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestTakeoverOfAnother cannot have the connection of a request for something else.
func TestTakeoverOfAnother(t *testing.T) {
	p := open(t, true, func(w http.ResponseWriter, r *http.Request) {
		if _, _, err := http.NewResponseController(w).Hijack(); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("Hijack: %v", err)
		}
		echo(w, r)
	})
	c := p.dial(t)
	send(t, c, push)
	wantAnswer(t, bufio.NewReader(c), "/v1/push {}")
}

// TestDeafen closes a port, whose connections are served on.
func TestDeafen(t *testing.T) {
	p := open(t, true, switcher(t, false))
	fresh, half := p.dial(t), p.dial(t)
	raw := upgrades()["least"]
	send(t, half, raw[:20])
	await(t, "both connections", func() bool { return p.fast.Open() == 2 })
	if err := p.fast.Deafen(); err != nil {
		t.Fatal(err)
	}
	if c, err := net.Dial("tcp", p.addr); err == nil {
		t.Error("the port is still open")
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	send(t, half, raw[20:])
	send(t, fresh, other)
	for _, c := range []net.Conn{half, fresh} {
		if line, err := bufio.NewReader(c).ReadBytes('\n'); err != nil || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
			t.Errorf("got %q, %v", line, err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}
