package fallback_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"crier/fallback"
	"crier/io/hub"
	"crier/io/netpoll"
	"crier/io/wsconn"
)

// desk is a server of clients without Socket.IO, their handler, and a client. It
// believes everybody, and writes down what it is told: "uid says name [args]",
// "uid has gone".
type desk struct {
	t      testing.TB
	hub    *hub.Hub
	srv    *fallback.Server
	events chan string
	dial   func() (net.Conn, error)
	client *http.Client
	door   chan struct{} // when it is closed those are let in that ask to be held

	entering func() // called before a client is logged in, if it is not nil
}

// refused is what a client gets that asks for it.
var refused = fallback.Reason{Status: http.StatusUnauthorized, Code: "refused", Text: "not you"}

// Admit implements [fallback.Handler]. The parameter refuse says when a client is refused: "early" or "late".
func (d *desk) Admit(r *fallback.Request) (*fallback.Admission, error) {
	when := r.Query.Get("refuse")
	if when == "early" {
		return nil, refused
	}
	a := &fallback.Admission{UID: r.Query.Get("uid")}
	a.MayEnter = func(room string) bool { return r.Query.Get("barred") != room }
	a.Enter = func(c *fallback.Client) error {
		if when == "late" {
			return refused
		}
		if r.Query.Has("hold") {
			<-d.door
		}
		if d.entering != nil {
			d.entering()
		}
		c.SetData(r.Query.Get("uid"))
		if err := c.Member().Login(r.Query.Get("uid")); err != nil {
			return err
		}
		for _, room := range r.Rooms {
			if err := c.Member().Join(room); err != nil {
				return err
			}
		}
		return nil
	}
	return a, nil
}

// Event implements [fallback.Handler]. It answers with the arguments.
func (d *desk) Event(e *fallback.Event) {
	args := make([]json.RawMessage, e.Len())
	for i := range args {
		args[i] = e.JSON(i)
	}
	d.events <- fmt.Sprintf("%v says %s %s", e.Client.Data(), e.Name, args)
	if e.WantsAck() {
		e.Ack(args...)
		e.Ack()
	}
}

// Closed implements [fallback.Handler].
func (d *desk) Closed(c *fallback.Client) { d.events <- fmt.Sprintf("%v has gone", c.Data()) }

// newDesk starts a server, on TCP if tcp, else without sockets.
func newDesk(t testing.TB, tcp bool, o fallback.Options) *desk {
	t.Helper()
	return newDeskOf(t, tcp, o, hub.Options{})
}

func newDeskOf(t testing.TB, tcp bool, o fallback.Options, h hub.Options) *desk {
	t.Helper()
	d := &desk{t: t, events: make(chan string, 1000), door: make(chan struct{})}
	var err error
	if d.hub, err = hub.New(h); err != nil {
		t.Fatal(err)
	}
	poller := netpoll.New(netpoll.Options{})
	o.Upgrader, err = wsconn.NewUpgrader(wsconn.Options{
		Poller: poller, MaxPayload: o.MaxPayload, QueueBytes: o.QueueBytes, QueueMessages: o.QueueMessages, Budget: o.Budget,
	})
	if err != nil {
		t.Fatal(err)
	}
	o.Hub, o.Handler = d.hub, d
	o.Plain = func(m *hub.Message) ([]json.RawMessage, error) {
		return []json.RawMessage{fmt.Appendf(nil, `{"$binary":"%s"}`, m.Attachments[0])}, nil
	}
	if d.srv, err = fallback.New(o); err != nil {
		t.Fatal(err)
	}
	d.dial, d.client = serve(t, tcp, d.srv)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		err := errors.Join(d.srv.Close(ctx), poller.Close(ctx))
		if n := d.srv.Stats().Clients; n != 0 {
			err = errors.Join(err, fmt.Errorf("%d clients outlive the server", n))
		}
		if err = errors.Join(err, d.hub.Close(ctx)); err != nil {
			t.Error(err)
		}
	})
	return d
}

// push pushes an event with arguments of JSON to a user, and returns how it went. The ids of messages are what the test
// calls them.
func (d *desk) push(id, uid, event string, args ...string) hub.Result {
	d.t.Helper()
	r, err := d.hub.Push(context.Background(), hub.Push{To: hub.Audience{Users: []string{uid}}, Message: message(id, event, args)})
	if err != nil {
		d.t.Fatal(err)
	}
	return r
}

func message(id, event string, args []string) *hub.Message {
	m := &hub.Message{ID: id, Event: event}
	for _, a := range args {
		m.Args = append(m.Args, json.RawMessage(a))
	}
	return m
}

// ask is push of something to be answered; the answers come in the end.
func (d *desk) ask(id, uid, event string) <-chan hub.Answers {
	d.t.Helper()
	got := make(chan hub.Answers, 1)
	_, err := d.hub.Ask(context.Background(),
		hub.Push{To: hub.Audience{Users: []string{uid}}, Message: message(id, event, nil)},
		hub.Question{Wait: patience, Done: func(a hub.Answers) { got <- a }})
	if err != nil {
		d.t.Fatal(err)
	}
	return got
}

// kick disconnects a user.
func (d *desk) kick(uid string) {
	d.t.Helper()
	if _, err := d.hub.Disconnect(context.Background(), hub.Audience{Users: []string{uid}}); err != nil {
		d.t.Fatal(err)
	}
}

// awaitUser waits until a user has so many connections.
func (d *desk) awaitUser(uid string, connections int) {
	d.t.Helper()
	for end := time.Now().Add(patience); ; {
		list, err := d.hub.User(uid)
		if err != nil {
			d.t.Fatal(err)
		}
		if len(list) == connections {
			return
		}
		if time.Now().After(end) {
			d.t.Fatalf("user %s has %d connections, want %d", uid, len(list), connections)
		}
		time.Sleep(time.Millisecond)
	}
}

// request makes a request; more are header names and values in turn.
func (d *desk) request(ctx context.Context, method, path, body string, more ...string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://crier.test"+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(more); i += 2 {
		r.Header.Set(more[i], more[i+1])
	}
	return d.client.Do(r)
}

// do makes a request and waits for the whole answer.
func (d *desk) do(method, path, body string, more ...string) answer {
	resp, err := d.request(context.Background(), method, path, body, more...)
	if err != nil {
		return answer{err: err}
	}
	b, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, string(b), resp.Header, errors.Join(err, resp.Body.Close())}
}

func (d *desk) get(path string, more ...string) answer {
	return d.do(http.MethodGet, path, "", more...)
}

// goGet leaves a GET waiting.
func (d *desk) goGet(path string) <-chan answer {
	ch := make(chan answer, 1)
	go func() { ch <- d.get(path) }()
	return ch
}

// flow is an answer that does not end.
type flow struct {
	t      testing.TB
	header http.Header
	body   io.ReadCloser
	in     *bufio.Reader
}

// open begins to read an answer that does not end.
func (d *desk) open(method, path string, more ...string) *flow {
	d.t.Helper()
	resp, err := d.request(context.Background(), method, path, "", more...)
	if err != nil {
		d.t.Fatal(err)
	}
	f := newFlow(d.t, resp)
	if resp.StatusCode != http.StatusOK {
		d.t.Fatalf("status %d", resp.StatusCode)
	}
	return f
}

func newFlow(t testing.TB, resp *http.Response) *flow {
	f := &flow{t, resp.Header, resp.Body, bufio.NewReader(resp.Body)}
	t.Cleanup(f.leave)
	return f
}

func (f *flow) leave() {
	if err := f.body.Close(); err != nil {
		f.t.Error(err)
	}
}

// block returns what comes up to and with the next end.
func (f *flow) block(end string) string {
	f.t.Helper()
	var b strings.Builder
	for !strings.HasSuffix(b.String(), end) {
		c, err := f.in.ReadByte()
		if err != nil {
			f.t.Fatalf("after %d bytes, want %q: %v", b.Len(), end, err)
		}
		b.WriteByte(c)
	}
	return b.String()
}

// want checks what comes next.
func (f *flow) want(list ...string) {
	f.t.Helper()
	for _, w := range list {
		got := make([]byte, len(w))
		if n, err := io.ReadFull(f.in, got); err != nil || string(got) != w {
			f.t.Fatalf("got %q, %v; want %q", got[:n], err, w)
		}
	}
}

// wantEnd checks that nothing more comes.
func (f *flow) wantEnd() {
	f.t.Helper()
	if rest, err := io.ReadAll(f.in); err != nil || len(rest) > 0 {
		f.t.Fatalf("got %q, %v; want the end", rest, err)
	}
}

// frames opens a WebSocket and reads it until it ends: texts as they are, "ping" for a
// ping, which is answered unless mute, "close CODE REASON".
func (d *desk) frames(path string, mute bool, more ...string) *socket {
	d.t.Helper()
	conn, err := d.dial()
	if err != nil {
		d.t.Fatal(err)
	}
	s := &socket{t: d.t, conn: conn, got: make(chan string, 10000)}
	in := bufio.NewReader(conn)
	header := "GET " + path + " HTTP/1.1\r\nHost: crier.test\r\nUpgrade: websocket\r\n" +
		"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	for i := 0; i < len(more); i += 2 {
		header += more[i] + ": " + more[i+1] + "\r\n"
	}
	if _, err := io.WriteString(conn, header+"\r\n"); err != nil {
		d.t.Fatal(err)
	}
	resp, err := http.ReadResponse(in, &http.Request{Method: http.MethodGet})
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		d.t.Fatalf("handshake: %+v, %v", resp, err)
	}
	s.header = resp.Header
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(s.got)
		s.readAll(in, mute)
		s.drop()
	}()
	d.t.Cleanup(func() {
		s.drop()
		<-done
	})
	return s
}

// readAll reads frames until the connection ends.
func (s *socket) readAll(in *bufio.Reader, mute bool) {
	for {
		f, err := readFrame(in)
		if err != nil {
			return
		}
		switch f.Header.OpCode {
		case ws.OpText:
			s.got <- string(f.Payload)
		case ws.OpPing:
			s.got <- "PING"
			if !mute {
				s.write(ws.NewPongFrame(f.Payload))
			}
		case ws.OpClose:
			s.got <- fmt.Sprintf("close %d %s", binary.BigEndian.Uint16(f.Payload), f.Payload[2:])
			s.write(ws.NewCloseFrame(f.Payload[:2]))
		}
	}
}

// knock connects somebody who asks for a WebSocket or a stream, and does not wait for the answer.
func (d *desk) knock(path string) net.Conn {
	d.t.Helper()
	conn, err := d.dial()
	if err != nil {
		d.t.Fatal(err)
	}
	_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: crier.test\r\nUpgrade: websocket\r\n"+
		"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", path)
	if err != nil {
		d.t.Fatal(err)
	}
	return conn
}

// stall is knock by somebody who reads no more than the head of the answer.
func (d *desk) stall(path string) net.Conn {
	d.t.Helper()
	conn := d.knock(path)
	if _, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: http.MethodGet}); err != nil {
		d.t.Fatal(err)
	}
	return conn
}

// overflow pushes until the user's connection is too slow, and returns how many messages that has cost.
func (d *desk) overflow(uid string) (slow int) {
	d.t.Helper()
	for i := 0; i < 1000 && slow == 0; i++ {
		slow += d.push("m", uid, "e").Slow
	}
	return slow
}
