package app

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"crier/configs"
)

func mayStore(c *configs.Config) { c.Inbox.Open, c.Rooms.ClientJoin = true, "allow" }

// post pushes and returns the answer.
func (p *program) post(body string) answer {
	p.t.Helper()
	return p.do(http.MethodPost, "http://"+p.PushAddr()+"/v1/push", body)
}

// TestSeveralServersStore stores messages at one server, for users of others, who may come later.
func TestSeveralServersStore(t *testing.T) {
	redis := startRedis(t)
	a, b, c := redis.node("a", mayStore), redis.node("b", mayStore), redis.node("c", mayStore)
	same(t, "for nobody yet", a.post(`{"id":"1","to":{"users":["u"]},"data":"1","store":true}`).body,
		`{"id":"1","matched":{"users":0,"connections":0},"stored":true,"duplicate":false}`)
	one, two := b.visit("one", `"uid":"u"`, "r"), c.visit("two", `"uid":"v"`, "r")
	one.wants("1")
	same(t, "again, elsewhere", c.post(`{"id":"1","to":{"users":["u"]},"data":"1","store":true}`).body,
		`{"id":"1","matched":{"users":0,"connections":0},"stored":true,"duplicate":true}`)
	same(t, "for a room", a.post(`{"id":"2","to":{"rooms":["r"]},"data":"2","ttl":"1h"}`).body,
		`{"id":"2","matched":{"users":2,"connections":2},"stored":true,"duplicate":false}`)
	one.wants("1", "2")
	two.wants("2")
	await(t, "the receipt", func() bool {
		text := a.fetch("/v1/messages/2?users=true")
		return strings.Contains(text, `"delivered":2,"stored":2,"waiting":0,"confirmed":2`) && strings.Contains(text, `{"uid":"u","state":"confirmed"}`)
	})
	if text := c.fetch("/v1/stats"); !strings.Contains(text, `"confirmed":3`) {
		t.Errorf("the figures: %s", text)
	}
	asked := a.post(`{"id":"2a","to":{"rooms":["r"]},"data":"2a","store":true,"ack":"20s"}`).body
	if !strings.HasPrefix(asked, `{"id":"2a","matched":{"users":2,"connections":2},"stored":true,"acked":{"users":2,"connections":2,"answers":[`) ||
		!strings.Contains(asked, `"uid":"u","args":["one"]`) || !strings.Contains(asked, `"uid":"v","args":["two"]`) {
		t.Errorf("acknowledged: %s", asked)
	}
	await(t, "the receipt of what was acknowledged", func() bool {
		return strings.Contains(b.fetch("/v1/messages/2a"), `"delivered":2,"acked":{"users":2,"connections":2},"stored":2,"waiting":0,"confirmed":2`)
	})
	redis.Kill(t)
	got := a.post(`{"id":"3","to":{"users":["u"]},"data":"3","store":true}`)
	if got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, `"code":"redis_away"`) {
		t.Errorf("without Redis: %d %s", got.status, got.body)
	}
}

// TestSeveralServersIDs has one push repeated at once at all servers, and afterwards.
func TestSeveralServersIDs(t *testing.T) {
	redis := startRedis(t)
	nodes := []*program{redis.node("a", mayStore), redis.node("b", mayStore), redis.node("c", mayStore)}
	guests := []*guestbook{nodes[0].visit("u", `"uid":"u"`), nodes[1].visit("u2", `"uid":"u"`)}
	var want []string
	for round := range 5 {
		kind := []string{`"to":{"users":["u"]}`, `"to":{"all":true}`, `"ack":"20s","to":{"users":["u"]}`, `"store":true,"to":{"users":["u"]}`, `"to":{"rooms":["nobody"],"users":["u"]}`}[round]
		body := fmt.Sprintf(`{"id":"id-%d",%s,"data":"%d"}`, round, kind, round)
		want = append(want, fmt.Sprint(round))
		var first, all int
		var mu sync.Mutex
		var callers sync.WaitGroup
		for i := range 64 {
			callers.Go(func() {
				got := nodes[i%3].post(body)
				mu.Lock()
				defer mu.Unlock()
				all++
				if got.status != http.StatusOK || !strings.Contains(got.body, `"connections":2`) {
					t.Errorf("%s: %d %s", body, got.status, got.body)
				}
				if strings.Contains(got.body, `"duplicate":false`) {
					first++
				}
			})
		}
		callers.Wait()
		if first != 1 || all != 64 {
			t.Errorf("%s: %d of %d were the first", body, first, all)
		}
		for _, g := range guests {
			g.wants(want...)
		}
	}
}
