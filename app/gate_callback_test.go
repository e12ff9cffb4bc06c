package app

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"crier/api/webhook"
	"crier/configs"
)

// business is a business API that says who clients are.
type business struct {
	*httptest.Server
	asked atomic.Int32
	shut  atomic.Bool   // it lets nobody in any more
	hold  chan struct{} // questions of the token "slow" wait for it
}

type inquiry struct {
	UID, Token, IP string
	Headers, Query map[string]string
}

func newBusiness(t *testing.T) *business {
	t.Helper()
	b := &business{hold: make(chan struct{})}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.asked.Add(1)
		body := make([]byte, r.ContentLength)
		if _, err := bufio.NewReader(r.Body).Read(body); err != nil {
			t.Error(err)
		}
		if err := webhook.Verify(secret, r.Header, body, time.Minute); err != nil {
			t.Error(err)
		}
		var ask inquiry
		if err := json.Unmarshal(body, &ask); err != nil {
			t.Error(err)
		}
		if ask.IP != "127.0.0.1" {
			t.Errorf("ip %q", ask.IP)
		}
		switch {
		case b.shut.Load():
			w.WriteHeader(http.StatusUnauthorized)
		case ask.Token == "slow":
			select {
			case <-b.hold:
			case <-r.Context().Done():
			}
			fmt.Fprint(w, `{"uid":"slow"}`)
		case ask.Token == "stuck":
			<-r.Context().Done()
		case ask.Token == "broken":
			w.WriteHeader(http.StatusBadGateway)
		case ask.Token == "good"+canary, ask.Headers["cookie"] == "session="+canary, ask.Query["pass"] == "x":
			fmt.Fprintf(w, `{"uid":"7","rooms":["z"],"expires":%d}`, time.Now().Add(time.Hour).Unix())
		default:
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(b.Close)
	return b
}

func (b *business) ask(c *configs.Config) {
	c.Auth.Mode, c.Auth.Callback.URL = "callback", b.URL+"/who"
	c.Webhook.Secrets = []string{secret}
	c.Rooms.ClientJoin = "token"
}

func TestCallbackMode(t *testing.T) {
	b := newBusiness(t)
	p := start(t, b.ask)
	session := http.Header{"Cookie": {"session=" + canary}}
	other := http.Header{"Cookie": {"session=other"}}
	tests := []struct {
		name, auth, query string
		header            http.Header
		code              string // "": logged in as 7; "none": let in, not logged in
	}{
		{"token", `{"token":"good` + canary + `"}`, "", nil, ""},
		{"token of the query", "", "token=good" + canary, nil, ""},
		{"cookie", "", "", session, ""},
		{"cookie and uid", `{"uid":"7"}`, "", session, ""},
		{"query", "", "uid=7&pass=x", nil, ""},
		{"cookie and another uid", `{"uid":"8"}`, "", session, "uid_mismatch"},
		{"a cookie that says nothing", "", "", other, "none"},
		{"nothing", "", "", nil, "none"},
		{"a bare uid", `{"uid":"7"}`, "", nil, "token_required"},
		{"a uid and a cookie that says nothing", `{"uid":"7"}`, "", other, "refused"},
		{"a wrong token", `{"token":"x"}`, "", nil, "refused"},
		{"a broken API", `{"token":"broken"}`, "", nil, "unavailable"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pg := dialWith(t, p.Addr(), "EIO=4&"+tt.query, tt.header)
			pg.send("40" + tt.auth)
			if tt.code == "" || tt.code == "none" {
				pg.wantPrefix("40")
			} else {
				pg.refusedWith(tt.code)
			}
			same(t, "online", p.hub.Online("7"), tt.code == "")
			if tt.code == "none" {
				same(t, "login", pg.ack(`["login","7","good`+canary+`"]`), reply{OK: true, UID: "7"})
			}
			if tt.code == "" || tt.code == "none" {
				same(t, "room", pg.ack(`["subscribe","z"]`), reply{OK: true, Room: "z"})
			}
			pg.leave()
			await(t, "leaving", func() bool { return p.hub.Stats().Sockets == 0 })
		})
	}
	same(t, "the canary is in the log", strings.Contains(p.log.String(), canary), false)
}

// Nobody is asked with a long login in memory; another try may follow.
func TestLongLogin(t *testing.T) {
	b := newBusiness(t)
	p := start(t, b.ask)
	pg := dialWith(t, p.Addr(), "EIO=4", nil)
	pg.send("40")
	pg.wantPrefix("40")
	token := `"good` + canary + `"`
	for _, long := range []string{`["login","7",` + token + `,"` + strings.Repeat("x", 1<<16) + `"]`, `["login","7",` + strings.Repeat(" ", 1<<16) + token + `]`} {
		got := pg.ack(long)
		same(t, "answer", got, reply{Error: "a login may have 65536 bytes", Code: "too_large"})
	}
	line := p.plainWS("/ws", "", nil)
	line.send(`{"event":"login","args":["7",` + token + `,"` + strings.Repeat("x", 1<<16) + `"],"ack":1}`)
	line.want(`{"ack":1,"args":[{"ok":false,"error":"a login may have 65536 bytes","code":"too_large"}]}`)
	same(t, "questions", b.asked.Load(), 0)
	same(t, "login", pg.ack(`["login","7",`+token+`,"`+strings.Repeat("x", 1<<15)+`"]`), reply{OK: true, UID: "7"})
}

// What is answered at once leaves in one piece, but does not wait for what the business is asked because of what was said behind it.
func TestAnswersBesideASlowLogin(t *testing.T) {
	for name, c := range map[string]struct {
		says []string
		want func(pg *page)
	}{
		"login": {
			[]string{`423["login",null,"slow"]`, `424["login","slow"]`},
			func(pg *page) { pg.want(`433[{"ok":true,"uid":"slow"}]`, `434[{"ok":true,"uid":"slow"}]`) },
		},
		"namespace": {
			[]string{`40/chat,{"token":"slow"}`},
			func(pg *page) { pg.wantPrefix(`40/chat,{"sid":`) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBusiness(t)
			p := start(t, func(c *configs.Config) {
				b.ask(c)
				c.SocketIO.Namespaces = []string{"/chat"}
			})
			pg := p.open("")
			pg.together(append([]string{`421["subscribe","z"]`, `422["unsubscribe"]`}, c.says...)...)
			pg.wantPrefix(`431[{"ok":false,`)
			pg.wantPrefix(`432[{"ok":false,`)
			close(b.hold)
			c.want(pg)
		})
	}
}

// Whom the business disconnects does not come back on an answer that is remembered.
func TestKickIsFinal(t *testing.T) {
	b := newBusiness(t)
	p := start(t, b.ask)
	session := http.Header{"Cookie": {"session=" + canary}}
	for range 2 {
		pg := dialWith(t, p.Addr(), "EIO=4", session)
		pg.send("40")
		pg.wantPrefix("40")
	}
	same(t, "asked", b.asked.Load(), 1)
	b.shut.Store(true)
	got := p.do(http.MethodDelete, "http://"+p.PushAddr()+"/v1/users/7", "")
	if got.status != http.StatusOK || !strings.Contains(got.body, `"disconnected":2`) {
		t.Fatalf("%+v", got)
	}
	pg := dialWith(t, p.Addr(), "EIO=4", session)
	pg.send("40")
	pg.wantPrefix("40")
	same(t, "login", pg.ack(`["login","7"]`).Code, "refused")
}

// A business API that takes its time holds up only who waits for it, and a stop not at all.
func TestSlowCallback(t *testing.T) {
	b := newBusiness(t)
	p := start(t, func(c *configs.Config) {
		b.ask(c)
		c.Auth.Callback.Timeout = time.Hour
	})
	waiting := p.open("")
	waiting.send(`425["login",null,"slow"]`)
	gone := p.open("")
	gone.send(`425["login",null,"slow"]`)
	connecting := dial(t, "ws", p.Addr(), "EIO=4", nil)
	connecting.send(`40{"token":"slow"}`)
	await(t, "the question", func() bool { return b.asked.Load() == 1 }) // one for all
	quick := p.open(`{"token":"good` + canary + `"}`)
	same(t, "push", p.push("7", "hi"), "ok")
	quick.want(`42["new_msg","hi"]`)
	gone.leave()
	close(b.hold)
	waiting.want(`435[{"ok":true,"uid":"slow"}]`)
	connecting.wantPrefix(`40{"sid":"`)
	await(t, "the one that left", func() bool { return p.hub.Stats().Sockets == 3 })

	last := p.open("")
	last.send(`425["login",null,"stuck"]`)
	await(t, "the question", func() bool { return b.asked.Load() == 3 })
	if err := p.stop(); err != nil { // which gives up long before the time-out of the callback
		t.Error(err)
	}
}
