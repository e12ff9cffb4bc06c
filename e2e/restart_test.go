package e2e

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// tryRestart stops Crier under the client on all its routes and starts it again on the same ports, then kills
// it and starts it again: each time the client comes back by itself.
func tryRestart(t *testing.T, d *driver, c client) {
	crier := d.startCrier(t, settings{"listen": ownAddress(), "origins": "*"})
	sockets, want := map[string]*socket{}, map[string][]string{} // by the route's name
	open := func(r route, id string) {
		sockets[r.name] = d.open(t, r.name+id, opening{client: c, route: r, url: crier.publicURL(""), login: r.name})
		want[r.name] = nil
	}
	for _, r := range c.routes() {
		open(r, "")
	}
	greet := func(message string) {
		for _, r := range c.routes() {
			s := sockets[r.name]
			s.loggedIn(t)
			crier.deliver(t, r.name, message)
			want[r.name] = append(want[r.name], message)
			if got := s.until(t, message); !slices.Equal(got, want[r.name]) {
				t.Errorf("%s got %q, want %q", r.name, got, want[r.name])
			}
		}
	}
	greet("at first")
	for _, end := range []struct {
		name string
		how  func(*server, *testing.T)
	}{{"a stop", (*server).stop}, {"a kill", (*server).kill}} {
		end.how(crier, t)
		for _, r := range c.routes() {
			if c.stranded(r) {
				continue
			}
			// After "io server disconnect" a client would stay away.
			if reason := sockets[r.name].await(t, happening{On: "disconnect"}).Reason; reason == "io server disconnect" {
				t.Errorf("%s: disconnected by %q", r.name, reason)
			}
		}
		crier = crier.again(t)
		for _, r := range c.routes() {
			if c.stranded(r) { // somebody reloads the page
				open(r, " after "+end.name)
			}
		}
		greet("after " + end.name)
	}
}

// stranded says that the client does not come back by itself once its connection breaks off: 1.0 and 1.1 by
// JSONP, in closing a transport, run into an error of it, which has them close it.
func (c client) stranded(r route) bool { return c.before("1.2") && r.name == byJSONP.name }

// ownAddress returns an address that no program but the caller's will listen on or connect from, on whatever
// port, while the port is free for a moment.
func ownAddress() string {
	return fmt.Sprintf("127.%d.%d.%d:0", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
}
