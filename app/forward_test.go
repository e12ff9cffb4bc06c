package app

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"crier/api/webhook"
	"crier/configs"
)

// forwarded is an event of a client, as a business server gets it.
type forwarded struct {
	ID, Type string
	Data     json.RawMessage
}

// takeEvents starts a business server that takes events, answering each with what answer writes.
func takeEvents(t *testing.T, answer http.HandlerFunc) (url string, got <-chan forwarded) {
	t.Helper()
	events := make(chan forwarded, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if err := webhook.Verify(secret, r.Header, body, time.Minute); err != nil {
			t.Error(err)
		}
		var e forwarded
		if err := json.Unmarshal(body, &e); err != nil {
			t.Error(err)
		}
		events <- e
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL, events
}

func forwardTo(url string, events ...string) func(*configs.Config) {
	return func(c *configs.Config) {
		c.Forward.URL, c.Forward.Events = url, events
		c.Webhook.Secrets = []string{secret}
		c.SocketIO.MaxPayload = 1000
	}
}

func TestForward(t *testing.T) {
	url, events := takeEvents(t, func(w http.ResponseWriter, _ *http.Request) {
		if _, err := io.WriteString(w, `{"order":7}`); err != nil {
			t.Error(err)
		}
	})
	p := start(t, forwardTo(url, "order", "中文"))
	for _, pg := range []*page{p.openAs("7"), p.openOld("uid=7")} {
		pg.send(`425["order",{"a":[1,"é"]},null]`)
		pg.want(`435[{"order":7}]`)
		e := take(t, "event", events)
		same(t, "type", e.Type, "client.event")
		var data struct {
			UID, Connection, Event string
			Args                   json.RawMessage
		}
		if err := json.Unmarshal(e.Data, &data); err != nil {
			t.Fatal(err)
		}
		same(t, "uid", data.UID, "7")
		same(t, "event", data.Event, "order")
		same(t, "args", string(data.Args), `[{"a":[1,"é"]},null]`)
		user, err := p.hub.User("7")
		if err != nil {
			t.Fatal(err)
		}
		known := false
		for _, session := range user {
			known = known || session.Connection == data.Connection
		}
		same(t, "the connection is one of the user's", known, true)
	}

	anonymous := p.open("")
	anonymous.send(`42["中文"]`) // wants no acknowledgement
	e := take(t, "event of nobody", events)
	same(t, "without a uid", strings.Contains(string(e.Data), `"uid"`), false)
	same(t, "without arguments", strings.Contains(string(e.Data), `"args":[]`), true)
	anonymous.send(`425["other"]`) // not named, and so nobody's
	anonymous.wantNothing()

	anonymous.send(`451-5["order",{"file":{"_placeholder":true,"num":0}}]`)
	if err := anonymous.write(ws.NewBinaryFrame([]byte{0, 255})); err != nil {
		t.Fatal(err)
	}
	anonymous.want(`435[{"order":7}]`)
	e = take(t, "event with bytes", events)
	same(t, "the bytes are in it", strings.Contains(string(e.Data), `"args":[{"file":{"$binary":"AP8="}}]`), true)

	many := strings.Repeat(`{"_placeholder":true,"num":0},`, 20)
	anonymous.send(`451-5["order",` + many + `0]`)
	if err := anonymous.write(ws.NewBinaryFrame(make([]byte, 900))); err != nil {
		t.Fatal(err)
	}
	anonymous.want(`435[{"ok":false,"error":"` + errTooLarge.Error() + `","code":"too_large"}]`)
	same(t, "events of which nobody was told", len(events), 0)
}

func TestForwardFailures(t *testing.T) {
	tests := []struct {
		name   string
		answer http.HandlerFunc
		want   string
	}{
		{"empty", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, `[{"ok":true}]`},
		{"refused", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }, `[{"ok":false,"error":"the business API refused the event","code":"refused"}]`},
		{
			"failed", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "secret", http.StatusInternalServerError) },
			`[{"ok":false,"error":"the business API could not be reached, or failed","code":"unavailable"}]`,
		},
		{
			"no JSON", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "secret", http.StatusOK) },
			`[{"ok":false,"error":"the business API did not answer with JSON","code":"bad_answer"}]`,
		},
		{
			"hangs", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
			`[{"ok":false,"error":"the business API did not answer in time","code":"timeout"}]`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			url, _ := takeEvents(t, tt.answer)
			p := start(t, func(c *configs.Config) {
				forwardTo(url, "order")(c)
				if tt.name == "hangs" {
					c.Forward.Timeout = 50 * time.Millisecond
				}
			})
			pg := p.openAs("7")
			pg.send(`425["order"]`)
			pg.want("435" + tt.want)
		})
	}
}

// Where clients have to log in, nobody else reaches the business API.
func TestForwardNeedsLogin(t *testing.T) {
	url, events := takeEvents(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) })
	p := start(t, func(c *configs.Config) {
		forwardTo(url, "order")(c)
		withJWT(c)
	})
	pg := p.open("")
	same(t, "code", pg.ack(`["order"]`).Code, "login_required")
	same(t, "login", pg.ack(`["login","7","`+sign(t, "7", time.Hour)+`"]`).OK, true)
	same(t, "after it", pg.ack(`["order"]`).OK, true)
	same(t, "events", len(events), 1)
}

// A business API that hangs holds up neither other events nor deliveries, and a stop tells who waits.
func TestForwardWhileStopping(t *testing.T) {
	asked := make(chan struct{}, 1)
	url, _ := takeEvents(t, func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	})
	p := start(t, forwardTo(url, "order"))
	pg := p.openAs("7")
	pg.send(`425["order"]`)
	take(t, "request", asked)
	same(t, "push", p.push("7", "hi"), "ok")
	pg.want(`42["new_msg","hi"]`)
	if err := p.stop(); err != nil {
		t.Error(err)
	}
	pg.want(`435[{"ok":false,"error":"the server is stopping","code":"stopping"}]`)
	pg.wantEnd()
}

func TestRoomEvents(t *testing.T) {
	p := start(t, func(c *configs.Config) {
		c.Rooms.ClientJoin = "allow"
		c.Presence.RoomEvents = true
		c.Presence.OfflineDelay = 0
	})
	enter := func(pg *page, event string) {
		t.Helper()
		same(t, event, pg.ack(`["`+event+`","r"]`).OK, true)
	}
	first, second := p.openAs("1"), p.openAs("2")
	enter(first, "subscribe")
	settleRooms(t, p, p)
	enter(second, "subscribe")
	first.want(`42["presence",{"room":"r","uid":"2","event":"join"}]`)
	again := p.openAs("2") // the same user once more
	enter(again, "subscribe")
	again.leave()
	enter(second, "unsubscribe")
	await(t, "the end of a connection", func() bool { return p.hub.Stats().Sockets == 2 })
	first.want(`42["presence",{"room":"r","uid":"2","event":"leave"}]`)
	enter(second, "subscribe")
	first.want(`42["presence",{"room":"r","uid":"2","event":"join"}]`)
	second.leave()
	first.want(`42["presence",{"room":"r","uid":"2","event":"leave"}]`)
	first.wantNothing()
}

// settleRooms waits until rooms have been told on to of what has happened in them on from: who comes later would hear of it too. That is told in
// order, so it waits for something later.
func settleRooms(t *testing.T, from, to *program) {
	t.Helper()
	room := rand.Text()
	hears, comes := to.openAs("hears"), from.openAs("comes")
	same(t, "subscribe", hears.ack(`["subscribe","`+room+`"]`).OK, true)
	comes.send(`42["subscribe","` + room + `"]`)
	hears.want(`42["presence",{"room":"` + room + `","uid":"comes","event":"join"}]`)
	hears.leave()
	comes.leave()
}
