package e2e

import (
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"
)

// A told is what the callbacks say of one user, each id once.
type told struct {
	online  bool
	changes int
	version uint64
	cause   string // of the last offline
}

// replayed goes through callbacks and returns what they tell of each user, having checked that online and offline
// alternate with growing versions, repetitions left out.
func replayed(t *testing.T, callbacks []callback) map[string]told {
	t.Helper()
	users := map[string]told{}
	seen := map[string]string{}
	for _, c := range callbacks {
		e := c.event(t)
		if body, repeated := seen[e.ID]; repeated {
			if body != string(c.body) {
				t.Errorf("the id %s comes with %s and %s", e.ID, body, c.body)
			}
			continue
		}
		seen[e.ID] = string(c.body)
		u := users[e.Data.UID]
		if online := e.Type == "user.online"; online == u.online || e.Data.Version <= u.version {
			t.Errorf("after %+v comes %s", u, c.body)
		}
		users[e.Data.UID] = told{e.Type == "user.online", u.changes + 1, e.Data.Version, e.Data.Cause}
	}
	return users
}

// awaitTold waits until the callbacks say what is wanted of them.
func awaitTold(t *testing.T, r *receiver, what string, holds func(map[string]told) bool) {
	t.Helper()
	end := time.Now().Add(patience)
	for n := 0; ; n++ {
		got := r.await(t, n)
		n = len(got)
		if holds(replayed(t, got)) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: not told within %s: %+v", what, patience, replayed(t, got))
		}
	}
}

// TestKill kills Crier again and again, at moments when users come, leave and are owed callbacks that the receiver does not
// take. Online and offline of each user alternate nevertheless, with growing versions, and none is missing.
func TestKill(t *testing.T) {
	t.Parallel()
	r := startReceiver(t)
	crier := startCrier(t, settings{
		"listen": ownAddress(), "api.listen": ownAddress(),
		"webhook.url": r.url, "webhook.secrets": secret, "store.path": filepath.Join(t.TempDir(), "crier.db"),
		"presence.offline_delay": "100ms", "presence.restart_grace": "1h",
	})
	again := crier.settings.with(settings{"listen": crier.public, "api.listen": crier.push})
	d := startDriver(t)
	n := 0
	come := func() (string, *socket) {
		n++
		uid := fmt.Sprint("user ", n)
		c, route := mainClients[n%len(mainClients)], routes[n%len(routes)]
		return uid, d.open(t, uid, opening{client: c, route: route, url: crier.publicURL(""), login: uid})
	}
	staying := map[string]*socket{}
	for range 4 {
		for range 2 {
			uid, s := come() // killed while they come
			staying[uid] = s
		}
		leftUID, left := come()
		awayUID, away := come()
		left.loggedIn(t)
		away.loggedIn(t)
		awaitTold(t, r, "who came", func(users map[string]told) bool { return users[awayUID].online && users[leftUID].online })
		// Callbacks are owed while it is killed: some are not taken, some are under way.
		r.fail(http.StatusInternalServerError, http.StatusServiceUnavailable)
		left.close(t)
		uid, s := come()
		staying[uid] = s
		crier.kill(t)
		away.close(t) // who is not back when it is killed again is still owed the offline
		crier = startCrier(t, again)
		for uid := range staying {
			for crier.publish(t, uid, "x") != "ok" {
			}
		}
	}
	awaitTold(t, r, "who stays", func(users map[string]told) bool {
		for uid := range staying {
			if !users[uid].online {
				return false
			}
		}
		return true
	})
	// They have come once, whatever happened to the program.
	for uid, u := range replayed(t, r.callbacks()) {
		if staying[uid] != nil && u.changes != 1 {
			t.Errorf("%s stayed, and was told of as %+v", uid, u)
		}
	}
	crier.kill(t)
	for _, s := range staying {
		s.close(t)
	}
	startCrier(t, again.with(settings{"presence.restart_grace": "100ms"}))
	awaitTold(t, r, "the end", func(users map[string]told) bool {
		for uid, u := range users {
			if u.online || staying[uid] != nil && u.cause != "restart" {
				return false
			}
		}
		return len(users) == n
	})
	startVerifier(t).signed(t, r.callbacks())
}
