package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// hard is text that every step of an encoding has got wrong somewhere.
const hard = "中文é😀"

// tryProduct does what a page of web-msg-sender's does: it logs in, gets pushes, and sends and gets hard text.
func tryProduct(t *testing.T, d *driver, c client, r route) {
	crier := d.startCrier(t, nil)
	user := d.open(t, "user", opening{
		client: c, route: r, url: crier.publicURL(""), login: "1445590039000",
		watch: []string{"update_online_count"},
	})
	if a := user.loggedIn(t); a.UID != "1445590039000" {
		t.Errorf("logged in as %q", a.UID)
	}
	if by := user.connected(t).Transport; by != r.final && by != r.first {
		t.Errorf("connected by %q, want %q", by, r.first)
	}
	pushMany(t, crier, user)
	if r.upgrades() {
		if to := user.await(t, happening{On: "upgrade"}).Transport; to != r.final {
			t.Errorf("upgraded to %q, want %q", to, r.final)
		}
	}

	// A broadcast reaches those who have not logged in too.
	visitor := d.open(t, "visitor", opening{client: c, route: r, url: crier.publicURL("")})
	visitor.connected(t)
	crier.deliver(t, "", "to all")
	user.until(t, "to all")
	if got := visitor.until(t, "to all"); len(got) != 1 {
		t.Errorf("the visitor got %q, want the broadcast alone", got)
	}

	crier.deliver(t, "1445590039000", hard)
	user.until(t, hard)
	foreign := d.open(t, "foreign", opening{client: c, route: r, url: crier.publicURL(""), login: hard})
	if a := foreign.loggedIn(t); a.UID != hard {
		t.Errorf("logged in as %q, want %q", a.UID, hard)
	}
	crier.deliver(t, hard, "to "+hard)
	foreign.until(t, "to "+hard)

	count := user.await(t, happening{On: "event", Event: "update_online_count"}).text(t, 0)
	if want := "当前<b>1</b>人在线，共打开<b>1</b>个页面"; count != want {
		t.Errorf("the first online count is %q, want %q", count, want)
	}
	user.emit(t, "again", "login", "nobody") // the first login wins
	if a := user.await(t, happening{On: "ack", Ack: "again"}).login(t); a.UID != "1445590039000" {
		t.Errorf("a second login was answered %+v", a)
	}
	if said := crier.publish(t, "nobody", "x"); said != "offline" {
		t.Errorf("a push to nobody was answered %q, want offline", said)
	}
	d.undisturbed(t)
}

// undisturbed fails the test if a socket was disconnected or refused.
func (d *driver) undisturbed(t *testing.T) {
	t.Helper()
	for name, s := range d.sockets {
		if s.count("disconnect")+s.count("refused") > 0 {
			t.Errorf("%s was disconnected: %s", name, s.summary())
		}
	}
}

// pushMany pushes messages to the user 1445590039000, who has to get them in order and exactly once,
// through an upgrade too.
func pushMany(t *testing.T, crier *server, user *socket) {
	t.Helper()
	want := make([]string, 1000)
	for n := range want {
		want[n] = fmt.Sprintf("message %d", n)
		crier.deliver(t, "1445590039000", want[n])
	}
	if got := user.until(t, want[len(want)-1]); !slices.Equal(got, want) {
		t.Fatalf("got %d messages, not the %d pushed in their order", len(got), len(want))
	}
}

// maxPayload is the default of socketio.max_payload.
const maxPayload = 1_000_000

// filler returns a string that makes `login` with it, the connection's first acknowledged event, a
// WebSocket message or a payload of size bytes.
func filler(c client, r route, size int) string {
	size -= len(`420["login",""]`)
	if c.revision == 3 && r.final == "polling" {
		// How Engine.IO 3 frames a packet of this length in a payload: with XHR in a page, 1.x takes the
		// binary form always, 2.x when there is binary data.
		size -= len("999990:")
		if c.page && c.before("2.0") && !r.jsonp {
			size -= len("\x00\x09\x09\x09\x09\x09\x00\xff") - len("999990:")
		}
	}
	return strings.Repeat("x", size)
}

// tryPayloadLimit sends a message just under the limit, and one over it, which ends that connection alone.
func tryPayloadLimit(t *testing.T, d *driver, c client, r route) {
	crier := d.startCrier(t, nil)
	neighbour := d.open(t, "neighbour", opening{client: c, route: r, url: crier.publicURL(""), login: "neighbour"})
	neighbour.loggedIn(t)
	sender := d.open(t, "sender", opening{client: c, route: r, url: crier.publicURL("")})
	first := sender.connected(t)
	if r.upgrades() && first.Transport != r.final {
		sender.await(t, happening{On: "upgrade"})
	}

	sender.emit(t, "fits", "login", filler(c, r, maxPayload-1))
	if a := sender.await(t, happening{On: "ack", Ack: "fits"}).login(t); a.OK || a.Code == "" || a.Error == "" {
		t.Errorf("a uid of a megabyte was answered %+v, want a refusal with its code", a)
	}

	sender.emit(t, "", "login", strings.Repeat("x", maxPayload+1))
	if !c.stranded(r) {
		sender.await(t, happening{On: "disconnect"})
		if again := sender.connected(t); again.SID == first.SID {
			t.Errorf("connected again as the same session %q", first.SID)
		}
	}
	crier.deliver(t, "neighbour", "still there?")
	neighbour.until(t, "still there?")
	if neighbour.count("disconnect") > 0 {
		t.Errorf("the neighbour was disconnected: %s", neighbour.summary())
	}
}
