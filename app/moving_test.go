package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"crier/configs"
)

// Clients without Socket.IO come back on another server, too, and get what they have missed; somebody else does not get it.
func TestReplayOnAnotherServer(t *testing.T) {
	redis := startRedis(t)
	quiet := func(c *configs.Config) { c.Presence.CountEvent = "off" }
	a, b, c := redis.node("a", quiet), redis.node("b", quiet), redis.node("c", quiet)
	servers := []*program{a, b, c}
	push := func(text string) {
		t.Helper()
		c.pushTo(`{"users":["u"]}`, text, "")
		c.pushTo(`{"all":true}`, text+" for all", "")
	}

	next, leave := a.events("")
	_, hello := next()
	same(t, "the first event", hello, "[]")
	await(t, "the login", func() bool { return strings.Contains(c.fetch("/v1/users"), `"u"`) })
	push("before")
	next() // which it has not handled when it loses the connection
	id, got := next()
	same(t, "live", got, "before for all")
	leave()
	for i, p := range servers[1:] {
		push(fmt.Sprint("missed ", i))
		next, leave = p.events(id)
		for _, want := range []string{fmt.Sprint("missed ", i), fmt.Sprintf("missed %d for all", i)} {
			if id, got = next(); got != want {
				t.Fatalf("on %s: got %q, want %q", p.cfg.Cluster.Node, got, want)
			}
		}
		leave()
	}
	next, leave = a.events(strings.Replace(id, ".", "x.", 1))
	if _, got = next(); !strings.HasPrefix(got, `[{"after":`) {
		t.Errorf("with another's id: got %s, want that something is missing", got)
	}
	leave()

	poll := func(p *program, after, uid string) (cursor, args string) {
		t.Helper()
		got := p.do(http.MethodGet, "http://"+p.Addr()+"/comet?uid="+uid+"&wait=0&after="+url.QueryEscape(after), "")
		var answer struct {
			Next     string
			Missed   bool
			Messages []struct{ Args json.RawMessage }
		}
		if err := json.Unmarshal([]byte(got.body), &answer); err != nil {
			t.Fatalf("%+v: %v", got, err)
		}
		for _, m := range answer.Messages {
			args += string(m.Args)
		}
		if answer.Missed {
			args = "missed"
		}
		return answer.Next, args
	}
	cursor, _ := poll(a, "", "v")
	c.pushTo(`{"users":["v"]}`, "1", "")
	if _, got := poll(b, cursor, "w"); got != "missed" {
		t.Errorf("somebody else got %s", got)
	}
	again, got := poll(b, cursor, "v")
	same(t, "on the other server", got, `["1"]`)
	if _, got = poll(c, again, "v"); got != "" {
		t.Errorf("got %s once more", got)
	}
}
