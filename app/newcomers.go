package app

import (
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// dismissInterval is how often a port that shuts down sends its newcomers away.
const dismissInterval = 20 * time.Millisecond

// newcomers are the connections of a port that have not sent a request yet: browsers and balancers open
// some to have them at hand. [http.Server.Shutdown] waits five seconds for each of them to do so.
type newcomers struct {
	open atomic.Int64 // all connections that are the HTTP server's, not newcomers alone

	mu  sync.Mutex
	all map[net.Conn]struct{}
}

// note is an [http.Server] ConnState.
func (n *newcomers) note(c net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		n.open.Add(1)
	case http.StateHijacked, http.StateClosed:
		n.open.Add(-1)
	case http.StateActive, http.StateIdle:
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if state != http.StateNew {
		delete(n.all, c)
		return
	}
	if n.all == nil {
		n.all = make(map[net.Conn]struct{})
	}
	n.all[c] = struct{}{}
}

// dismiss has them end. They are not closed: a request that has just arrived is served, since the server
// then sets the deadline of its own. As it does so before a request too, one call may come too early.
func (n *newcomers) dismiss() {
	n.mu.Lock()
	all := slices.Collect(maps.Keys(n.all))
	n.mu.Unlock()
	for _, c := range all {
		if err := c.SetReadDeadline(time.Unix(1, 0)); err != nil {
			continue // it has ended meanwhile
		}
	}
}
