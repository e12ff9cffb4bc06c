package e2e

import "testing"

// tryNamespaces shares one connection between two namespaces, leaves one of them, and opens a connection of its
// own for a third socket.
func tryNamespaces(t *testing.T, d *driver, c client, r route) {
	server := d.startEcho(t) // a new address: clients share connections by it
	open := func(name, namespace string, forceNew bool) *socket {
		return d.open(t, name, opening{
			client: c, route: r, url: server.publicURL(namespace),
			options: map[string]any{"forceNew": forceNew},
			watch:   []string{"back", "question", "answer"},
		})
	}
	first, second := open("main", "/", false), open("custom", "/custom", false)
	engine := first.connected(t).Engine
	if shared := second.connected(t).Engine; shared != engine || engine == "" {
		t.Errorf("the namespaces have the connections %q and %q, want one", engine, shared)
	}
	third := open("forced", "/custom", true)
	if own := third.connected(t).Engine; own == engine || own == "" {
		t.Errorf("forceNew has the connection %q, want one besides %q", own, engine)
	}

	// Each gets its own answers, all of them in flight at once, and nobody else's.
	all := []*socket{first, second, third}
	for _, s := range all {
		s.emit(t, "", "emit-back", s.id, binary([]byte(s.id)))
		s.emit(t, "", "ask", s.id, binary([]byte(s.id)))
	}
	for _, s := range all {
		for _, event := range []string{"back", "question", "answer"} {
			sameArgs(t, s.await(t, happening{On: "event", Event: event}), []any{s.id, binary([]byte(s.id))})
		}
	}

	second.close(t)
	if reason := second.await(t, happening{On: "disconnect"}).Reason; reason != "io client disconnect" {
		t.Errorf("leaving a namespace is a disconnect by %q", reason)
	}
	first.exchange(t, []any{hard, binary([]byte(hard))})
	third.exchange(t, []any{hard})
	for _, s := range []*socket{first, third} {
		if s.count("disconnect")+s.count("refused") > 0 || s.count("event") != 6 {
			t.Errorf("%s: %s", s.id, s.summary())
		}
	}
	if second.count("event") != 3 {
		t.Errorf("%s: %s", second.id, second.summary())
	}
}
