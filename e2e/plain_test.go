package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// A heard is one line of clients/plaindriver.mjs.
type heard struct {
	ID     string          `json:"id"`
	On     string          `json:"on"` // open, message, closed
	MID    string          `json:"mid"`
	Event  string          `json:"event"`
	Args   json.RawMessage `json:"args"`
	Code   int             `json:"code"`
	Reason string          `json:"reason"`
}

// A crowd is a process with clients without Socket.IO.
type crowd struct {
	script *script
	before map[string][]heard // what has been read while something of another client was waited for
	same   func(t *testing.T, got json.RawMessage, want string) bool
}

// next returns what happens next to a client.
func (c *crowd) next(t *testing.T, id string) heard {
	t.Helper()
	for len(c.before[id]) == 0 {
		var one heard
		c.script.answer(t, &one)
		c.before[one.ID] = append(c.before[one.ID], one)
	}
	one := c.before[id][0]
	c.before[id] = c.before[id][1:]
	return one
}

// opened waits until a client is connected; what else happens to it is passed over.
func (c *crowd) opened(t *testing.T, id string) {
	t.Helper()
	for c.next(t, id).On != "open" {
	}
}

// message takes the next message of a client, which has to be this one.
func (c *crowd) message(t *testing.T, id, event, args string) {
	t.Helper()
	got := c.next(t, id)
	if got.On != "message" || got.Event != event || !c.same(t, got.Args, args) {
		t.Fatalf("%s: got %+v with %s, want the event %s with %s", id, got, got.Args, event, args)
	}
}

// sameText compares what a client in JavaScript prints, which is as Crier wrote it.
func sameText(_ *testing.T, got json.RawMessage, want string) bool { return string(got) == want }

// sameJSON compares the values, for a client in a language that writes them in its own way.
func sameJSON(t *testing.T, got json.RawMessage, want string) bool {
	t.Helper()
	var g, w any
	if err := errors.Join(json.Unmarshal(got, &g), json.Unmarshal([]byte(want), &w)); err != nil {
		t.Fatalf("%.300s and %.300s: %v", got, want, err)
	}
	return reflect.DeepEqual(g, w)
}

// pushV1 makes a push, and returns what matched it.
func (s *server) pushV1(t *testing.T, push string) string {
	t.Helper()
	r := do(t, http.MethodPost, s.pushURL("/v1/push"), push, nil)
	if r.status != http.StatusOK {
		t.Fatalf("the push was answered %d %s", r.status, r.body)
	}
	return r.body
}

var sockTransports = []string{"sockjs-websocket", "sockjs-xhr-streaming", "sockjs-eventsource", "sockjs-xhr-polling"}

// TestPlainClients has npm's clients in Node, and Chromium's own with sockjs-client's bundle in a page of another origin, do
// what pages do without Socket.IO: log in, get pushes in their order, answer, and come back.
func TestPlainClients(t *testing.T) {
	t.Parallel()
	for _, where := range []struct {
		name  string
		kinds []string
	}{
		{"node", append([]string{"ws", "sse", "comet"}, sockTransports...)},
		{"chromium", append([]string{"ws", "sse", "comet", "jsonp"}, sockTransports...)},
	} {
		t.Run(where.name, func(t *testing.T) {
			t.Parallel()
			args := []string{"clients/plaindriver.mjs"}
			if where.name == "chromium" {
				args = append(args, tool(t, "chromium", "apt-get install chromium"))
			}
			c := &crowd{startScript(t, node(t), args...), map[string][]heard{}, sameText}
			for _, kind := range where.kinds {
				t.Run(kind, func(t *testing.T) { tryPlain(t, c, kind) })
			}
		})
	}
}

func tryPlain(t *testing.T, c *crowd, kind string) {
	same := settings{"listen": ownAddress(), "origins": "*", "rooms.client_join": "allow", "presence.count_event": "off", "store.path": filepath.Join(t.TempDir(), "crier.db")}
	crier := startCrier(t, same)
	same = same.with(settings{"listen": crier.public})
	defer c.script.tell(t, map[string]string{"do": "forget"})
	c.script.tell(t, map[string]string{"do": "open", "id": kind, "kind": kind, "url": crier.publicURL(""), "query": "uid=" + kind + "&rooms=a,b"})
	c.opened(t, kind)

	if online := crier.pushMany(t, kind, 0, 1000); online != 1000 {
		t.Fatalf("%d of 1,000 pushes found the client", online)
	}
	for n := range 1000 {
		c.message(t, kind, "new_msg", fmt.Sprintf(`["%d %s"]`, n, hard))
	}
	crier.pushV1(t, `{"to":{"rooms":["b"]},"event":"e","args":[{"$binary":"AP8="},"line\nbreak",null]}`)
	c.message(t, kind, "e", `[{"$binary":"AP8="},"line\nbreak",null]`)
	big := strings.Repeat("x", 500_000)
	crier.deliver(t, kind, big)
	c.message(t, kind, "new_msg", `["`+big+`"]`)
	if kind == "ws" || strings.HasPrefix(kind, "sockjs") {
		c.script.tell(t, map[string]string{"do": "send", "id": kind, "text": `{"event":"unsubscribe","args":["a"],"ack":1}`})
		if got := c.next(t, kind); !c.same(t, got.Args, `[{"ok":true,"room":"a"}]`) {
			t.Fatalf("an event was answered %+v with %s", got, got.Args)
		}
		got := crier.pushV1(t, fmt.Sprintf(`{"to":{"users":[%q]},"event":"e","args":[],"ack":"1m"}`, kind))
		if want := `"args":["from ` + kind + `"]`; !strings.Contains(got, want) {
			t.Fatalf("%s is not in %s", want, got)
		}
		c.message(t, kind, "e", `[]`)
	}

	crier.stop(t)
	crier = startCrier(t, same)
	crier.pushMany(t, kind, 1000, 1300) // while it is away, at first
	c.opened(t, kind)
	for n := range 300 {
		c.message(t, kind, "new_msg", fmt.Sprintf(`["%d %s"]`, 1000+n, hard))
	}
	crier.pushV1(t, `{"to":{"rooms":["b"]},"event":"e","args":[]}`) // it has come back to its rooms
	c.message(t, kind, "e", `[]`)

	crier.kill(t)
	crier = startCrier(t, same)
	c.opened(t, kind)
	if got := c.next(t, kind); got.Event != "missed" {
		t.Fatalf("after a kill: %+v", got)
	}
	crier.deliver(t, kind, "after a kill")
	c.message(t, kind, "new_msg", `["after a kill"]`)
}

// pushMany pushes messages of these numbers to a user, in one request, and returns how many found it.
func (s *server) pushMany(t *testing.T, uid string, from, to int) (online int) {
	t.Helper()
	var batch strings.Builder
	for n := from; n < to; n++ {
		fmt.Fprintf(&batch, `{"to":{"users":[%q]},"data":"%d %s"}`+"\n", uid, n, hard)
	}
	r := do(t, http.MethodPost, s.pushURL("/v1/push/batch"), batch.String(), http.Header{"Content-Type": {"application/x-ndjson"}})
	if r.status != http.StatusOK || strings.Count(r.body, `"matched"`) != to-from {
		t.Fatalf("the pushes were answered %d %.300s", r.status, r.body)
	}
	return strings.Count(r.body, `"connections":1`)
}
