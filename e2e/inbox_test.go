package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// storedCount is how many messages each user of tryInbox has in store: many portions of the short queue.
const storedCount = 400

// tryInbox stores messages for a user on each of the client's routes, kills Crier while the client is given them, and starts
// it again: all of them arrive, in order, and are confirmed. What had not been confirmed comes twice.
func tryInbox(t *testing.T, d *driver, c client) {
	kept := settings{
		"listen": ownAddress(), "origins": "*", "store.path": t.TempDir() + "/crier.db", "inbox.open": "true",
		"limits.queue_messages":  "40",
		"socketio.ping_interval": "500ms", // on a WebSocket, clients of revision 3 confirm with their ping
	}
	crier := startCrier(t, kept)
	kept = kept.with(settings{"listen": crier.public})
	var batch []string
	for _, r := range c.routes() {
		for n := range storedCount {
			batch = append(batch, fmt.Sprintf(`{"to":{"users":[%q]},"data":"%d","ttl":"1h"}`, r.name, n))
		}
	}
	crier.store(t, "["+strings.Join(batch, ",")+"]")

	sockets := map[string]*socket{}
	open := func(r route, id string) {
		sockets[r.name] = d.open(t, r.name+id, opening{client: c, route: r, url: crier.publicURL(""), login: r.name})
	}
	for _, r := range c.routes() {
		open(r, "")
	}
	for _, r := range c.routes() {
		sockets[r.name].await(t, happening{On: "event", Event: "new_msg"})
	}
	crier.kill(t)
	crier = startCrier(t, kept)
	before := map[string]*socket{}
	for _, r := range c.routes() {
		if c.stranded(r) { // somebody reloads the page
			before[r.name] = sockets[r.name]
			open(r, " again")
		}
	}
	for _, r := range c.routes() {
		s := sockets[r.name]
		crier.store(t, fmt.Sprintf(`[{"to":{"users":[%q]},"data":"last","store":true}]`, r.name))
		got := s.until(t, "last")
		if first := before[r.name]; first != nil {
			got = append(first.messages(t), got...)
		}
		inOrder(t, r.name, got)
		if len(got) > 2*storedCount+1 {
			t.Errorf("%s got %d messages for %d", r.name, len(got), storedCount+1)
		}
	}
	crier.awaitEmptyInbox(t)
}

// inOrder checks that each message comes first when all before it have come.
func inOrder(t *testing.T, name string, got []string) {
	t.Helper()
	n := 0
	for _, text := range got {
		if text == fmt.Sprint(n) {
			n++
		} else if at := -1; text != "last" {
			if _, err := fmt.Sscan(text, &at); err != nil || at > n {
				t.Fatalf("%s got %q where %d was due", name, text, n)
			}
		}
	}
	if n != storedCount || got[len(got)-1] != "last" {
		t.Errorf("%s got %d of %d messages, and %q at last", name, n, storedCount, got[len(got)-1])
	}
}

// store pushes an array of messages that are to be stored.
func (s *server) store(t *testing.T, batch string) {
	t.Helper()
	r := do(t, http.MethodPost, s.pushURL("/v1/push/batch"), batch, http.Header{"Content-Type": {"application/json"}})
	if r.status != http.StatusOK || strings.Contains(r.body, `"stored":false`) || strings.Contains(r.body, `"code"`) {
		t.Fatalf("storing: status %d, %.300s", r.status, r.body)
	}
}

// awaitEmptyInbox waits until everything that was stored is confirmed.
func (s *server) awaitEmptyInbox(t *testing.T) {
	t.Helper()
	var stats struct {
		Inbox struct{ Messages, Waiting int }
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		r := do(t, http.MethodGet, s.pushURL("/v1/stats"), "", nil)
		if err := json.Unmarshal([]byte(r.body), &stats); err != nil {
			t.Fatal(err)
		}
		if stats.Inbox.Messages == 0 && stats.Inbox.Waiting == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not everything was confirmed: %+v", stats)
		}
	}
}
