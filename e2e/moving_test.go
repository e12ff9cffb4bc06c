package e2e

import (
	"testing"
)

// lead has the line end at another address from now on.
func (l *line) lead(target string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.target = target
}

// TestRecoveryOnOtherServers has a client lose its connection in all ways there are, and each time come back to another server of
// a cluster, while it is pushed to from all of them.
func TestRecoveryOnOtherServers(t *testing.T) {
	t.Parallel()
	d := startDriver(t)
	for _, r := range routes {
		t.Run(r.name, func(t *testing.T) {
			t.Cleanup(func() { d.forget(t) })
			tryMoving(t, d, r)
		})
	}
}

func tryMoving(t *testing.T, d *driver, r route) {
	redis := startRedis(t)
	same := settings{"cluster.redis": redis.URL(), "rooms.client_join": "allow"}
	servers := make([]*server, 5)
	for i := range servers {
		servers[i] = startCrier(t, same)
	}
	for _, s := range servers {
		s.together(t)
	}
	w := &wanderer{crier: servers[0], line: startLine(t, servers[0].public)}
	o := opening{client: latest, route: r, url: w.line.url(), watch: []string{"update_online_count"}}
	if r.upgrades() {
		o.url += "/?recovery=1&uid=42"
	} else {
		o.options = map[string]any{"auth": map[string]any{"recovery": true, "uid": "42"}}
	}
	w.socket = d.open(t, "wanderer", o)
	w.back(t, false)
	w.emit(t, "subscribed", "subscribe", "news")
	w.await(t, happening{On: "ack", Ack: "subscribed"})
	if r.upgrades() {
		w.await(t, happening{On: "upgrade"})
	}
	push := func(n int) {
		for range n {
			w.crier = servers[w.n%len(servers)]
			w.pushNext(t)
		}
	}
	push(8)
	w.caughtUp(t)
	at := servers[0]
	for _, lose := range []func(){
		func() { w.line.cut(true) },
		func() { w.line.cut(false) }, // the server has not noticed yet
		func() { w.line.cut(true); servers = servers[1:]; at.stop(t) },
		func() { w.line.cut(true); servers = servers[1:]; at.kill(t) },
	} {
		next := servers[1]
		if at != servers[0] {
			servers = append(servers[1:], servers[0])
			next = servers[1]
		}
		lose()
		w.await(t, happening{On: "disconnect"})
		push(12)
		w.line.lead(next.public)
		w.line.mend()
		w.back(t, true)
		push(8)
		w.caughtUp(t)
		at = next
	}
}
