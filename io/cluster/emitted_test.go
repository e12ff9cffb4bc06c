package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"crier/io/hub"
)

// stage is a seat that hears emitters.
type stage struct {
	*seat
	leader  *Leader
	emitted *Emitted
}

func newStage(t *testing.T, server *redisServer, name string) *stage {
	t.Helper()
	s := &stage{seat: newSeat(t, server, name)}
	var err error
	s.leader, err = NewLeader(LeaderOptions{Node: s.Node, Begin: func(*Term) (func(context.Context), error) { return func(context.Context) {}, nil }})
	if err != nil {
		t.Fatal(err)
	}
	if s.emitted, err = NewEmitted(EmittedOptions{Node: s.Node, Hub: s.hub, Sockets: s.hub, Leader: s.leader}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // before the node's
		s.resign(t)
		s.emitted.Close()
	})
	return s
}

func (s *stage) resign(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.leader.Close(ctx); err != nil {
		t.Error(err)
	}
}

// hears has the node hear an emitter.
func (s *stage) hears(t *testing.T, text string) {
	t.Helper()
	m := &hub.Message{Event: "e", Args: []json.RawMessage{json.RawMessage(`"` + text + `"`)}}
	if _, err := s.emitted.Push(t.Context(), hub.Push{To: toRoom("r"), Message: m}); err != nil {
		t.Fatal(err)
	}
}

// TestEmitted has two nodes hear the same of emitters: every connection gets it once, and who moves meanwhile has missed nothing. When
// no node leads it comes all the same, later, and whoever was given it so is not recovered.
func TestEmitted(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	a, b := newStage(t, server, "a"), newStage(t, server, "b")
	a.begin(t)
	b.begin(t)
	a.leader.Start()
	await(t, "a leader", a.leader.Is)
	at := make(map[*stage]*guest)
	for _, s := range []*stage{a, b} {
		g := s.arrive(t, "one on "+s.Name(), "42")
		if err := g.member.Join("r"); err != nil {
			t.Fatal(err)
		}
		s.kept(t, g)
		at[s] = g
	}
	mover := at[a]
	for i := range 10 { // half of them alike
		text := fmt.Sprint(i / 2)
		if i%3 == 0 {
			a.hears(t, text)
			b.hears(t, text)
		} else {
			b.hears(t, text)
			a.hears(t, text)
		}
	}
	for _, g := range at {
		g.settled(t, 10)
	}
	mover.deafen()
	for i := range 4 {
		a.hears(t, fmt.Sprint("missed ", i))
		b.hears(t, fmt.Sprint("missed ", i))
	}
	next := b.comeBack(t, mover)
	if next == nil {
		t.Fatal("not recovered")
	}
	next.settled(t, 4)
	at[b].settled(t, 14)

	a.resign(t)
	b.hears(t, "nobody leads")
	next.settled(t, 5)
	at[b].settled(t, 15)
	for want, g := range map[int]*guest{5: next, 15: at[b]} {
		if got := g.taken(); len(got) != want {
			t.Errorf("%s got %d messages, want %d: %q", g.id, len(got), want, got)
		}
	}
	await(t, "the session has ended", func() bool { _, there := b.sessions.Owner(next.pid); return !there })
	if a.comeBack(t, next) != nil {
		t.Error("recovered from what has no position")
	}
}
