package app

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"crier/configs"
	"crier/io/socketio/intime"
)

// plain is a client on /ws.
type plain struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
	mute bool // it answers no pings
}

// plainWS opens a WebSocket without Socket.IO.
func (p *program) plainWS(path, query string, header http.Header) *plain {
	p.t.Helper()
	dialer := ws.Dialer{Timeout: patience, Header: ws.HandshakeHeaderHTTP(header)}
	conn, in, _, err := dialer.Dial(context.Background(), "ws://"+p.Addr()+path+"?"+query)
	if err != nil {
		p.t.Fatal(err)
	}
	if in == nil {
		in = bufio.NewReader(conn)
	}
	c := &plain{t: p.t, conn: conn, in: in}
	p.t.Cleanup(c.leave)
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		p.t.Fatal(err)
	}
	return c
}

func (c *plain) leave() {
	if err := c.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		c.t.Error(err)
	}
}

func (c *plain) send(text string) {
	c.t.Helper()
	c.write(ws.NewTextFrame([]byte(text)))
}

func (c *plain) write(f ws.Frame) {
	c.t.Helper()
	frame, err := ws.CompileFrame(ws.MaskFrame(f))
	if err == nil {
		_, err = c.conn.Write(frame)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// next is the next text, or "close CODE REASON".
func (c *plain) next() string {
	c.t.Helper()
	for {
		h, err := ws.ReadHeader(c.in)
		payload := make([]byte, h.Length)
		if err == nil {
			_, err = io.ReadFull(c.in, payload)
		}
		if err != nil {
			c.t.Fatal(err)
		}
		switch h.OpCode {
		case ws.OpText:
			if string(payload) == "o" { // of SockJS
				continue
			}
			return string(payload)
		case ws.OpPing:
			if !c.mute {
				c.write(ws.NewPongFrame(payload))
			}
		case ws.OpClose:
			return fmt.Sprintf("close %d %s", binary.BigEndian.Uint16(payload), payload[2:])
		}
	}
}

// want takes the next text, in which ID stands for any id.
func (c *plain) want(text string) {
	c.t.Helper()
	same(c.t, "text", anyID(c.next()), text)
}

// anyID replaces the id at the start of a message.
func anyID(text string) string {
	rest, ok := strings.CutPrefix(text, `{"id":"`)
	if !ok {
		return text
	}
	_, rest, _ = strings.Cut(rest, `"`)
	return `{"id":"ID"` + rest
}

func TestPlainWebSocket(t *testing.T) {
	p := start(t, func(c *configs.Config) { c.Rooms.ClientJoin = "allow" })
	c := p.plainWS("/ws", "uid=7&rooms=a,b", nil)
	c.send("ping")
	c.want("pong")
	same(t, "push", p.push("7", "<hi>"), "ok")
	c.want(`{"id":"ID","event":"new_msg","args":["&lt;hi&gt;"]}`)
	p.pushV1(`{"to":{"rooms":["b"]},"event":"e","args":[{"$binary":"AAE="},1]}`)
	c.want(`{"id":"ID","event":"e","args":[{"$binary":"AAE="},1]}`)
	c.send(`{"event":"unsubscribe","args":["b"],"ack":"x"}`)
	c.want(`{"ack":"x","args":[{"ok":true,"room":"b"}]}`)
	c.send(`{"event":"nobody","ack":2}`)
	c.want(`{"ack":2,"args":[{"ok":false,"error":"there is no such event (setting ` + "`forward.events`" + `)","code":"unknown_event"}]}`)
	c.send("hello")
	if got := c.next(); !strings.HasPrefix(got, `close 4400 a message is JSON`) {
		t.Error(got)
	}
}

// pushV1 pushes with /v1 and returns the answer.
func (p *program) pushV1(push string) string {
	p.t.Helper()
	a := p.do(http.MethodPost, "http://"+p.PushAddr()+"/v1/push", push)
	same(p.t, "status of "+a.body, a.status, http.StatusOK)
	return a.body
}

// ways are those to connect without Socket.IO.
var ways = []string{"/ws", "/sse", "/comet", "/sockjs/0/s/xhr", "/sockjs/0/s/xhr_streaming", "/sockjs/0/s/websocket"}

// knock connects in one of these ways, and returns the status of the answer; that of a refusal by a close
// frame is the one that it stands for. The connection stays until the end of the test.
func (p *program) knock(t testing.TB, path, query string, header http.Header) int {
	t.Helper()
	path = strings.Replace(path, "/s/", "/"+rand.Text()+"/", 1)
	if strings.HasSuffix(path, "/ws") || strings.HasSuffix(path, "/websocket") {
		c := p.plainWS(path, query, header)
		sock := strings.HasPrefix(path, "/sockjs")
		if sock {
			c.send(`["ping"]`)
		} else {
			c.send("ping")
		}
		return statusIn(c.next())
	}
	method := http.MethodGet
	if strings.HasPrefix(path, "/sockjs") {
		method = http.MethodPost
	}
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+p.Addr()+path+"?wait=0&"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(r.Header, header)
	resp, err := p.http.Transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
	})
	if resp.StatusCode != http.StatusOK || method == http.MethodGet {
		return resp.StatusCode
	}
	in := bufio.NewReader(resp.Body)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line[0] != 'h' {
			return statusIn(line)
		}
	}
}

// statusIn is 200, or what a close frame says.
func statusIn(frame string) int {
	for _, form := range []string{"close %d", "c[%d"} {
		var code int
		if n, err := fmt.Sscanf(frame, form, &code); err == nil && n == 1 {
			return code - 4000
		}
	}
	return http.StatusOK
}

// Who may connect is the same without Socket.IO.
func TestOutsideCredentials(t *testing.T) {
	p := start(t, func(c *configs.Config) {
		withJWT(c)
		c.Rooms.ClientJoin = "token"
	})
	tests := []struct {
		name, query string // UID is the user, TOKEN its token, LATE one that has expired
		bearer      bool   // the token is in the header
		status      int    // 200: logged in
		later       bool   // who can send events may log in later
	}{
		{"token", "token=TOKEN", false, 200, false},
		{"token and uid", "uid=UID&token=TOKEN", false, 200, false},
		{"header", "", true, 200, false},
		{"a room of the token", "rooms=a&token=TOKEN", false, 200, false},
		{"nothing", "", false, 401, true},
		{"a uid alone", "uid=UID", false, 401, false},
		{"another uid", "uid=8&token=TOKEN", false, 401, false},
		{"a uid that cannot be", "uid=&token=TOKEN", false, 400, false},
		{"a wrong token", "token=x", false, 401, false},
		{"expired", "token=LATE", false, 401, false},
		{"a room that the token does not name", "rooms=a,b&token=TOKEN", false, 403, false},
		{"a room that cannot be", "rooms=a%0A&token=TOKEN", false, 400, false},
		{"a room before a login", "rooms=a", false, 401, false},
	}
	users := 0
	for _, path := range ways {
		for _, tt := range tests {
			t.Run(path+" "+tt.name, func(t *testing.T) {
				users++
				uid := fmt.Sprint("user", users)
				token := sign(t, uid, time.Hour, "a")
				query := strings.NewReplacer("UID", uid, "TOKEN", token, "LATE", sign(t, uid, -time.Second)).Replace(tt.query)
				header := http.Header{}
				if tt.bearer {
					header.Set("Authorization", "Bearer "+token)
				}
				want := tt.status
				if tt.later && path != "/sse" && path != "/comet" {
					want = 200
				}
				same(t, "status", p.knock(t, path, query, header), want)
				if tt.status == 200 {
					await(t, "the user is there", func() bool { return p.hub.Online(uid) })
				} else {
					same(t, "the user is there", p.hub.Online(uid), false)
				}
			})
		}
	}
	for _, secret := range []string{canary, "eyJ"} {
		if strings.Contains(p.log.String(), secret) {
			t.Error("the log has a secret or a token")
		}
	}
}

// A client logs in, out and in again, enters rooms, and has its events forwarded.
func TestOutsideEvents(t *testing.T) {
	url, events := takeEvents(t, func(w http.ResponseWriter, _ *http.Request) {
		if _, err := io.WriteString(w, `{"order":7}`); err != nil {
			t.Error(err)
		}
	})
	p := start(t, func(c *configs.Config) {
		forwardTo(url, "order")(c)
		withJWT(c)
		c.Rooms.ClientJoin = "token"
		c.Presence.CountEvent = "json"
		c.Presence.CountInterval = time.Hour
	})
	c := p.plainWS("/ws", "", nil)
	c.send(`{"event":"order","ack":1}`)
	c.want(`{"ack":1,"args":[{"ok":false,"error":"log in first","code":"login_required"}]}`)
	c.send(`{"event":"login","args":["7"],"ack":1}`)
	c.want(`{"ack":1,"args":[{"ok":false,"error":"` + errTokenRequired.Error() + `","code":"token_required"}]}`)
	c.send(`{"event":"login","args":[7,"` + sign(t, "7", time.Hour, "a") + `"],"ack":2}`)
	c.want(`{"event":"update_online_count","args":[{"users":1,"connections":1}]}`)
	c.want(`{"ack":2,"args":[{"ok":true,"uid":"7"}]}`)
	c.send(`{"event":"subscribe","args":["b"],"ack":3}`)
	c.want(`{"ack":3,"args":[{"ok":false,"error":"` + errNotNamed.Error() + `","code":"forbidden"}]}`)
	c.send(`{"event":"subscribe","args":["a"],"ack":4}`)
	c.want(`{"ack":4,"args":[{"ok":true,"room":"a"}]}`)
	c.send(`{"event":"order","args":[{"file":{"$binary":"AP8="}}],"ack":"five"}`)
	c.want(`{"ack":"five","args":[{"order":7}]}`)
	e := take(t, "event", events)
	same(t, "what is forwarded", strings.Contains(string(e.Data), `"event":"order","args":[{"file":{"$binary":"AP8="}}]}`), true)
	c.send(`{"event":"logout","ack":6}`)
	c.want(`{"ack":6,"args":[{"ok":true}]}`)
	same(t, "push", p.push("7", "x"), "offline")
}

// What a client gets by a push, by several ways at once, and what it answers.
func TestOutsidePush(t *testing.T) {
	p := start(t, nil)
	page := p.openAs("7")
	c := p.plainWS("/ws", "uid=7", nil)
	await(t, "both are there", func() bool { return p.hub.Stats().Connections == 2 })
	answered := make(chan string)
	go func() { answered <- p.pushV1(`{"to":{"users":["7"]},"event":"ask","data":1,"ack":"20s"}`) }()
	id := strings.TrimSuffix(page.wantPrefix("42"), `["ask",1]`)
	page.send("43" + id + `["page"]`)
	c.want(`{"id":"ID","event":"ask","args":[1],"ack":1}`)
	c.send(`{"ack":1,"args":["plain",{"$binary":"AAE="}]}`)
	got := take(t, "the answer", answered)
	for _, part := range []string{`"acked":{"users":1,"connections":2,`, `"args":["page"]`, `"args":["plain",{"$binary":"AAE="}]`} {
		if !strings.Contains(got, part) {
			t.Errorf("%s is not in %s", part, got)
		}
	}
}

func TestOutsidePresence(t *testing.T) {
	rec := listen(t, nil)
	p := start(t, rec.tell(0))
	c := p.plainWS("/ws", "uid=7", nil)
	rec.want(t, "user.online", "7", "")
	same(t, "status", p.do(http.MethodDelete, "http://"+p.PushAddr()+"/v1/users/7", "").body, `{"uid":"7","disconnected":1}`)
	rec.want(t, "user.offline", "7", "disconnect")
	if got := c.next(); !strings.HasPrefix(got, "close 4403 ") {
		t.Error(got)
	}
}

// Whoever does not log in in time is closed, and whose token expires.
func TestOutsideTimes(t *testing.T) {
	p := start(t, func(c *configs.Config) {
		withJWT(c)
		c.Auth.LoginTimeout = 50 * time.Millisecond
	})
	c := p.plainWS("/ws", "", nil)
	same(t, "frame", c.next(), "close 4408 "+loginTimeout.Text)
	intime.Run(t, time.Second, func(h *intime.Test, limit time.Duration) {
		p.t = h
		c := p.plainWS("/ws", "token="+sign(t, "7", limit+time.Second), nil) // in whole seconds
		h.Done()
		same(t, "frame", c.next(), "close 4401 the token has expired")
	})
	p.t = t
}

// A stop tells everybody, and does not wait for polls and streams.
func TestOutsideStop(t *testing.T) {
	rec := listen(t, nil)
	p := start(t, rec.tell(0))
	c := p.plainWS("/ws", "uid=7", nil)
	stream, poll := make(chan string, 1), make(chan string, 1)
	go func() { stream <- p.get("http://" + p.Addr() + "/sse?uid=7") }()
	go func() { poll <- p.get("http://" + p.Addr() + "/comet?uid=7&wait=60") }()
	await(t, "all are there", func() bool { return p.hub.Stats().Connections == 3 })
	await(t, "a first poll that waits outside of net/http", func() bool { return p.public.keeper.Stats().Waiting == 1 })
	if err := p.stop(); err != nil {
		t.Error(err)
	}
	if got := c.next(); !strings.HasPrefix(got, "close 4503 ") {
		t.Error(got)
	}
	for _, told := range []string{take(t, "the end of the stream", stream), take(t, "the answer to the poll", poll)} {
		if !strings.Contains(told, `"code":"stopping"`) {
			t.Errorf("%q does not say why", told)
		}
	}
	rec.want(t, "user.online", "7", "")
	rec.want(t, "user.offline", "7", "disconnect")
}
