package e2e

import (
	"slices"
	"testing"
)

// TestRestart stops Crier under every client on every route and starts it again on the same ports: the
// clients come back by themselves.
func TestRestart(t *testing.T) {
	t.Parallel()
	crier := startCrier(t, nil)
	d := startDriver(t)
	for _, c := range clients {
		for _, r := range routes {
			uid := c.lib + " by " + r.name
			d.open(t, uid, opening{client: c, route: r, url: crier.publicURL(""), login: uid})
		}
	}
	for uid, s := range d.sockets {
		s.loggedIn(t)
		crier.deliver(t, uid, "before")
		s.until(t, "before")
	}
	crier.stop(t)
	for uid, s := range d.sockets {
		// After "io server disconnect" a client would stay away.
		if reason := s.await(t, happening{On: "disconnect"}).Reason; reason == "io server disconnect" {
			t.Errorf("%s: disconnected by %q", uid, reason)
		}
	}
	again := startCrier(t, settings{"listen": crier.public, "api.listen": crier.push})
	for uid, s := range d.sockets {
		s.loggedIn(t)
		again.deliver(t, uid, "after")
		if got, want := s.until(t, "after"), []string{"before", "after"}; !slices.Equal(got, want) {
			t.Errorf("%s got %q, want %q", uid, got, want)
		}
	}
}
