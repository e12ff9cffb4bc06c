package e2e

import (
	"encoding/json"
	"net/url"
	"reflect"
	"strings"
	"testing"
)

// tryCredentials logs in without a login event: it says who it is while it connects, in every way that the
// client has.
func tryCredentials(t *testing.T, d *driver, c client) {
	crier := d.startCrier(t, nil)
	type way struct {
		name, uid string
		opening   opening
	}
	query := func(value any) opening { return opening{options: map[string]any{"query": value}} }
	ways := []way{
		{"address", hard, opening{url: "/?uid=" + url.QueryEscape(hard)}},
		{"query", "by query", query(map[string]string{"uid": "by query"})},
		{"query as text", "1445590039000", query("uid=1445590039000&other=x")},
	}
	if c.revision == 4 {
		ways = append(
			ways,
			way{"auth", "by auth", opening{options: map[string]any{"auth": map[string]any{"uid": "by auth"}}}},
			way{"auth, a number", "42", opening{options: map[string]any{"auth": map[string]any{"uid": 42}}}},
			way{"auth function", "to " + hard, opening{authLater: map[string]any{"uid": "to " + hard}}},
		)
	}
	for _, w := range ways {
		w.opening.client, w.opening.route, w.opening.url = c, byUpgrade, crier.publicURL(w.opening.url)
		s := d.open(t, w.name, w.opening)
		s.connected(t)
		crier.deliver(t, w.uid, "to you")
		s.until(t, "to you")
		s.emit(t, "late", "login", "nobody")
		if a := s.await(t, happening{On: "ack", Ack: "late"}).login(t); a.UID != w.uid {
			t.Errorf("%s: logged in as %q, want %q", w.name, a.UID, w.uid)
		}
		if s.count("disconnect")+s.count("refused") > 0 {
			t.Errorf("%s: %s", w.name, s.summary())
		}
		s.close(t) // a browser has six connections to a server and no more
	}

	bad := d.open(t, "bad", opening{client: c, route: byUpgrade, url: crier.publicURL("/?uid=%07")})
	no := bad.await(t, happening{On: "refused"})
	var data struct{ Code, Error string }
	if len(no.Args) != 1 || json.Unmarshal(no.Args[0], &data) != nil || data.Code != "bad_uid" || data.Error == "" {
		t.Errorf("a bad uid is refused with %s, want a code and a sentence", no.Args)
	}
	if c.revision == 4 && no.Reason != data.Error {
		t.Errorf("a bad uid is refused by %q, want %q", no.Reason, data.Error)
	}
}

// presented is what the echo server was told of a socket.
type presented struct {
	Query url.Values        `json:"query"`
	Auth  map[string]string `json:"auth"`
}

// presented asks the echo server.
func (s *socket) presented(t *testing.T) presented {
	t.Helper()
	s.emit(t, "who", "who")
	h := s.await(t, happening{On: "ack", Ack: "who"})
	var p presented
	if len(h.Args) != 1 {
		t.Fatalf("who was answered by %d arguments", len(h.Args))
	}
	if err := json.Unmarshal(h.Args[0], &p); err != nil {
		t.Fatalf("who was answered by %s: %v", h.Args[0], err)
	}
	return p
}

// tryNamespaceCredentials presents itself to two namespaces of one connection: by a query that goes with the
// namespace (1.5 to 2.x; before, the connection's is all there is), or by auth.
func tryNamespaceCredentials(t *testing.T, d *driver, c client) {
	server := d.startEcho(t) // a new address: clients share connections by it
	const first, second = "one & " + hard, "two = " + hard
	open := func(name, namespace, token string) *socket {
		o := opening{client: c, route: byUpgrade, url: server.publicURL(namespace), options: map[string]any{"forceNew": false}}
		if c.revision == 4 {
			o.options["auth"] = map[string]string{"token": token}
		}
		if c.revision == 3 || namespace == "/" {
			// Clients take no plus sign for a space.
			o.url += "?token=" + strings.ReplaceAll(url.QueryEscape(token), "+", "%20")
		}
		return d.open(t, name, o)
	}
	main := open("main", "/", first)
	main.connected(t)
	custom := open("custom", "/custom", second)
	custom.connected(t)
	for _, one := range []struct {
		socket *socket
		token  string
	}{{main, first}, {custom, second}} {
		p := one.socket.presented(t)
		if got := p.Query["token"]; !reflect.DeepEqual(got, []string{first}) {
			t.Errorf("%s: the handshake's query has the token %q, want %q", one.socket.id, got, first)
		}
		want := map[string]string{"token": one.token}
		if c.revision == 3 && (one.socket == main || c.before("1.5")) {
			want = nil
		}
		if !reflect.DeepEqual(p.Auth, want) {
			t.Errorf("%s: presented %q, want %q", one.socket.id, p.Auth, want)
		}
	}
	d.undisturbed(t)
}
