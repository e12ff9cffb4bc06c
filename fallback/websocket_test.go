package fallback_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"crier/fallback"
	"crier/io/hub"
)

func TestWebSocketMessages(t *testing.T) {
	d := newDesk(t, true, fallback.Options{})
	s := d.frames("/ws?uid=7&rooms=a,b,,a", false)
	d.awaitUser("7", 1)
	if list, err := d.hub.User("7"); err != nil || !slices.Equal(list[0].Rooms, []string{"a", "b"}) {
		t.Errorf("%+v, %v", list, err)
	}
	d.push("m1", "7", "new_msg", `"<é😀>"`)
	d.push("m2", "7", "a\"b", `1`, ` {"x": [null]}`)
	d.push("m3", "7", "none")
	binary := &hub.Message{ID: "m4", Event: "e", Attachments: [][]byte{[]byte("AAE=")}}
	if _, err := d.hub.Push(t.Context(), hub.Push{To: hub.Audience{All: true}, Message: binary}); err != nil {
		t.Fatal(err)
	}
	want(t, s.got,
		`{"id":"m1","event":"new_msg","args":["<é😀>"]}`,
		`{"id":"m2","event":"a\"b","args":[1, {"x": [null]}]}`,
		`{"id":"m3","event":"none","args":[]}`,
		`{"id":"m4","event":"e","args":[{"$binary":"AAE="}]}`)

	s.send("ping")
	s.send(`{"event":"x","args":[1,{"$binary":"AAE="}]}`)
	s.write(ws.NewBinaryFrame([]byte(`{"event":"y"}`)))
	s.send(`{"event":"z","args":["é"],"ack":17}`)
	s.send(`{"event":"z","ack":"an id"}`)
	s.send(`{"event":"z","ack":null}`)
	want(t, d.events, `7 says x [1 {"$binary":"AAE="}]`, `7 says y []`, `7 says z ["é"]`, `7 says z []`, `7 says z []`)
	want(t, s.got, "pong", `{"ack":17,"args":["é"]}`, `{"ack":"an id","args":[]}`)
	s.drop()
	want(t, d.events, "7 has gone")
	d.awaitUser("7", 0)
}

func TestWebSocketAsked(t *testing.T) {
	d := newDesk(t, true, fallback.Options{})
	one, two := d.frames("/ws?uid=7", false), d.frames("/ws?uid=7", false)
	d.awaitUser("7", 2)
	answers := d.ask("m", "7", "sure?")
	const question = `{"id":"m","event":"sure?","args":[],"ack":1}`
	want(t, one.got, question)
	want(t, two.got, question)
	for _, text := range []string{`{"ack":2,"args":["another"]}`, `{"ack":"1"}`, `{"ack":1,"args":["yes",{}]}`, `{"ack":1,"args":["again"]}`} {
		one.send(text)
	}
	two.drop()
	got := next(t, answers)
	if got.Asked != 2 || got.Connections != 1 || got.Late || len(got.List) != 1 || string(got.List[0].Args[0]) != `"yes"` || len(got.List[0].Args) != 2 {
		t.Errorf("%+v", got)
	}
}

func TestWebSocketRefusals(t *testing.T) {
	d := newDesk(t, true, fallback.Options{MaxPayload: 1000})
	const example = "close 4400 a message is JSON like "
	tests := []struct{ name, path, text, want string }{
		{"no JSON", "/ws?uid=7", "hello", example},
		{"nothing", "/ws?uid=7", "", example},
		{"an array", "/ws?uid=7", `["event"]`, example},
		{"two values", "/ws?uid=7", `{"event":"x"} {}`, example},
		{"args that are no array", "/ws?uid=7", `{"event":"x","args":{}}`, example},
		{"an event that is no string", "/ws?uid=7", `{"event":7}`, example},
		{"an event without a name", "/ws?uid=7", `{"event":""}`, "close 4400 the event has no name"},
		{"neither", "/ws?uid=7", `{}`, "close 4400 the message has neither an event nor an ack"},
		{"an ack that is an object", "/ws?uid=7", `{"event":"x","ack":{}}`, "close 4400 ack has to be"},
		{"a long ack", "/ws?uid=7", `{"event":"x","ack":"` + strings.Repeat("x", 63) + `"}`, "close 4400 ack has to be"},
		{"more than max_payload", "/ws?uid=7", strings.Repeat("x", 1001), "close 1009 "},
		{"refused", "/ws?uid=7&refuse=early", "", "close 4401 not you"},
		{"refused in the end", "/ws?uid=7&refuse=late", "", "close 4401 not you"},
		{"a query that is none", "/ws?uid=%zz", "", "400"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.want == "400" {
				a := d.get(tt.path, "Upgrade", "websocket", "Connection", "Upgrade")
				wantAnswer(t, a, 400, `{"error":"the query string cannot be parsed","code":"bad_request"}`+"\n")
				return
			}
			s := d.frames(tt.path, false)
			s.send(tt.text)
			if got := next(t, s.got); !strings.HasPrefix(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if !strings.Contains(tt.path, "refuse=early") {
				next(t, d.events) // has gone
			}
			d.awaitUser("7", 0)
		})
	}
}

// What the client asks for besides is let pass.
func TestWebSocketHandshake(t *testing.T) {
	d := newDesk(t, true, fallback.Options{})
	for asked, confirmed := range map[string]string{"": "", "chat": "chat", " v2 , v1": "v2"} {
		s := d.frames("/ws?uid=7", false, "Sec-WebSocket-Protocol", asked)
		if got := s.header.Get("Sec-WebSocket-Protocol"); got != confirmed {
			t.Errorf("%q: %q is confirmed, want %q", asked, got, confirmed)
		}
	}
	a := d.get("/ws?uid=7")
	if a.err != nil || a.status != http.StatusUpgradeRequired {
		t.Errorf("without a handshake: %+v", a)
	}
	a = d.get("/ws?uid=7", "Origin", "https://elsewhere.example")
	var e struct{ Error, Code string }
	if err := json.Unmarshal([]byte(a.body), &e); err != nil || a.status != http.StatusForbidden || e.Code != "bad_origin" || !strings.Contains(e.Error, "`origins`") {
		t.Errorf("from elsewhere: %+v, %v", a, err)
	}
}

func TestWebSocketMissed(t *testing.T) {
	d := newDesk(t, true, fallback.Options{})
	want(t, d.frames("/ws?uid=7&after=m%221", false).got, `{"event":"missed","args":[{"after":"m\"1"}]}`)
}

func TestWebSocketKick(t *testing.T) {
	d := newDesk(t, true, fallback.Options{})
	s := d.frames("/ws?uid=7", false)
	d.awaitUser("7", 1)
	answers := d.ask("m", "7", "e")
	next(t, s.got)
	d.kick("7")
	want(t, s.got, "close 4403 "+fallback.Kicked.Text)
	want(t, d.events, "7 has gone")
	if got := next(t, answers); got.Asked != 1 || got.Connections != 0 || got.Late {
		t.Errorf("%+v", got)
	}
}

// A client that reads nothing is disconnected when its queue is full, and holds up nobody.
func TestSlow(t *testing.T) {
	for _, path := range []string{"/ws", "/sse"} {
		t.Run(path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t, false, fallback.Options{QueueMessages: 3})
				conn := d.stall(path + "?uid=7")
				defer conn.Close()
				other := d.frames("/ws?uid=8", false)
				d.awaitUser("7", 1)
				d.awaitUser("8", 1)
				slow := d.overflow("7")
				if slow == 0 || d.srv.Stats().SlowConsumers.Total() != 1 {
					t.Errorf("%d dropped, %+v", slow, d.srv.Stats())
				}
				d.push("m", "8", "e")
				want(t, other.got, `{"id":"m","event":"e","args":[]}`)
				want(t, d.events, "7 has gone")
			})
		})
	}
}

func TestWebSocketHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, false, fallback.Options{PingInterval: 25 * time.Second, PingTimeout: 20 * time.Second})
		begin := time.Now()
		alive, dead := d.frames("/ws?uid=7", false), d.frames("/ws?uid=8", true)
		want(t, alive.got, "PING")
		if took := time.Since(begin).Round(time.Second); took != 25*time.Second {
			t.Errorf("pinged after %s", took)
		}
		want(t, dead.got, "PING")
		want(t, d.events, "8 has gone")
		if took := time.Since(begin).Round(time.Second); took != 45*time.Second {
			t.Errorf("given up after %s", took)
		}
		want(t, alive.got, "PING")
		if took := time.Since(begin).Round(time.Second); took != 50*time.Second {
			t.Errorf("pinged again after %s", took)
		}
	})
}

func TestClose(t *testing.T) {
	d := newDesk(t, true, fallback.Options{})
	s := d.frames("/ws?uid=7", false)
	f := d.open(http.MethodGet, "/sse?uid=7")
	f.block("\n\n")
	poll := d.goGet("/comet?uid=7")
	d.awaitUser("7", 3)
	if err := d.srv.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	want(t, s.got, "close 4503 "+fallback.Stopping.Text)
	const stopping = `{"error":"the server is stopping; come back in a moment","code":"stopping"}`
	f.want("event: disconnect\ndata: [" + stopping + "]\n\n")
	f.wantEnd()
	wantAnswer(t, next(t, poll), http.StatusServiceUnavailable, stopping+"\n")
	d.awaitUser("7", 0)
	want(t, d.frames("/ws?uid=7", false).got, "close 4503 "+fallback.Stopping.Text)
	wantAnswer(t, d.get("/comet?uid=7"), http.StatusServiceUnavailable, stopping+"\n")
}

func TestOptions(t *testing.T) {
	if _, err := fallback.New(fallback.Options{}); err == nil {
		t.Error("no hub is taken")
	}
	if err := errors.Join(nil, refused); err.Error() != "not you" {
		t.Error(err)
	}
}
