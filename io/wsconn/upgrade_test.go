package wsconn

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"crier/io/netpoll"
)

// echo sends every message back.
type echo struct {
	*recorder
	c *Conn
}

func (e *echo) Message(op ws.OpCode, p []byte) error {
	frame := AppendBinary(nil, p)
	if op == ws.OpText {
		frame = AppendText(nil, p)
	}
	return e.c.SendCopy(frame, 1) // which compresses, if the client has agreed
}

// serve starts a server that upgrades to echo.
func serve(t *testing.T, u *Upgrader, secure bool) (*httptest.Server, *recorder) {
	t.Helper()
	r := newRecorder()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		c, err := u.Upgrade(w, req, http.Header{"X-Extra": {"yes"}}, func(c *Conn) Handler { return &echo{r, c} })
		if err != nil {
			t.Errorf("Upgrade: %v", err)
			return
		}
		c.Start()
	}))
	if secure {
		srv.StartTLS()
	} else {
		srv.Start()
	}
	t.Cleanup(srv.Close)
	return srv, r
}

func TestUpgradeAndEcho(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%v", secure), func(t *testing.T) {
			u := newUpgrader(t, Options{})
			srv, r := serve(t, u, secure)
			extra := ""
			d := ws.Dialer{
				TLSConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // the test's own server
				OnHeader: func(k, v []byte) error {
					if string(k) == "X-Extra" {
						extra = string(v)
					}
					return nil
				},
			}
			client, _, _, err := d.Dial(context.Background(), "ws"+strings.TrimPrefix(srv.URL, "http"))
			if err != nil {
				t.Fatal(err)
			}
			if extra != "yes" {
				t.Errorf("extra header is %q", extra)
			}
			for _, n := range []int{0, 1, 125, 126, 5000, 70_000, 999_999} {
				sent := []byte(strings.Repeat("é", n/2) + strings.Repeat("x", n%2))
				for _, op := range []ws.OpCode{ws.OpText, ws.OpBinary} {
					done := make(chan error, 1)
					go func() { done <- wsutil.WriteClientMessage(client, op, sent) }()
					got, gotOp, err := wsutil.ReadServerData(client)
					if err != nil || gotOp != op || string(got) != string(sent) {
						t.Errorf("%d bytes of %s: got %d of %s, %v", n, opName(op), len(got), opName(gotOp), err)
					}
					if err := <-done; err != nil {
						t.Error(err)
					}
				}
			}
			write(t, client, clientFrame(ws.OpClose, true, []byte("\x03\xe8")))
			if _, closing := readAll(t, client); closing != "\x03\xe8!" {
				t.Errorf("close frame %q", closing)
			}
			if err := r.wait(t); !remote(1000)(err) {
				t.Errorf("Closed(%v)", err)
			}
			client.Close()
			closePoller(t, u)
		})
	}
}

const handshake = "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// Frames in the same packet as the handshake are not lost.
func TestUpgradeWithEarlyFrames(t *testing.T) {
	u := newUpgrader(t, Options{})
	srv, _ := serve(t, u, false)
	client, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	frames := append(clientFrame(ws.OpText, true, []byte("one")), clientFrame(ws.OpText, true, []byte("two"))...)
	cut := len(frames) - 2
	write(t, client, append([]byte(handshake), frames[:cut]...))
	br := bufio.NewReader(client)
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	// RFC 6455 §1.3 gives the answer to this key.
	if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Errorf("answer %s, accept %q", resp.Status, resp.Header.Get("Sec-WebSocket-Accept"))
	}
	for i, want := range []string{"one", "two"} {
		if i == 1 {
			write(t, client, frames[cut:])
		}
		f, err := readFrame(br)
		if err != nil || string(f.Payload) != want {
			t.Errorf("got %q, %v, want %q", f.Payload, err, want)
		}
	}
}

func TestUpgradeRefuses(t *testing.T) {
	tests := []struct {
		name    string
		replace [2]string
		status  int
		header  [2]string // must be in the answer
	}{
		{"plain GET", [2]string{"Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n", ""}, 426, [2]string{"Upgrade", "websocket"}},
		{"other upgrade", [2]string{"Upgrade: websocket", "Upgrade: h2c"}, 426, [2]string{"Upgrade", "websocket"}},
		{"no Connection: Upgrade", [2]string{"keep-alive, Upgrade", "keep-alive"}, 426, [2]string{"Upgrade", "websocket"}},
		{"old version", [2]string{"Version: 13", "Version: 8"}, 426, [2]string{"Sec-WebSocket-Version", "13"}},
		{"no version", [2]string{"Sec-WebSocket-Version: 13\r\n", ""}, 426, [2]string{"Sec-WebSocket-Version", "13"}},
		{"no key", [2]string{"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""}, 400, [2]string{}},
		{"short key", [2]string{"dGhlIHNhbXBsZSBub25jZQ==", "abc"}, 400, [2]string{}},
		{"key that is not base64", [2]string{"dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j!!=="}, 400, [2]string{}},
		{"key of 17 bytes", [2]string{"dGhlIHNhbXBsZSBub25jZQ==", "AAAAAAAAAAAAAAAAAAAAAAA="}, 400, [2]string{}},
		{"two keys", [2]string{"Sec-WebSocket-Version", "Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\nSec-WebSocket-Version"}, 400, [2]string{}},
		{"POST", [2]string{"GET /ws", "POST /ws"}, 405, [2]string{"Allow", "GET"}},
		{"HTTP/1.0", [2]string{"HTTP/1.1", "HTTP/1.0"}, 400, [2]string{}},
	}
	u := newUpgrader(t, Options{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := u.Upgrade(w, r, nil, func(*Conn) Handler {
			t.Error("h was called")
			return newRecorder()
		})
		if err == nil {
			t.Error("no error")
		}
	}))
	defer srv.Close()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client, err := net.Dial("tcp", srv.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			req := strings.Replace(handshake, tt.replace[0], tt.replace[1], 1)
			if req == handshake {
				t.Fatal("the request is a good one")
			}
			write(t, client, []byte(req))
			resp, err := http.ReadResponse(bufio.NewReader(client), nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil || len(body) == 0 {
				t.Errorf("body %q, %v", body, err)
			}
			if resp.StatusCode != tt.status || tt.header[0] != "" && resp.Header.Get(tt.header[0]) != tt.header[1] {
				t.Errorf("answer %s %v", resp.Status, resp.Header)
			}
		})
	}
}

// A ResponseWriter that cannot be hijacked, as that of HTTP/2.
func TestUpgradeWithoutHijacker(t *testing.T) {
	u := newUpgrader(t, Options{})
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(handshake)))
	if err != nil {
		t.Fatal(err)
	}
	for major, status := range map[int]int{1: 500, 2: 400} {
		r.ProtoMajor = major
		w := httptest.NewRecorder()
		if _, err := u.Upgrade(w, r, nil, nil); err == nil || w.Code != status {
			t.Errorf("HTTP/%d: %d, %v; want %d", major, w.Code, err, status)
		}
	}
}

func TestUpgradeAfterPollerClosed(t *testing.T) {
	u := newUpgrader(t, Options{})
	closePoller(t, u)
	server, client := tcpPair(t)
	if _, err := u.attach(server, nil, nil); !errors.Is(err, netpoll.ErrPollerClosed) {
		t.Errorf("attach = %v", err)
	}
	if _, err := io.ReadAll(client); err != nil {
		t.Errorf("the connection was not closed: %v", err)
	}
}

// A connection that ends while its handler is being made tells the handler.
func TestEndsBeforeItHasAHandler(t *testing.T) {
	u := newUpgrader(t, Options{})
	server, _ := tcpPair(t)
	r := newRecorder()
	_, err := u.attach(server, nil, func(c *Conn) Handler {
		c.Abort()
		closePollerOnly(t, u) // waits for the end
		return r
	})
	if !errors.Is(err, ErrClosed) {
		t.Errorf("attach = %v", err)
	}
	if err := r.wait(t); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Closed(%v)", err)
	}
}

func closePollerOnly(t *testing.T, u *Upgrader) {
	t.Helper()
	if err := u.o.Poller.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestOptions(t *testing.T) {
	p := netpoll.New(netpoll.Options{})
	for _, o := range []Options{
		{},
		{Poller: p, MaxPayload: -1},
		{Poller: p, QueueBytes: -1},
		{Poller: p, QueueMessages: -1},
		{Poller: p, WriteTimeout: -1},
		{Poller: p, CloseTimeout: -1},
	} {
		if _, err := NewUpgrader(o); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
	u, err := NewUpgrader(Options{Poller: p})
	if err != nil {
		t.Fatal(err)
	}
	if u.o.MaxPayload != 1_000_000 || u.o.QueueBytes != 1<<20 || u.o.QueueMessages != 1000 || u.o.WriteTimeout != 30*time.Second || u.o.CloseTimeout != 5*time.Second {
		t.Errorf("defaults are %+v", u.o)
	}
}
