package app

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"crier/configs"
)

// canaryKey is a key of the push port, canary a part of it.
const canaryKey = "key-" + canary + "-41"

// clean fails the test if text gives a secret or a message away.
func clean(t *testing.T, what, text string) {
	t.Helper()
	if at := strings.Index(strings.ToLower(text), canary); at >= 0 {
		t.Errorf("%s has the canary: …%s…", what, text[max(0, at-100):min(len(text), at+100)])
	}
}

// What is a secret, and what a message says, is in no log, no figures and no error, whatever goes wrong with it.
func TestCanary(t *testing.T) {
	// The receiver's address has the canary, too, and refuses everything.
	rec := listen(t, func(*http.Request) int { return http.StatusBadRequest })
	p := start(t, func(c *configs.Config) {
		rec.tell(0)(c)
		withJWT(c)
		withCanary(c)
		c.Store.Path = filepath.Join(t.TempDir(), "crier.db")
		c.Webhook.URL = strings.Replace(c.Webhook.URL, "://", "://user:"+canary+"@", 1) + "?q=" + canary
		c.SocketIO.MaxPayload = 2000
		c.API.MaxBody = 10_000
	})
	token := sign(t, "7", time.Hour)
	pages := []*page{p.open(`{"token":"` + token + `"}`), p.openOld("token=" + token)}

	t.Run("push port", func(t *testing.T) { canaryCalls(t, p) })
	t.Run("links", func(t *testing.T) { canaryLinks(t, p) })
	t.Run("clients", func(t *testing.T) { canaryClients(t, p, token) })
	t.Run("acknowledgement", func(t *testing.T) {
		answered := make(chan answer)
		go func() {
			answered <- p.do(http.MethodPost, "http://"+p.PushAddr()+"/v1/push", `{"to":{"users":["7"]},"event":"ask","data":"`+canary+`","ack":"20s"}`, "X-Api-Key", canaryKey)
		}()
		for _, pg := range pages {
			id, asked := "", false
			for !asked { // after what was pushed before
				text, err := pg.next()
				if err != nil {
					t.Fatal(err)
				}
				id, _, asked = strings.Cut(text, `["ask",`)
			}
			pg.send("43" + strings.TrimPrefix(id, "42") + `["` + canary + `"]`)
		}
		if got := take(t, "the answer", answered); !strings.Contains(got.body, `"connections":2,"answers"`) {
			t.Error(got.body)
		}
	})
	t.Run("reload", func(t *testing.T) {
		bad := settings()
		withJWT(bad)
		withCanary(bad)
		bad.API.Hosts = []string{"a/b"}
		if err := p.Reload(t.Context(), bad); err == nil {
			t.Error("it was taken")
		} else {
			clean(t, "the error", err.Error())
		}
	})
	t.Run("guesses", func(t *testing.T) {
		status := 0
		for guess := 0; guess < 100 && status != http.StatusTooManyRequests; guess++ {
			got := p.do("GET", "http://"+p.PushAddr()+"/v1/stats", "", "X-Api-Key", fmt.Sprint(canary, guess))
			clean(t, "the answer to a guess", fmt.Sprint(got.body, got.header))
			status = got.status
		}
		same(t, "status in the end", status, http.StatusTooManyRequests)
	})
	if err := p.stop(); err != nil {
		clean(t, "the error of the stop", err.Error())
		p.stopErr = nil // the callbacks that nobody took
	}
	clean(t, "the log", p.log.String())
	for _, must := range []string{"call refused", "push failed", "not let in"} { // or it would not show much
		if !strings.Contains(p.log.String(), must) {
			t.Errorf("the log does not say %q", must)
		}
	}
}

func withCanary(c *configs.Config) {
	c.API.Keys = []string{canaryKey}
	c.API.Limited = []configs.APIKey{{Key: canaryKey + "-limited", Rights: []string{"push"}, Audience: "shop-", Rate: 1.0 / 60}}
}

// canaryCalls makes calls that fail, and some that do not, all of them with the canary in what is nobody's business.
func canaryCalls(t *testing.T, p *program) {
	t.Helper()
	const value = `"` + canary + `"`
	to := `{"to":{"users":["7"]},`
	limited := canaryKey + "-limited"
	for _, c := range []struct {
		method, path, body, key string
		status                  int
	}{
		{"POST", "/v1/push", to + `"data":` + value + `}`, canaryKey, 200},
		{"POST", "/v1/push", to + `"data":` + value + `}`, "", 403},
		{"POST", "/v1/push", to + `"data":` + value + `}`, "wrong-" + canary, 403},
		{"POST", "/v1/push?key=" + canaryKey, to + `"data":` + value + `}`, "", 403},
		{"POST", "/v1/push", to + `"data":` + value + `}`, limited, 403},
		{"GET", "/v1/users", "", limited, 403},
		{"POST", "/v1/push", to + `"data":` + value, canaryKey, 400},
		{"POST", "/v1/push", to + `"data":` + value + `,"data":1}`, canaryKey, 422},
		{"POST", "/v1/push", to + `"data":` + value + `,"ack":` + value + `}`, canaryKey, 422},
		{"POST", "/v1/push", to + `"data":` + value + `,"ttl":` + value + `}`, canaryKey, 422},
		{"POST", "/v1/push", to + `"data":` + value + `,"ttl":"1h"}`, canaryKey, 200},
		{"POST", "/v1/push", `{"to":{"users":["away"]},"data":` + value + `,"store":true,"id":"kept"}`, canaryKey, 200},
		{"GET", "/v1/messages/kept?users=true", "", canaryKey, 200},
		{"GET", "/v1/messages/" + canary, "", canaryKey, 404},
		{"GET", "/v1/messages/kept?users=true&cursor=" + canary, "", canaryKey, 200},
		{"POST", "/v1/push", to + `"data":` + value + `,"volatile":` + value + `}`, canaryKey, 422},
		{"POST", "/v1/push", to + `"data":` + value + `,"other":` + value + `}`, canaryKey, 422},
		{"POST", "/v1/push", to + `"args":` + value + `}`, canaryKey, 422},
		{"POST", "/v1/push", to + `"data":{"$binary":"` + canary + `!"}}`, canaryKey, 422},
		{"POST", "/v1/push", to + `"data":"` + strings.Repeat(canary, 500) + `"}`, canaryKey, 413},
		{"POST", "/v1/push", to + `"data":"` + strings.Repeat(canary, 5000) + `"}`, canaryKey, 413},
		{"POST", "/v1/push", `{"data":` + value + `}`, canaryKey, 422},
		{"POST", "/v1/push/batch", `[` + to + `"data":` + value + `}`, canaryKey, 400},
		{"GET", "/v1/users?cursor=" + canary, "", canaryKey, 422},
		{"DELETE", "/v1/push", value, canaryKey, 405},
		{"POST", "/v1/none", value, canaryKey, 404},
		{"PUT", "/v1/rooms/z/users/7", value, limited, 403},
		{"GET", "/v1/stats", "", canaryKey, 200},
		{"GET", "/healthz", "", "", 200},
		{"GET", "/readyz", "", "", 200},
		{"GET", "/openapi.json", "", canaryKey, 200},
		{"GET", "/?type=publish&to=7&content=" + canary, "", canaryKey, 200},
		{"GET", "/?type=publish&to=7&content=" + canary + "&key=" + canaryKey, "", "", 200},
		{"GET", "/?type=publish&to=7&content=" + canary + "&key=wrong-" + canary, "", "", 403},
		{"GET", "/?type=publish&to=7&content=" + canary, "", "", 403},
		{"GET", "/?type=other&to=7&content=" + canary, "", canaryKey, 200}, // fail
		{"GET", "/?type=publish&to=7&content=" + strings.Repeat(canary, 500), "", canaryKey, 200},
		{"PATCH", "/?type=publish&to=7&content=" + canary, "", canaryKey, 405},
		{"POST", "/", `{"type":"publish","to":"7","content":` + value, canaryKey, 200},
		{"POST", "/", `{"type":"publish","to":{},"content":` + value + `}`, canaryKey, 200},
	} {
		got := p.do(c.method, "http://"+p.PushAddr()+c.path, c.body, "Authorization", "Bearer "+c.key, "Content-Type", "application/json")
		name := fmt.Sprintf("%s %.40s %.60s", c.method, c.path, c.body)
		same(t, "status of "+name, got.status, c.status)
		clean(t, "the answer to "+name, fmt.Sprint(got.body, got.header))
	}
}

// canaryLinks sends lines that fail.
func canaryLinks(t *testing.T, p *program) {
	t.Helper()
	lines := []string{`{"to":` + canary, `{"to":{"all":true},"data":"` + canary + `","x":"` + canary + `"}`, `"` + canary + `"`}
	got := p.do("POST", "http://"+p.PushAddr()+"/v1/push/batch", strings.Join(lines, "\n"), "X-Api-Key", canaryKey, "Content-Type", "application/x-ndjson")
	same(t, "answers", strings.Count(got.body, `"code"`), len(lines))
	clean(t, "the answers to lines", got.body)
	got = p.do("POST", "http://"+p.PushAddr()+"/v1/push/batch", `["`+canary+`",{"to":{"all":true},"data":"`+canary+`","ack":"`+canary+`"}]`, "X-Api-Key", canaryKey)
	clean(t, "the answer to an array", got.body)

	dialer := ws.Dialer{Timeout: patience, Header: ws.HandshakeHeaderHTTP{"X-Api-Key": {canaryKey}}}
	conn, _, _, err := dialer.Dial(context.Background(), "ws://"+p.PushAddr()+"/v1/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, line := range lines {
		if err := wsutil.WriteClientText(conn, []byte(line)); err != nil {
			t.Fatal(err)
		}
		text, err := wsutil.ReadServerText(conn)
		if err != nil {
			t.Fatal(err)
		}
		clean(t, "the answer on the stream", string(text))
	}
}

// canaryClients has clients that may not log in, or send nonsense.
func canaryClients(t *testing.T, p *program, token string) {
	t.Helper()
	late := sign(t, "7", -time.Minute)
	for _, bad := range []string{canary, token + canary, late, token[:len(token)-3]} {
		for _, query := range []string{"token=" + url.QueryEscape(bad), "uid=8&token=" + url.QueryEscape(token)} {
			pg := dial(t, "ws", p.Addr(), "EIO=4&"+query, nil)
			pg.send("40")
			clean(t, "a refusal", pg.wantPrefix("44"))
			pg.leave()
		}
		pg := p.open("")
		for _, login := range []string{`["login","7","` + bad + `"]`, `["login","8","` + token + `"]`, `["login",{"a":"` + canary + `"}]`, `["subscribe","` + canary + `"]`} {
			clean(t, "an answer to "+login[:9], pg.ack(login).Error)
		}
		pg.leave()
	}
	for _, nonsense := range []string{
		`42["` + canary, `42{"a":"` + canary + `"}`, `451-["a",{"_placeholder":true,"num":7,"x":"` + canary + `"}]`,
		`40/` + canary + `,{"token":"` + canary + `"}`, `9` + canary, `43["` + canary + `"]`, `42["x","` + strings.Repeat(canary, 1000) + `"]`, `42["` + canary + `","` + canary + `"]`,
	} {
		pg := p.open(`{"token":"` + token + `"}`)
		pg.send(nonsense)
		pg.leave()
	}
	for _, path := range []string{"EIO=4&transport=polling&sid=" + canary, "EIO=9&transport=polling&token=" + canary} {
		got := p.do("GET", "http://"+p.Addr()+"/socket.io/?"+path, "")
		same(t, "status", got.status, http.StatusBadRequest)
		clean(t, "the answer to "+path, fmt.Sprint(got.body, got.header))
	}
}
