package cluster

import (
	"context"
	"log/slog"
	"testing"

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
