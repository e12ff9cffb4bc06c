package e2e

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
)

// recoveringClients are the ones that can recover their connections: they came with 4.6.
var recoveringClients = []client{{lib: "sioc-4.6", revision: 4}, {lib: "sioc-4.7", revision: 4}, latest}

// TestRecovery cuts the line of each client on each route, while it is pushed to.
func TestRecovery(t *testing.T) {
	t.Parallel()
	for _, c := range recoveringClients {
		t.Run(c.lib, func(t *testing.T) {
			t.Parallel()
			d := startDriver(t)
			for _, r := range routes {
				t.Run(r.name, func(t *testing.T) {
					t.Cleanup(func() { d.forget(t) })
					tryRecovery(t, d, c, r)
				})
			}
		})
	}
}

// A wanderer is a client that loses its connection, and what it is to have got.
type wanderer struct {
	*socket
	crier *server
	line  *line
	sid   string
	want  []string
	n     int
}

// pushNext pushes a message by one of the ways that reach it.
func (w *wanderer) pushNext(t *testing.T) {
	t.Helper()
	text := fmt.Sprint("message ", w.n)
	to := []string{`"users":["42"]`, `"rooms":["news"]`, `"all":true`, `"connections":["` + w.sid + `"]`}[w.n%4]
	w.n++
	body := fmt.Sprintf(`{"to":{%s,"except":{"users":["nobody"]}},"event":"new_msg","data":%q}`, to, text)
	if got := do(t, http.MethodPost, w.crier.pushURL("/v1/push"), body, nil); got.status != http.StatusOK {
		t.Fatalf("a push was answered %+v", got)
	}
	w.want = append(w.want, text)
}

// caughtUp waits for the latest message, and compares all that it has got.
func (w *wanderer) caughtUp(t *testing.T) {
	t.Helper()
	last := w.want[len(w.want)-1]
	for w.await(t, happening{On: "event", Event: "new_msg"}).text(t, 0) != last {
	}
	var got []string
	for _, h := range w.history {
		if h.On != "event" {
			continue
		}
		if len(h.Args) != 2 || h.text(t, 1) == "" {
			t.Fatalf("%s has the arguments %s, want one and an offset", h.Event, h.Args)
		}
		if h.Event == "new_msg" {
			got = append(got, h.text(t, 0))
		}
	}
	if !slices.Equal(got, w.want) {
		t.Fatalf("got %q\nwant %q", got, w.want)
	}
}

// back waits for the next connect, and compares whether it is the same connection to the page.
func (w *wanderer) back(t *testing.T, recovered bool) {
	t.Helper()
	h := w.connected(t)
	if h.Recovered != recovered || (h.SID == w.sid) != recovered {
		t.Fatalf("recovered %v, sid %s after %s; want recovered %v", h.Recovered, h.SID, w.sid, recovered)
	}
	w.sid = h.SID
}

// tryRecovery loses the connection of a client in all ways: it goes on where it was, or is told that it does not.
func tryRecovery(t *testing.T, d *driver, c client, r route) {
	same := settings{"store.path": filepath.Join(t.TempDir(), "crier.db"), "rooms.client_join": "allow", "listen": ownAddress(), "api.listen": ownAddress()}
	crier := startCrier(t, same)
	same["listen"], same["api.listen"] = crier.public, crier.push
	other := d.open(t, "other", opening{client: c, route: r, url: crier.publicURL(""), login: "other"})
	w := &wanderer{crier: crier, line: startLine(t, crier.public)}
	o := opening{client: c, route: r, url: w.line.url(), watch: []string{"update_online_count"}}
	if r.upgrades() { // and says that it recovers in another way
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
	for range 4 {
		w.pushNext(t)
	}
	w.caughtUp(t)

	for _, noticed := range []bool{true, false} {
		w.line.cut(noticed)
		w.await(t, happening{On: "disconnect"})
		for range 8 {
			w.pushNext(t)
		}
		w.line.mend()
		w.back(t, true)
		w.pushNext(t)
		w.caughtUp(t)
	}

	w.line.cut(true)
	for range 8 {
		w.pushNext(t)
	}
	crier.stop(t)
	crier = startCrier(t, same)
	w.crier = crier
	for range 4 {
		w.pushNext(t)
	}
	w.line.mend()
	w.back(t, true)
	w.pushNext(t)
	w.caughtUp(t)

	crier.kill(t)
	crier = startCrier(t, same)
	w.crier = crier
	w.back(t, false)
	w.n = 0 // of the user, not of the room, which it has joined itself
	w.pushNext(t)
	w.caughtUp(t)

	// A client that did not ask gets what it has always got.
	for other.loggedIn(t); crier.publish(t, "other", "the end") != "ok"; {
	}
	other.until(t, "the end")
}

// TestRecoveryOverrun has a client miss more than is kept for it.
func TestRecoveryOverrun(t *testing.T) {
	t.Parallel()
	crier := startCrier(t, settings{"recovery.max_messages": "3"})
	w := &wanderer{crier: crier, line: startLine(t, crier.public)}
	d := startDriver(t)
	w.socket = d.open(t, "wanderer", opening{
		client: latest, route: byWebSocket, url: w.line.url(),
		options: map[string]any{"auth": map[string]any{"recovery": true, "uid": "42"}},
	})
	w.back(t, false)
	for _, missed := range []int{3, 4} {
		w.line.cut(true)
		w.await(t, happening{On: "disconnect"})
		for range missed {
			crier.deliver(t, "", fmt.Sprint("missed ", missed))
		}
		w.line.mend()
		w.back(t, missed == 3)
	}
	crier.deliver(t, "42", "after that")
	var got []string
	for {
		text := w.await(t, happening{On: "event", Event: "new_msg"}).text(t, 0)
		if got = append(got, text); text == "after that" {
			break
		}
	}
	if want := []string{"missed 3", "missed 3", "missed 3", "after that"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
