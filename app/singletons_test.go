package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"crier/configs"
)

// onlineAt is what /v1/stats says of who is online.
func (p *program) onlineAt() string {
	p.t.Helper()
	var s struct{ Users, Connections int }
	if err := json.Unmarshal([]byte(p.do(http.MethodGet, "http://"+p.PushAddr()+"/v1/stats", "").body), &s); err != nil {
		p.t.Fatal(err)
	}
	return fmt.Sprint(s.Users, " ", s.Connections)
}

// The business hears once that a user came, and once that he went, whatever servers he was with, and whichever makes the callbacks.
func TestCallbacksOfACluster(t *testing.T) {
	redis := startRedis(t)
	rec := listen(t, nil)
	tell := rec.tell(10 * time.Millisecond)
	a := redis.node("a", tell)
	await(t, "a leads", func() bool { return a.cluster.leader.Is() })
	b := redis.node("b", tell)
	first := a.openAs("7")
	came := rec.want(t, "user.online", "7", "")
	same(t, "node", came.Node, "a")
	second := b.openAs("7")
	await(t, "counting", func() bool { return a.onlineAt() == "1 2" && b.onlineAt() == "1 2" })
	first.leave()
	await(t, "counting", func() bool { return a.onlineAt() == "1 1" })
	// Who was there when a server stops has the grace to come back. So it is waited until this one has let go of him: it tells that of
	// who leaves later no earlier.
	later := a.openAs("6")
	rec.want(t, "user.online", "6", "")
	later.leave()
	rec.want(t, "user.offline", "6", "disconnect")
	b.openAs("8")
	rec.want(t, "user.online", "8", "")

	// The leader stops: another one leads at once, and who was there comes back there, as if nothing had been.
	moving := a.openAs("9")
	rec.want(t, "user.online", "9", "")
	ended := moving.answering()
	if err := a.stop(); err != nil {
		t.Fatal(err)
	}
	take(t, "the end", ended)
	b.openAs("9")
	second.leave()
	went := rec.want(t, "user.offline", "7", "disconnect")
	same(t, "callbacks too many", len(rec.got), 0)
	if went.Data.Version <= came.Data.Version || went.Node != "b" || came.Data.Connections != 1 || went.Data.Connections != 0 {
		t.Errorf("online is %+v, offline %+v", came, went)
	}
}

// Each run of a schedule is made once, by the server that leads, and goes to who is at another one; so it is when that stops.
func TestSchedulesOfACluster(t *testing.T) {
	redis := startRedis(t)
	a := redis.node("a", nil)
	await(t, "a leads", func() bool { return a.cluster.leader.Is() })
	b := redis.node("b", nil)
	c := redis.node("c", nil)
	page := c.openAs("alice")
	put := func(p *program) answer {
		return p.do(http.MethodPut, "http://"+p.PushAddr()+"/v1/schedules/often",
			`{"push":{"to":{"users":["alice"]},"event":"tick"},"every":"1s"}`, "Content-Type", "application/json")
	}
	await(t, "the schedule is made", func() bool { // by the server that leads, which the call is passed on to
		got := put(b)
		return got.status == http.StatusOK && strings.Contains(got.body, `"often"`)
	})
	page.want(`42["tick"]`)
	if err := a.stop(); err != nil {
		t.Fatal(err)
	}
	var leader *program
	await(t, "another one leads", func() bool {
		for _, p := range []*program{b, c} {
			if p.cluster.leader.Is() && p.cluster.leading.Load() != nil {
				leader = p
			}
		}
		return leader != nil
	})
	page.want(`42["tick"]`)
	got := leader.do(http.MethodGet, "http://"+leader.PushAddr()+"/v1/schedules/often", "")
	if got.status != http.StatusOK || !strings.Contains(got.body, `"often"`) {
		t.Errorf("the new leader answered %+v", got)
	}
	got = leader.do(http.MethodDelete, "http://"+leader.PushAddr()+"/v1/schedules/often", "")
	same(t, "removed", got.status, http.StatusOK)
}

// A membership that is made at one server counts at the others, for who is there and for who comes.
func TestMembershipsOfACluster(t *testing.T) {
	redis := startRedis(t)
	a, b := redis.node("a", nil), redis.node("b", nil)
	pg := b.openAs("7")
	got := a.do(http.MethodPut, "http://"+a.PushAddr()+"/v1/rooms/z/users/7", "")
	if got.status != http.StatusOK || !strings.Contains(got.body, `"connections":1`) {
		t.Fatalf("%+v", got)
	}
	await(t, "the room has him", func() bool { return len(b.rooms(pg)) == 1 })
	late := redis.node("c", nil)
	await(t, "a late server knows", func() bool { return len(late.hub.Memberships("7")) == 1 })
}

// Without Redis a server goes on by itself, and refuses what it could not keep.
func TestRedisIsAway(t *testing.T) {
	p := start(t, func(c *configs.Config) { c.Cluster.Redis, c.Cluster.Node = "redis://127.0.0.1:1", "a" })
	pg := p.openAs("7")
	same(t, "push", p.push("7", "hi"), "ok")
	pg.want(`42["new_msg","hi"]`)
	got := p.do(http.MethodPut, "http://"+p.PushAddr()+"/v1/rooms/z/users/7", "")
	if got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, `"redis_away"`) || got.header.Get("Retry-After") == "" {
		t.Errorf("a membership without Redis: %+v", got)
	}
}
