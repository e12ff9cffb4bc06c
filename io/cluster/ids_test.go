package cluster

import (
	"context"
	"log/slog"
	"testing"

	"github.com/gomodule/redigo/redis"

	"crier/io/hub"
)

// A claim whose answer was lost is free for the node that has it, and for the others as soon as it was given back.
func TestIDsInDoubt(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	a, b := newDepot(t, server, "a", nil), newDepot(t, server, "b", nil)
	ofA, ofB := NewIDs(a.node, slog.New(slog.DiscardHandler)), NewIDs(b.node, slog.New(slog.DiscardHandler))
	t.Cleanup(ofA.Close)
	t.Cleanup(ofB.Close)
	ctx := context.Background()
	lose := func(id, token string) {
		if _, err := a.node.Run(ctx, takeScript, midOf("", id), token, idsKeep.Milliseconds()); err != nil {
			t.Fatal(err)
		}
	}
	take := func(ids *IDs, id string) hub.Taken {
		t.Helper()
		c, err := ids.Take(ctx, "", id)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	lose("1", "lost")
	if c := take(ofB, "1"); c.Token != "" {
		t.Errorf("another node has it too: %+v", c)
	}
	if c := take(ofA, "1"); c.Token == "" {
		t.Errorf("its own node does not get it: %+v", c)
	}
	lose("2", "lost")
	ofA.release(midOf("", "2"), "lost", ErrInDoubt)
	await(t, "it was given back", func() bool { return take(ofB, "2").Token != "" })
}

// claimed takes the id of a push at a node, has Redis do something to the claim, and makes the push. It returns what the push came to.
func claimed(t *testing.T, server *redisServer, m *member, ids *IDs, id string, to hub.Audience, command string, args ...any) (string, hub.Result) {
	t.Helper()
	taken, err := ids.Take(context.Background(), "", id)
	if err != nil || taken.Token == "" {
		t.Fatalf("%+v, %v", taken, err)
	}
	server.do(t, append([]any{command, "crier:id:" + midOf("", id)}, args...))
	r, err := m.Push(context.Background(), hub.Push{To: to, Message: message(id), Claim: taken.Token})
	if err != nil {
		t.Fatal(err)
	}
	return taken.Token, r
}

// A claim that Redis has lost, as when it comes back without its data, is nobody else's: the push is made, and known from then on. One
// that somebody else has meanwhile is his.
func TestClaimLost(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	a, b := newMember(t, server, "a", recoverable()).ready(t), newMember(t, server, "b", recoverable()).ready(t)
	tracked, far := a.enter(t, server, "tracked", "u").track(t), b.enter(t, server, "far", "u")
	ofA, ofB := NewIDs(a.node, slog.New(slog.DiscardHandler)), NewIDs(b.node, slog.New(slog.DiscardHandler))
	t.Cleanup(ofA.Close)
	t.Cleanup(ofB.Close)
	user, room := hub.Audience{Users: []string{"u"}}, hub.Audience{Users: []string{"u"}, Rooms: []string{"none"}}
	for id, to := range map[string]hub.Audience{"1": user, "2": room} {
		token, r := claimed(t, server, a, ofA, id, to, "DEL")
		if r.Connections != 2 || r.Partial {
			t.Errorf("%s: %+v", id, r)
		}
		if taken, err := ofB.Take(context.Background(), "", id); err != nil || taken.Token != "" {
			t.Errorf("%s: another node is told %+v, %v", id, taken, err)
		}
		key := "crier:id:" + midOf("", id)
		server.do(t, []any{"DEL", key}) // and once more
		ofA.Land(token, []byte("{}"))
		await(t, id+": the result is there", func() bool { return server.ask(t, "HEXISTS", key, "r") == int64(1) })
		if taken, err := ofB.Take(context.Background(), "", id); err != nil || string(taken.Result) != "{}" {
			t.Errorf("%s: another node is told %+v, %v", id, taken, err)
		}
		if left, err := redis.Int64(server.ask(t, "PTTL", key), nil); err != nil || left <= 0 {
			t.Errorf("%s: it is forgotten in %d, %v", id, left, err)
		}
	}
	for id, to := range map[string]hub.Audience{"3": user, "4": room} {
		claimed(t, server, a, ofA, id, to, "HSET", "t", "other")
	}
	if got := a.pushes(t, "5", user); got != "1/2" {
		t.Errorf("matched %s", got)
	}
	for _, c := range []*tracker{tracked, far} {
		c.anyOrder = true
		c.wants(t, "1 2 5")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.unread) > 0 {
		t.Errorf("%d pushes are kept for the tracked, and will never be read", len(a.unread))
	}
}
