package fallback_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"go.uber.org/goleak"

	"crier/fallback"
	"crier/io/engineio"
	"crier/io/engineio/pipenet"
	"crier/io/httpconn"
	"crier/io/netpoll"
	"crier/io/wsconn"
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
	onMessage func(s *engineio.Session, data []byte, binary bool) error
}

func (r *receiver) Opened() { r.events <- "opened" }

func (r *receiver) Message(data []byte, binary bool) error {
	if r.onMessage != nil {
		return r.onMessage(r.session, data, binary)
	}
	if binary {
		r.events <- fmt.Sprintf("binary %x", data)
	} else {
		r.events <- "text " + string(data)
	}
	return nil
}

func (r *receiver) Closed(reason engineio.Reason) { r.events <- "closed: " + string(reason) }

// handler hands every session to the test.
type handler struct {
	accepted  chan *receiver
	onMessage func(s *engineio.Session, data []byte, binary bool) error
}

func (h *handler) Accept(s *engineio.Session, _ *http.Request) engineio.Receiver {
	r := &receiver{session: s, events: make(chan string, 10000), onMessage: h.onMessage}
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

// rig is a server that offers polling, and a client of it.
type rig struct {
	t       testing.TB
	srv     *engineio.Server
	handler *handler
	dial    func() (net.Conn, error)
	client  *http.Client
}

// newRig starts a server, on TCP if tcp, else without sockets.
func newRig(t testing.TB, tcp bool, o engineio.Options) *rig {
	t.Helper()
	h := &handler{accepted: make(chan *receiver, 1000)}
	r := newRigFor(t, tcp, o, h)
	r.handler = h
	return r
}

func newRigFor(t testing.TB, tcp bool, o engineio.Options, h engineio.Handler) *rig {
	t.Helper()
	r := &rig{t: t}
	o.Polling = fallback.Polling(o.MaxPayload, o.QueueBytes, o.QueueMessages, o.Budget)
	var err error
	if r.srv, err = engineio.New(o, h); err != nil {
		t.Fatal(err)
	}
	r.dial, r.client = serve(t, tcp, r.srv)
	t.Cleanup(func() { closeServer(t, r.srv) })
	return r
}

// serve has h answer requests, on TCP and by a server of httpconn if tcp, else without sockets and by net/http alone, and returns
// who can make them.
func serve(t testing.TB, tcp bool, h http.Handler) (dial func() (net.Conn, error), client *http.Client) {
	t.Helper()
	n := pipenet.New()
	var l net.Listener = n
	dial = n.Dial
	if tcp {
		var err error
		if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		dial = func() (net.Conn, error) { return net.Dial("tcp", l.Addr().String()) }
	}
	client = &http.Client{Transport: &http.Transport{
		DialContext:         func(context.Context, string, string) (net.Conn, error) { return dial() },
		MaxIdleConnsPerHost: 100,
	}}
	web := &http.Server{Handler: h}
	var served sync.WaitGroup
	listeners := []net.Listener{l}
	if tcp {
		listeners = append(listeners, keep(t, web))
	}
	for _, l := range listeners {
		served.Go(func() { web.Serve(l) }) // until the end
	}
	t.Cleanup(func() {
		if err := web.Close(); err != nil {
			t.Error(err)
		}
		served.Wait()
		client.CloseIdleConnections()
	})
	return dial, client
}

// keep has connections on which clients poll kept by a server of httpconn.
func keep(t testing.TB, web *http.Server) *httpconn.Server {
	t.Helper()
	poller := netpoll.New(netpoll.Options{})
	u, err := wsconn.NewUpgrader(wsconn.Options{Poller: poller})
	if err != nil {
		t.Fatal(err)
	}
	keeper, err := httpconn.New(httpconn.Options{Upgrader: u, Server: web, Takes: func(_, path, query string) bool {
		return path == "/comet" || strings.Contains(query, "transport=polling") && strings.Contains(query, "sid=")
	}})
	if err != nil {
		t.Fatal(err)
	}
	web.Handler = keeper.Around(web.Handler)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		keeper.Wait(ctx)
		if err := poller.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return keeper
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

// answer is what a request got.
type answer struct {
	status int
	body   string
	header http.Header
	err    error
}

// do sends a request and waits for the answer.
func (r *rig) do(ctx context.Context, method, query string, body io.Reader, header ...string) answer {
	req, err := http.NewRequestWithContext(ctx, method, "http://crier.test/socket.io/?transport=polling&"+query, body)
	if err != nil {
		return answer{err: err}
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return answer{err: err}
	}
	b, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, string(b), resp.Header, errors.Join(err, resp.Body.Close())}
}

// peer is the client of one polling session.
type peer struct {
	*rig
	*receiver
	query string
}

// open opens a session on polling.
func (r *rig) open(query string, header ...string) *peer {
	r.t.Helper()
	a := r.do(context.Background(), http.MethodGet, query, nil, header...)
	if a.err != nil || a.status != http.StatusOK {
		r.t.Fatalf("handshake: %+v", a)
	}
	text := a.body
	if strings.HasPrefix(text, "___eio") { // JSONP
		text = unscript(r.t, text)
	}
	if text[0] != '0' { // revision 3 begins with the length
		text = text[strings.Index(text, "0{"):]
	}
	var open struct{ SID string }
	if err := json.Unmarshal([]byte(text[1:]), &open); err != nil || text[0] != '0' {
		r.t.Fatalf("handshake: %q: %v", a.body, err)
	}
	p := &peer{rig: r, receiver: next(r.t, r.handler.accepted), query: untimed.ReplaceAllString(query, "") + "&sid=" + open.SID}
	want(r.t, p.events, "opened")
	return p
}

// untimed matches the timestamp of a query, which is of one request.
var untimed = regexp.MustCompile(`&t=[^&]*`)

func (p *peer) get() answer { return p.do(context.Background(), http.MethodGet, p.query, nil) }

// getAt sends a GET with a timestamp.
func (p *peer) getAt(t string) answer {
	return p.do(context.Background(), http.MethodGet, p.query+"&t="+t, nil)
}

// goGet leaves a GET waiting.
func (p *peer) goGet() <-chan answer {
	ch := make(chan answer, 1)
	go func() { ch <- p.get() }()
	return ch
}

func (p *peer) post(body string, header ...string) answer {
	return p.do(context.Background(), http.MethodPost, p.query, strings.NewReader(body), header...)
}

func (p *peer) send(text string, attachments ...[]byte) {
	p.t.Helper()
	if err := p.session.Send(engineio.Prepare([]byte(text), len(text), attachments...)); err != nil {
		p.t.Fatalf("sending %q: %v", text, err)
	}
}

// wantAnswer checks status and body.
func wantAnswer(t testing.TB, a answer, status int, body string) {
	t.Helper()
	if a.err != nil || a.status != status || a.body != body {
		t.Fatalf("status %d, body %q, error %v; want status %d, body %q", a.status, a.body, a.err, status, body)
	}
}

// wantRefused checks the status, and that the session has ended for that reason.
func (p *peer) wantRefused(a answer, status int, reason engineio.Reason) {
	p.t.Helper()
	if a.err != nil || a.status != status {
		p.t.Errorf("status %d, body %q, error %v; want status %d", a.status, a.body, a.err, status)
	}
	p.wantEnded(reason)
}

// wantEnded checks that the session has ended for that reason, and that the
// client is told so.
func (p *peer) wantEnded(reason engineio.Reason) {
	p.t.Helper()
	want(p.t, p.events, "closed: "+string(reason))
	a := p.get()
	if a.err != nil || a.status != http.StatusBadRequest || !strings.HasPrefix(a.body, `{"code":1,`) {
		p.t.Errorf("afterwards: %+v", a)
	}
	if len(p.events) > 0 {
		p.t.Errorf("told twice: %q", <-p.events)
	}
}

// socket is the client's side of a WebSocket.
type socket struct {
	t      testing.TB
	conn   net.Conn
	header http.Header // of the handshake's answer, from desk.frames
	got    chan string // text as it is, "binary …" or "close"; closed at the end
}

// ws opens a WebSocket and reads it until it ends.
func (r *rig) ws(query string) *socket {
	r.t.Helper()
	s, err := r.tryWS(query)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

func (r *rig) tryWS(query string) (*socket, error) {
	conn, err := r.dial()
	if err != nil {
		return nil, err
	}
	s := &socket{t: r.t, conn: conn, got: make(chan string, 10000)}
	r.t.Cleanup(s.drop)
	if _, err := fmt.Fprintf(conn, "GET /socket.io/?transport=websocket&%s HTTP/1.1\r\nHost: crier.test\r\nUpgrade: websocket\r\n"+
		"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", query); err != nil {
		return nil, err
	}
	br := bufio.NewReader(conn)
	resp, err := http.ReadResponse(br, &http.Request{Method: http.MethodGet})
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return nil, fmt.Errorf("WebSocket handshake: status %d", resp.StatusCode)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(s.got)
		s.read(br)
	}()
	r.t.Cleanup(func() {
		s.drop()
		<-done
	})
	return s, nil
}

// read reads frames until the connection ends, and answers a close frame.
func (s *socket) read(br *bufio.Reader) {
	for {
		f, err := readFrame(br)
		if err != nil {
			return
		}
		switch f.Header.OpCode {
		case ws.OpText:
			s.got <- string(f.Payload)
		case ws.OpBinary:
			s.got <- fmt.Sprintf("binary %x", f.Payload)
		case ws.OpPing:
			s.write(ws.NewPongFrame(f.Payload))
		case ws.OpClose:
			s.got <- "close"
			s.write(ws.NewCloseFrame(nil))
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
	b, err := ws.CompileFrame(ws.MaskFrame(f))
	if err != nil {
		panic(err) // a bytes.Buffer does not fail
	}
	if _, err := s.conn.Write(b); err != nil {
		return
	}
}

func (s *socket) send(text string) { s.write(ws.NewTextFrame([]byte(text))) }

func (s *socket) drop() {
	if err := s.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		s.t.Error(err)
	}
}
