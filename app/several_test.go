package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"crier/configs"
	"crier/io/socketio"
	"crier/io/socketio/client"
)

// guestbook is a real client, and what it has got.
type guestbook struct {
	t    testing.TB
	name string

	mu     sync.Mutex
	id     string // of the connection
	joins  int
	lost   []error
	events []string
}

// visit connects a client to a server and waits until it is logged in. auth is JSON, given without its braces.
func (p *program) visit(name, auth string, rooms ...string) *guestbook {
	p.t.Helper()
	g := &guestbook{t: p.t, name: name}
	ctx, cancel := context.WithCancel(context.Background())
	joined := make(chan struct{}, 1)
	var running sync.WaitGroup
	running.Go(func() {
		h := &visitHandler{g, rooms, joined}
		err := client.Run(ctx, client.Options{
			URL: "http://" + p.Addr(), Auth: json.RawMessage("{" + auth + "}"), Delay: 10 * time.Millisecond, MaxDelay: 100 * time.Millisecond,
		}, h)
		if ctx.Err() == nil && !errors.Is(err, client.ErrDisconnected) {
			p.t.Errorf("the client %s has ended: %v", name, err)
		}
	})
	p.t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	take(p.t, "a login", joined)
	return g
}

type visitHandler struct {
	*guestbook
	rooms  []string
	joined chan struct{}
}

func (h *visitHandler) Connected(c *client.Conn) error {
	h.mu.Lock()
	h.id = c.ID()
	h.joins++
	h.mu.Unlock()
	done := func(socketio.Args) error {
		select {
		case h.joined <- struct{}{}:
		default:
		}
		return nil
	}
	for i, room := range h.rooms {
		ack := client.AckFunc(func(socketio.Args) error { return nil })
		if i == len(h.rooms)-1 {
			ack = done
		}
		if err := c.Emit("subscribe", ack, socketio.JSON(room)); err != nil {
			return err
		}
	}
	if len(h.rooms) == 0 {
		return done(socketio.Args{})
	}
	return nil
}

func (h *visitHandler) Event(e *client.Event) error {
	h.mu.Lock()
	h.events = append(h.events, strings.Trim(string(e.JSON(0)), `"`))
	h.mu.Unlock()
	if e.WantsAck() {
		return e.Ack(socketio.JSON(h.name))
	}
	return nil
}

func (h *visitHandler) Lost(err error, _ time.Duration) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lost = append(h.lost, err)
	if client.Final(err) {
		return err
	}
	return nil
}

func (g *guestbook) got() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.events)
}

// wants waits until the client has got as much, and compares.
func (g *guestbook) wants(events ...string) {
	g.t.Helper()
	await(g.t, fmt.Sprintf("%s gets %q", g.name, events), func() bool { return len(g.got()) >= len(events) })
	if got := g.got(); !slices.Equal(got, events) {
		g.t.Errorf("%s got %q, want %q", g.name, got, events)
	}
}

// pushV1 pushes through the JSON form and returns the answer without its id.
func (p *program) pushTo(to, data, more string) string {
	p.t.Helper()
	a := p.do(http.MethodPost, "http://"+p.PushAddr()+"/v1/push", fmt.Sprintf(`{"to":%s,"data":%q%s}`, to, data, more))
	if a.status != http.StatusOK {
		p.t.Fatalf("push: %d %s", a.status, a.body)
	}
	_, body, _ := strings.Cut(a.body, `"matched":`)
	return strings.TrimSuffix(body, `,"stored":false,"duplicate":false}`)
}

func (p *program) fetch(path string) string {
	p.t.Helper()
	return p.do(http.MethodGet, "http://"+p.PushAddr()+path, "").body
}

func mayJoin(c *configs.Config) { c.Rooms.ClientJoin = "allow" }

const recovers = `,"recovery":true`

// TestSeveralServers pushes in all ways through one of two servers to clients of both.
func TestSeveralServers(t *testing.T) {
	redis := startRedis(t)
	a, b := redis.node("a", mayJoin), redis.node("b", mayJoin)
	alice, alice2 := a.visit("alice", `"uid":"alice"`, "red"), b.visit("alice2", `"uid":"alice"`+recovers)
	bob, guest := b.visit("bob", `"uid":"bob"`+recovers, "red"), b.visit("guest", ``)

	same(t, "a user of the other server", a.pushTo(`{"users":["bob"]}`, "1", ""), `{"users":1,"connections":1}`)
	same(t, "a user of both", a.pushTo(`{"users":["alice"]}`, "2", ""), `{"users":1,"connections":2}`)
	same(t, "a room", a.pushTo(`{"rooms":["red"]}`, "3", ""), `{"users":2,"connections":2}`)
	same(t, "a connection", a.pushTo(`{"connections":["`+guest.id+`"]}`, "4", ""), `{"users":0,"connections":1}`)
	same(t, "all but one", a.pushTo(`{"all":true,"except":{"users":["bob"]}}`, "5", ""), `{"users":2,"connections":3}`)
	same(t, "nobody", a.pushTo(`{"users":["carol"]}`, "x", ""), `{"users":0,"connections":0}`)
	same(t, "the legacy form", a.push("bob", "6"), "ok")
	same(t, "the legacy form, to nobody", a.push("carol", "x"), "offline")
	same(t, "the legacy form, to all", a.push("", "7"), "ok")
	same(t, "a dry run", a.pushTo(`{"rooms":["red"]}`, "x", `,"dry_run":true`), `{"users":2,"connections":2}`)
	same(t, "acknowledgements", a.pushTo(`{"users":["bob"]}`, "8", `,"ack":"20s"`),
		`{"users":1,"connections":1},"stored":false,"acked":{"users":1,"connections":1,"answers":[{"connection":"`+bob.id+`","uid":"bob","args":["bob"]}]},"duplicate":false}`)

	alice.wants("2", "3", "5", "7")
	alice2.wants("2", "5", "7")
	bob.wants("1", "3", "6", "7", "8")
	guest.wants("4", "5", "7")

	same(t, "the users", a.fetch("/v1/users"), `{"users":[{"uid":"alice","connections":2},{"uid":"bob","connections":1}]}`)
	same(t, "the rooms", b.fetch("/v1/rooms"), `{"rooms":[{"room":"red","connections":2}]}`)
	ids := []string{alice.id, bob.id}
	slices.Sort(ids)
	room := a.fetch("/v1/rooms/red")
	if strings.Index(room, ids[0]) > strings.Index(room, ids[1]) || !strings.Contains(room, bob.id) {
		t.Errorf("the room: %s", room)
	}
	if user := b.fetch("/v1/users/alice"); !strings.Contains(user, alice.id) || !strings.Contains(user, alice2.id) || !strings.Contains(user, `"online":true`) {
		t.Errorf("alice: %s", user)
	}
	var stats struct {
		Users, Connections int
		Cluster            *struct {
			Node          string
			Nodes         []string
			Partial, Gaps int
		}
	}
	await(t, "the figures", func() bool {
		if err := json.Unmarshal([]byte(b.fetch("/v1/stats")), &stats); err != nil {
			t.Fatal(err)
		}
		return stats.Users == 2 && stats.Connections == 3
	})
	if c := stats.Cluster; c == nil || c.Node != "b" || !slices.Equal(c.Nodes, []string{"a", "b"}) || c.Partial != 0 || c.Gaps != 0 {
		t.Errorf("the cluster: %+v", c)
	}

	kicked := a.do(http.MethodDelete, "http://"+a.PushAddr()+"/v1/users/alice", "")
	same(t, "a disconnection", kicked.body, `{"uid":"alice","disconnected":2}`)
	await(t, "both are told", func() bool {
		alice.mu.Lock()
		defer alice.mu.Unlock()
		alice2.mu.Lock()
		defer alice2.mu.Unlock()
		return len(alice.lost) == 1 && len(alice2.lost) == 1
	})
}

// TestSeveralServersOrder has lines pushed through two of three servers at once, to users, rooms and all in turn.
func TestSeveralServersOrder(t *testing.T) {
	redis := startRedis(t)
	nodes := []*program{redis.node("a", mayJoin), redis.node("b", mayJoin), redis.node("c", mayJoin)}
	var guests []*guestbook
	for i, p := range nodes {
		guests = append(guests, p.visit(fmt.Sprint("plain", i), `"uid":"u"`, "r"), p.visit(fmt.Sprint("recovers", i), `"uid":"u"`+recovers, "r"))
	}
	// A server that is busy says too late whom a line has reached there, and then the answer is partial: with fewer lines at a time
	// none is.
	first := 0
	for lines := 300; ; lines /= 2 {
		var late atomic.Int64
		var callers sync.WaitGroup
		for i, p := range nodes[:2] {
			callers.Go(func() { late.Add(pushInTurn(t, p, i, first, lines)) })
		}
		callers.Wait()
		first += lines
		if late.Load() == 0 {
			break
		}
		t.Logf("%d of %d answers were partial", late.Load(), 2*lines)
		if lines == 1 {
			t.Fatal("the servers never answer each other in time")
		}
	}
	for _, g := range guests {
		await(t, "everything has come", func() bool { return len(g.got()) >= 2*first })
		if n := len(g.got()); n != 2*first {
			t.Errorf("%s got %d messages, want %d", g.name, n, 2*first)
		}
		var next [2]int
		for _, text := range g.got() {
			var from, n int
			if _, err := fmt.Sscanf(text, "%d-%d", &from, &n); err != nil || next[from] != n {
				t.Fatalf("%s got %q instead of %d", g.name, text, next[from])
			}
			next[from]++
		}
	}
}

// pushInTurn pushes lines, the first of them with a number, and returns how many answers were partial. All others have to have reached
// everybody.
func pushInTurn(t *testing.T, p *program, from, first, lines int) (partial int64) {
	t.Helper()
	var body strings.Builder
	for n := range lines {
		to := []string{`{"users":["u"]}`, `{"all":true}`, `{"rooms":["r"]}`}[n%3]
		fmt.Fprintf(&body, `{"to":%s,"data":"%d-%d"}`+"\n", to, from, first+n)
	}
	a := p.do(http.MethodPost, "http://"+p.PushAddr()+"/v1/push/batch", body.String(), "Content-Type", "application/x-ndjson")
	if n := strings.Count(a.body, "\n"); n != lines {
		t.Errorf("%d of %d lines are answered", n, lines)
	}
	for answer := range strings.Lines(a.body) {
		switch {
		case strings.Contains(answer, `"partial":true`):
			partial++
		case !strings.Contains(answer, `"connections":6}`):
			t.Errorf("a line has not reached all: %s", answer)
		}
	}
	return partial
}

// TestSeveralServersWithoutRedis has Redis killed and started again: meanwhile each server has its own clients.
func TestSeveralServersWithoutRedis(t *testing.T) {
	redis := startRedis(t)
	a, b := redis.node("a", nil), redis.node("b", nil)
	near, far := a.visit("near", `"uid":"u"`), b.visit("far", `"uid":"u"`)
	same(t, "a push", a.pushTo(`{"users":["u"]}`, "1", ""), `{"users":1,"connections":2}`)
	far.wants("1")
	redis.Kill(t)
	same(t, "a push without Redis", a.pushTo(`{"users":["u"]}`, "2", ""), `{"users":1,"connections":1},"partial":true`)
	same(t, "a push to all without Redis", a.pushTo(`{"all":true}`, "3", ""), `{"users":1,"connections":1},"partial":true`)
	same(t, "the legacy form without Redis", a.push("u", "4"), "ok")
	if answer := a.push("elsewhere", "x"); !strings.HasPrefix(answer, "fail") {
		t.Errorf("the legacy form, to somebody who may be at the other server: %s", answer)
	}
	if list := a.fetch("/v1/users"); list != `{"users":[{"uid":"u","connections":1}],"partial":true}` {
		t.Errorf("the users without Redis: %s", list)
	}
	if kick := a.do(http.MethodDelete, "http://"+a.PushAddr()+"/v1/users/u", ""); kick.status != http.StatusServiceUnavailable || !strings.Contains(kick.body, "redis_away") {
		t.Errorf("a disconnection without Redis: %d %s", kick.status, kick.body)
	}
	if ready := a.fetch("/readyz"); !strings.HasPrefix(ready, "ok\nRedis is away since ") {
		t.Errorf("ready: %s", ready)
	}
	near.wants("1", "2", "3", "4")
	redis.Start(t)
	await(t, "everything is back", func() bool {
		return a.pushTo(`{"users":["u"]}`, "x", `,"dry_run":true`) == `{"users":1,"connections":2}` && b.cluster.node.Client().Up()
	})
	same(t, "a push", a.pushTo(`{"users":["u"]}`, "5", ""), `{"users":1,"connections":2}`)
	far.wants("1", "5")
	same(t, "a push from the other side", b.pushTo(`{"users":["u"]}`, "6", ""), `{"users":1,"connections":2}`)
	near.wants("1", "2", "3", "4", "5", "6")
	far.wants("1", "5", "6")
	await(t, "ready", func() bool { return a.fetch("/readyz") == "ok" })
}

// TestSeveralServersRoomEvents has rooms told of users who are on several servers.
func TestSeveralServersRoomEvents(t *testing.T) {
	redis := startRedis(t)
	told := func(c *configs.Config) {
		mayStore(c)
		c.Presence.RoomEvents, c.Presence.OfflineDelay = true, 0
	}
	a, b := redis.node("a", told), redis.node("b", told)
	watcher := a.openAs("w")
	same(t, "joined", watcher.ack(`["subscribe","r"]`).OK, true)
	settleRooms(t, a, b)
	one, two := a.openAs("u"), b.openAs("u")
	for _, pg := range []*page{one, two} {
		same(t, "joined", pg.ack(`["subscribe","r"]`).OK, true)
	}
	watcher.want(`42["presence",{"room":"r","uid":"u","event":"join"}]`)
	settleRooms(t, a, b) // both have told that he is there, and all have heard of it
	settleRooms(t, b, a)
	third := b.openAs("v")
	same(t, "joined", third.ack(`["subscribe","r"]`).OK, true)
	watcher.want(`42["presence",{"room":"r","uid":"v","event":"join"}]`)
	one.leave()
	same(t, "left", third.ack(`["unsubscribe","r"]`).OK, true)
	watcher.want(`42["presence",{"room":"r","uid":"v","event":"leave"}]`)
	two.leave()
	watcher.want(`42["presence",{"room":"r","uid":"u","event":"leave"}]`)
	watcher.wantNothing()
}

// TestServerLeaves has one of several servers end: its client goes, the others go on.
func TestServerLeaves(t *testing.T) {
	redis := startRedis(t)
	a, b := redis.node("a", func(c *configs.Config) { c.Presence.OfflineDelay = 0 }), redis.node("b", nil)
	near := a.visit("near", `"uid":"u"`)
	b.visit("far", `"uid":"v"`)
	same(t, "a push", a.pushTo(`{"all":true}`, "1", ""), `{"users":2,"connections":2}`)
	if err := b.stop(); err != nil {
		t.Fatal(err)
	}
	same(t, "a push to those who are left", a.pushTo(`{"all":true}`, "2", ""), `{"users":1,"connections":1}`)
	same(t, "the users", a.fetch("/v1/users"), `{"users":[{"uid":"u","connections":1}]}`)
	near.wants("1", "2")
}
