package engineio_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"go.uber.org/goleak"

	"crier/io/engineio"
	"crier/io/engineio/pipenet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come. In a bubble of
// testing/synctest it costs nothing.
const patience = 5 * time.Minute

// receiver writes down what it is told: "opened", "text …", "binary …",
// "closed: reason".
type receiver struct {
	session   *engineio.Session
	events    chan string
	onMessage func(s *engineio.Session, data []byte) error
	onClosed  func(engineio.Reason)
}

func (r *receiver) Opened() { r.events <- "opened" }

func (r *receiver) Message(data []byte, binary bool) error {
	if binary {
		r.events <- fmt.Sprintf("binary %x", data)
	} else {
		r.events <- "text " + string(data)
	}
	if r.onMessage != nil {
		return r.onMessage(r.session, data)
	}
	return nil
}

func (r *receiver) Closed(reason engineio.Reason) {
	r.events <- "closed: " + string(reason)
	if r.onClosed != nil {
		r.onClosed(reason)
	}
}

// handler hands every session to the test.
type handler struct {
	accepted  chan *receiver
	onMessage func(s *engineio.Session, data []byte) error
}

func newHandler() *handler { return &handler{accepted: make(chan *receiver, 1000)} }

func (h *handler) Accept(s *engineio.Session, _ *http.Request) engineio.Receiver {
	r := &receiver{session: s, events: make(chan string, 1000), onMessage: h.onMessage}
	h.accepted <- r
	return r
}

// next returns what comes next on ch.
func next[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	select {
	case v, ok := <-ch:
		if !ok {
			t.Fatal("nothing more comes")
		}
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// want checks what comes next on ch.
func want(t testing.TB, ch <-chan string, list ...string) {
	t.Helper()
	for _, w := range list {
		if got := next(t, ch); got != w {
			t.Fatalf("got %q, want %q", got, w)
		}
	}
}

// wantEnd checks that nothing more comes on ch before it ends.
func wantEnd(t testing.TB, ch <-chan string) {
	t.Helper()
	select {
	case v, ok := <-ch:
		if ok {
			t.Fatalf("got %q, want the end", v)
		}
	case <-time.After(patience):
		t.Fatal("the end did not come")
	}
}

// rig is a server that can be reached.
type rig struct {
	t       testing.TB
	srv     *engineio.Server
	handler *handler
	dial    func() (net.Conn, error)
}

// newRig starts a server, on TCP if tcp, else without sockets.
func newRig(t testing.TB, tcp bool, o engineio.Options) *rig {
	t.Helper()
	r := &rig{t: t, handler: newHandler()}
	var err error
	if r.srv, err = engineio.New(o, r.handler); err != nil {
		t.Fatal(err)
	}
	var l net.Listener
	if tcp {
		if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		r.dial = func() (net.Conn, error) { return net.Dial("tcp", l.Addr().String()) }
	} else {
		n := pipenet.New()
		l, r.dial = n, n.Dial
	}
	web := &http.Server{Handler: r.srv}
	served := make(chan error, 1)
	go func() { served <- web.Serve(l) }()
	t.Cleanup(func() {
		closeServer(t, r.srv)
		if err := web.Close(); err != nil {
			t.Error(err)
		}
		<-served
	})
	return r
}

func closeServer(t testing.TB, srv *engineio.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := srv.Close(ctx); err != nil {
		t.Errorf("closing the server: %v", err)
	}
	if n := srv.Stats().Sessions; n != 0 {
		t.Errorf("%d sessions outlive the server", n)
	}
}

// socket is the client's side of a WebSocket.
type socket struct {
	t    testing.TB
	conn net.Conn
	got  chan string // text as it is, "binary …", "close" or "close 1002", behind a "~" what was compressed; closed at the end
}

func handshakeRequest(query string, header ...string) string {
	lines := append([]string{
		"GET /socket.io/?" + query + " HTTP/1.1", "Host: crier.test:2120", "Upgrade: websocket", "Connection: Upgrade",
		"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
	}, header...)
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}

// handshake sends a WebSocket handshake and returns the answer.
func (r *rig) handshake(query string, header ...string) (net.Conn, *bufio.Reader, *http.Response) {
	r.t.Helper()
	conn, err := r.dial()
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := io.WriteString(conn, handshakeRequest(query, header...)); err != nil {
		r.t.Fatal(err)
	}
	br := bufio.NewReader(conn)
	resp, err := http.ReadResponse(br, &http.Request{Method: http.MethodGet})
	if err != nil {
		r.t.Fatal(err)
	}
	return conn, br, resp
}

// ws opens a WebSocket and reads it until it ends.
func (r *rig) ws(query string, header ...string) *socket {
	r.t.Helper()
	conn, br, resp := r.handshake(query, header...)
	if resp.StatusCode != http.StatusSwitchingProtocols {
		r.t.Fatalf("status %d", resp.StatusCode)
	}
	s := &socket{t: r.t, conn: conn, got: make(chan string, 10000)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(s.got)
		s.read(br)
	}()
	r.t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			r.t.Error(err)
		}
		<-done
	})
	return s
}

// read reads frames until the connection ends, and answers a close frame.
func (s *socket) read(br *bufio.Reader) {
	for {
		f, err := readFrame(br)
		if err != nil {
			return
		}
		mark := ""
		if f.Header.Rsv != 0 {
			mark = "~"
			f.Payload = inflated(s.t, f)
		}
		switch f.Header.OpCode {
		case ws.OpText:
			s.got <- mark + string(f.Payload)
		case ws.OpBinary:
			s.got <- fmt.Sprintf("%sbinary %x", mark, f.Payload)
		case ws.OpPing:
			s.got <- fmt.Sprintf("ping %x", f.Payload)
		case ws.OpClose:
			code, _ := ws.ParseCloseFrameData(f.Payload)
			if code.Empty() {
				s.got <- "close"
			} else {
				s.got <- fmt.Sprintf("close %d", code)
			}
			if err := ws.WriteFrame(s.conn, ws.MaskFrame(ws.NewCloseFrame(nil))); err != nil {
				return // the server did not wait
			}
		}
	}
}

func readFrame(br *bufio.Reader) (f ws.Frame, err error) {
	if f.Header, err = ws.ReadHeader(br); err != nil {
		return f, err
	}
	f.Payload = make([]byte, f.Header.Length)
	_, err = io.ReadFull(br, f.Payload)
	return f, err
}

// write sends a frame. The server may have closed the connection before it has
// read all of it, which shows in what it sends.
func (s *socket) write(f ws.Frame) {
	s.t.Helper()
	b, err := ws.CompileFrame(f)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.conn.Write(b); err != nil {
		s.t.Log(err)
	}
}

func (s *socket) sendBinary(p ...byte) { s.t.Helper(); s.write(ws.MaskFrame(ws.NewBinaryFrame(p))) }

func (s *socket) send(text string) {
	s.t.Helper()
	s.write(ws.MaskFrame(ws.NewTextFrame([]byte(text))))
}
