package app

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"crier/api/webhook"
	"crier/configs"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// callback is what a business server is told.
type callback struct {
	ID, Type, Node string
	Data           struct {
		UID, Cause  string
		Version     uint64
		Connections int
	}
}

// receiver is a business server.
type receiver struct {
	url string
	got chan callback
}

// listen starts a business server, which answers with what answer returns, or
// 204 without it. Every signature is checked.
func listen(t *testing.T, answer func(r *http.Request) int) *receiver {
	t.Helper()
	rec := &receiver{got: make(chan callback, 100)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if err := webhook.Verify(secret, r.Header, body, time.Minute); err != nil {
			t.Error(err)
		}
		var c callback
		if err := json.Unmarshal(body, &c); err != nil {
			t.Errorf("a callback that is no JSON: %v", err)
		}
		status := http.StatusNoContent
		if answer != nil {
			status = answer(r)
		}
		w.WriteHeader(status)
		if status < 300 {
			rec.got <- c
		}
	}))
	t.Cleanup(server.Close)
	rec.url = server.URL + "/events"
	return rec
}

// tell sets the settings that have callbacks sent to r.
func (r *receiver) tell(delay time.Duration) func(*configs.Config) {
	return func(c *configs.Config) {
		c.Webhook.URL, c.Webhook.Secrets = r.url, []string{secret}
		c.Presence.OfflineDelay = delay
	}
}

// want takes the next callback.
func (r *receiver) want(t *testing.T, event, uid, cause string) callback {
	t.Helper()
	c := take(t, event+" of "+uid, r.got)
	same(t, "callback", [3]string{c.Type, c.Data.UID, c.Data.Cause}, [3]string{event, uid, cause})
	return c
}

func TestOnlineAndOffline(t *testing.T) {
	rec := listen(t, nil)
	p := start(t, rec.tell(10*time.Millisecond))
	first := p.openAs("7")
	came := rec.want(t, "user.online", "7", "")
	second := p.openAs("7") // another page of the same user
	stranger := p.open("")  // nobody
	first.leave()
	stranger.leave()
	await(t, "leaving", func() bool { return p.hub.Stats().Sockets == 1 })
	p.openAs("8")
	rec.want(t, "user.online", "8", "")
	same(t, "callbacks too many", len(rec.got), 0)
	second.leave()
	went := rec.want(t, "user.offline", "7", "disconnect")

	node, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	same(t, "node", came.Node, node)
	same(t, "connections", [2]int{came.Data.Connections, went.Data.Connections}, [2]int{1, 0})
	if came.Data.Version >= went.Data.Version || came.ID == went.ID {
		t.Errorf("online is %+v, offline %+v: want a higher version and another id", came, went)
	}
}

func TestLogoutIsOffline(t *testing.T) {
	rec := listen(t, nil)
	p := start(t, rec.tell(10*time.Millisecond))
	pg := p.openAs("7")
	rec.want(t, "user.online", "7", "")
	pg.send(`42["logout"]`)
	rec.want(t, "user.offline", "7", "logout")
	pg.login("7")
	rec.want(t, "user.online", "7", "")
}

// A refresh of the page is neither coming nor going.
func TestRefresh(t *testing.T) {
	rec := listen(t, nil)
	p := start(t, rec.tell(time.Hour))
	pg := p.openAs("7")
	rec.want(t, "user.online", "7", "")
	for range 5 {
		pg.leave()
		await(t, "leaving", func() bool { return p.hub.Stats().Sockets == 0 })
		pg = p.open(`{"uid":"7"}`)
	}
	ended := pg.answering()
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	take(t, "the end", ended)
	rec.want(t, "user.offline", "7", "shutdown")
	same(t, "callbacks too many", len(rec.got), 0)
}

func TestWantedEvents(t *testing.T) {
	rec := listen(t, nil)
	p := start(t, func(c *configs.Config) {
		rec.tell(10 * time.Millisecond)(c)
		c.Webhook.Events = []string{"user.offline"}
	})
	p.openAs("7").leave()
	rec.want(t, "user.offline", "7", "disconnect")
	same(t, "callbacks too many", len(rec.got), 0)
}
