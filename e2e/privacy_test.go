package e2e

import (
	"fmt"
	"slices"
	"sync"
	"testing"
)

// tryPrivacy has users, two of them pushed to at the same time, who must never get each other's messages,
// whatever they are called.
func tryPrivacy(t *testing.T, d *driver, c client) {
	crier := d.startCrier(t, nil)
	open := func(uid string, r route) *socket {
		return d.open(t, uid, opening{client: c, route: r, url: crier.publicURL(""), login: uid})
	}
	want := map[string][]string{}
	push := func(uid, content string) {
		want[uid] = append(want[uid], content)
		crier.deliver(t, uid, content)
	}
	alice, bob := open("alice", byWebSocket), open("bob", byPolling)
	alice.loggedIn(t)
	bob.loggedIn(t)
	pushBoth(t, crier, want)

	// Names that another way of keeping users, rooms and connections would mix up.
	id := alice.connected(t).SID
	names := []string{
		id, "/#" + id, "/", "*", "all", "user:alice", "room:alice", "u:alice", "alice,bob", "Alice",
		" alice", "0", "__proto__",
	}
	for _, uid := range names {
		if said := crier.publish(t, uid, "nobody's"); said != "offline" {
			t.Errorf("a push to %q, who is not there, was answered %q", uid, said)
		}
	}
	for _, uid := range names {
		open(uid, byWebSocket).loggedIn(t) // a page can have a few connections alone that poll
	}
	for uid := range d.sockets {
		push(uid, "for "+uid)
	}
	for uid, s := range d.sockets {
		push(uid, "the end")
		if got := s.until(t, "the end"); !slices.Equal(got, want[uid]) {
			t.Errorf("%q got %q, want %q", uid, got, want[uid])
		}
	}
}

// pushBoth pushes to alice and to bob, 100 messages each, at the same time, and adds them to want.
func pushBoth(t *testing.T, crier *server, want map[string][]string) {
	t.Helper()
	var pushing sync.WaitGroup
	defer pushing.Wait()
	for _, uid := range []string{"alice", "bob"} {
		var contents []string
		for n := range 100 {
			contents = append(contents, fmt.Sprintf("%d for %s", n, uid))
		}
		want[uid] = append(want[uid], contents...)
		pushing.Go(func() {
			for _, content := range contents {
				if r, err := crier.tryPublish(t.Context(), uid, content); err != nil || r.body != "ok" {
					t.Errorf("pushing to %s: %q, %v", uid, r.body, err)
					return
				}
			}
		})
	}
}
