package cluster

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"crier/io/hub"
)

func TestRelayAsk(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	a, b := newMember(t, server, "a", recoverable()).ready(t), newMember(t, server, "b", recoverable()).ready(t)
	a.enter(t, server, "a1", "alice")
	a.enter(t, server, "a2", "alice").track(t)
	b.enter(t, server, "b1", "bob").track(t)
	deaf := b.enter(t, server, "b2", "alice")
	deaf.mute = true
	ask := func(to hub.Audience, wait time.Duration) hub.Answers {
		got, placed := make(chan hub.Answers, 1), make(chan struct{})
		_, err := a.Ask(context.Background(), hub.Push{To: to, Message: message("ask")}, hub.Question{
			Wait: wait, Keep: 1000, Done: func(a hub.Answers) { got <- a },
			Placed: func() { close(placed) }, // closing it twice would panic
		})
		if err != nil {
			t.Fatal(err)
		}
		<-placed
		return <-got
	}
	describe := func(a hub.Answers) string {
		var list []string
		for _, one := range a.List {
			list = append(list, fmt.Sprintf("%s=%s:%s", one.UID, one.Connection, one.Args[0]))
		}
		slices.Sort(list)
		return fmt.Sprintf("%d/%d %d/%d %v %v %v", a.Pushed.Users, a.Pushed.Connections, a.Users, a.Connections, list, a.Late, a.Pushed.Partial)
	}
	if got, want := describe(ask(hub.Audience{Users: []string{"bob"}}, patience)), `1/1 1/1 [bob=b1:"b1"] false false`; got != want {
		t.Errorf("bob: %s, want %s", got, want)
	}
	if got, want := describe(ask(hub.Audience{All: true, Except: &hub.Audience{Connections: []string{"b2"}}}, patience)),
		`3/3 2/3 [alice=a1:"a1" alice=a2:"a2" bob=b1:"b1"] false false`; got != want {
		t.Errorf("all: %s, want %s", got, want)
	}
	if got, want := describe(ask(hub.Audience{Users: []string{"alice"}}, 50*time.Millisecond)), `3/3 1/2 [alice=a1:"a1" alice=a2:"a2"] true false`; got != want {
		t.Errorf("alice: %s, want %s", got, want)
	}
	server.Kill(t)
	await(t, "Redis is away", func() bool { return !a.node.Client().Up() })
	if got, want := describe(ask(hub.Audience{All: true}, patience)), `2/2 1/2 [alice=a1:"a1" alice=a2:"a2"] false true`; got != want {
		t.Errorf("without Redis: %s, want %s", got, want)
	}
}
