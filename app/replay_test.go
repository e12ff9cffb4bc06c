package app

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"crier/configs"
)

// withInbox keeps messages, and what clients can get replayed, in a file of the test's.
func withInbox(t *testing.T) func(*configs.Config) {
	path := filepath.Join(t.TempDir(), "crier.db")
	return func(c *configs.Config) {
		c.Store.Path, c.Inbox.Open, c.Presence.CountEvent = path, true, "off"
	}
}

// keep stores a message for u.
func (p *program) keep(id string) {
	p.t.Helper()
	got := p.v1("POST", "/v1/push", fmt.Sprintf(`{"id":%q,"to":{"users":["u"]},"data":%q,"store":true}`, id, id))
	if got.status != http.StatusOK {
		p.t.Fatalf("%+v", got)
	}
}

// state is what has become of a message for u.
func (p *program) state(id string) string {
	var r struct{ Users []struct{ State string } }
	got := p.v1("GET", "/v1/messages/"+id+"?users=true", "")
	if err := json.Unmarshal([]byte(got.body), &r); err != nil || len(r.Users) != 1 {
		p.t.Fatalf("%+v: %v", got, err)
	}
	return r.Users[0].State
}

func (p *program) confirmed(id string) {
	p.t.Helper()
	await(p.t, "the confirmation of "+id, func() bool { return p.state(id) == "confirmed" })
}

// events opens an event stream of u's and returns a function that returns the id, and the data, of what comes next.
func (p *program) events(after string) (next func() (id, data string), leave func()) {
	p.t.Helper()
	r, err := http.NewRequest(http.MethodGet, "http://"+p.Addr()+"/sse?uid=u", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Last-Event-ID", after)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	lines := bufio.NewScanner(resp.Body)
	leave = func() {
		if err := resp.Body.Close(); err != nil {
			p.t.Error(err)
		}
	}
	p.t.Cleanup(leave)
	return func() (id, data string) {
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch {
			case name == "id":
				id = value
			case name == "data":
				data = value
			case lines.Text() == "" && data != "":
				return id, data
			}
		}
		p.t.Fatalf("nothing comes: %v", lines.Err())
		return
	}, leave
}

// What is stored comes at the login, and is confirmed by a pong; also what is pushed then. Without pongs it stays.
func TestInboxWebSocket(t *testing.T) {
	for _, path := range []string{"/ws", "/sockjs/websocket"} {
		t.Run(path, func(t *testing.T) {
			p := start(t, withInbox(t))
			for n := range 300 { // more than are given at once
				p.keep(fmt.Sprint(n))
			}
			mute := p.plainWS(path, "uid=u", nil)
			mute.mute = true
			mute.want(`{"id":"ID","event":"new_msg","args":["0"]}`)
			mute.send("ping")
			for mute.next() != "pong" { // as many as are given at once
			}
			same(t, "without a pong", p.state("0"), "waiting")
			mute.leave()
			c := p.plainWS(path, "uid=u", nil)
			for n := range 300 {
				c.want(fmt.Sprintf(`{"id":"ID","event":"new_msg","args":["%d"]}`, n))
			}
			p.keep("now")
			c.want(`{"id":"ID","event":"new_msg","args":["now"]}`)
			for _, id := range []string{"0", "299", "now"} {
				await(t, "the confirmation of "+id, func() bool {
					c.send("ping") // has the client read on, which answers the pings of the protocol, too
					c.want("pong")
					return p.state(id) == "confirmed"
				})
			}
		})
	}
}

// A stream confirms when its client comes back: with the id that it got last, to where it was, also after a stop and a start;
// whoever has not got all that was given of the inbox gets that again.
func TestInboxEvents(t *testing.T) {
	settings := withInbox(t)
	p := start(t, settings)
	p.keep("1")
	p.keep("2")
	next, leave := p.events("")
	want := func(list ...string) (id string) {
		t.Helper()
		for _, w := range list {
			var data string
			if id, data = next(); data != w {
				t.Fatalf("got %q, want %q", data, w)
			}
		}
		return id
	}
	want("[]")
	first := want("1")
	want("2")
	same(t, "while the stream is open", p.state("1"), "waiting")
	leave()
	next, leave = p.events(first)
	if _, data := next(); !strings.HasPrefix(data, `[{"after":`) {
		t.Fatalf("got %s, want that something is missing", data)
	}
	last := want("1", "2")
	for try, back := 0, false; !back; try++ { // who leaves before it has been given all of the inbox is given that again
		leave()
		next, leave = p.events(last)
		live := fmt.Sprint("live ", try)
		p.push("u", live) // logged, if the client has not come back yet
		id, data := next()
		if back = !strings.HasPrefix(data, `[{"after":`); !back {
			last = want("1", "2")
			continue
		}
		for ; data != live; id, data = next() {
		}
		last = id
	}
	p.confirmed("1")
	p.confirmed("2")
	p.keep("3")
	last = want("3")
	leave()
	p.keep("4")
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	p = start(t, settings)
	p.keep("5")
	next, leave = p.events(last)
	last = want("4", "5")
	p.confirmed("3")
	same(t, "on its way", p.state("4"), "waiting")
	leave()
	next, _ = p.events(last)
	p.confirmed("4")
	p.confirmed("5")
	p.keep("6")
	want("6")
}

// The next poll confirms, also after a stop and a start.
func TestInboxComet(t *testing.T) {
	settings := withInbox(t)
	p := start(t, settings)
	p.keep("1")
	poll := func(after, want string) (next string) {
		t.Helper()
		got := p.do(http.MethodGet, "http://"+p.Addr()+"/comet?uid=u&wait=20&after="+url.QueryEscape(after), "")
		var a struct {
			Next     string
			Missed   bool
			Messages []struct{ ID string }
		}
		if err := json.Unmarshal([]byte(got.body), &a); err != nil || a.Missed || len(a.Messages) == 0 {
			t.Fatalf("%+v: %v", got, err)
		}
		var ids []string
		for _, m := range a.Messages {
			ids = append(ids, m.ID)
		}
		same(t, "ids", strings.Join(ids, " "), want)
		return a.Next
	}
	next := poll("", "1")
	same(t, "before the next poll", p.state("1"), "waiting")
	p.keep("2")
	next = poll(next, "2")
	p.confirmed("1")
	p.keep("3")
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	p = start(t, settings)
	next = poll(next, "3")
	p.confirmed("2")
	p.keep("4")
	poll(next, "4")
	p.confirmed("3")
}

// A client of SockJS without a WebSocket confirms by its next request; a stream ends, so that there is one.
func TestInboxSockJS(t *testing.T) {
	for _, kind := range []string{"xhr", "xhr_streaming"} {
		t.Run(kind, func(t *testing.T) {
			p := start(t, withInbox(t))
			p.keep("1")
			receive := func() string {
				t.Helper()
				got := p.do(http.MethodPost, "http://"+p.Addr()+"/sockjs/0/s/"+kind+"?uid=u", "")
				if got.status != http.StatusOK {
					t.Fatalf("%+v", got)
				}
				return got.body
			}
			if kind == "xhr" {
				same(t, "first", receive(), "o\n")
			}
			if got := receive(); !strings.Contains(got, `\"id\":\"1\"`) {
				t.Fatalf("got %s", got)
			}
			same(t, "before the next request", p.state("1"), "waiting")
			p.keep("2")
			if got := receive(); !strings.Contains(got, `\"id\":\"2\"`) {
				t.Fatalf("got %s", got)
			}
			p.confirmed("1")
		})
	}
}
