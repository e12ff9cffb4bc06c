package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// A happening is one line of clients/driver.mjs: what befell a socket.
type happening struct {
	ID        string            `json:"id"`
	On        string            `json:"on"` // connect, upgrade, disconnect, refused, event, ack
	Event     string            `json:"event"`
	Ack       string            `json:"ack"`
	SID       string            `json:"sid"`    // of the socket
	Engine    string            `json:"engine"` // the sid of its connection
	Transport string            `json:"transport"`
	Recovered bool              `json:"recovered"` // a connect that has missed nothing
	Reason    string            `json:"reason"`
	Args      []json.RawMessage `json:"args"`
}

// kind tells happenings that are waited for separately.
func (h happening) kind() string { return h.On + " " + h.Event + h.Ack }

// text returns argument n, a string.
func (h happening) text(t *testing.T, n int) string {
	t.Helper()
	var s string
	if n >= len(h.Args) {
		t.Fatalf("%+v has no argument %d", h, n)
	}
	if err := json.Unmarshal(h.Args[n], &s); err != nil {
		t.Fatalf("argument %d is %s, not a string", n, h.Args[n])
	}
	return s
}

// loginAnswer is what the acknowledgement of a login says.
type loginAnswer struct {
	OK    bool   `json:"ok"`
	UID   string `json:"uid"`
	Error string `json:"error"`
	Code  string `json:"code"`
}

// login returns the answer to a login.
func (h happening) login(t *testing.T) loginAnswer {
	t.Helper()
	var a loginAnswer
	if len(h.Args) != 1 {
		t.Fatalf("a login's acknowledgement has %d arguments, want 1", len(h.Args))
	}
	if err := json.Unmarshal(h.Args[0], &a); err != nil {
		t.Fatalf("a login's acknowledgement is %s: %v", h.Args[0], err)
	}
	return a
}

// A driver is a process with any number of sockets: Node with the clients from npm, or Chromium with a
// page for each client's browser bundle.
type driver struct {
	script  *script
	sockets map[string]*socket // by name, since the last forget
	rounds  int                // of forget
}

// startDriver runs clients/driver.mjs until the test ends.
func startDriver(t *testing.T) *driver {
	t.Helper()
	return &driver{script: startScript(t, node(t), "clients/driver.mjs"), sockets: map[string]*socket{}}
}

// startPages runs clients/pages.mjs until the test ends.
func startPages(t *testing.T) *driver {
	t.Helper()
	chromium := tool(t, "chromium", "apt-get install chromium")
	return &driver{script: startScript(t, node(t), "clients/pages.mjs", chromium), sockets: map[string]*socket{}}
}

// An opening says which socket to open.
type opening struct {
	client  client
	route   route
	url     string
	options map[string]any // besides the route's
	watch   []string       // events to report, besides new_msg
	login   string         // the uid to log in with on each connect; "" for no login

	authLater map[string]any // what an auth function gives; nil for none
}

// A socket is one Socket.IO connection of a driver.
type socket struct {
	driver  *driver
	id      string // as the process knows it
	history []happening
	taken   map[string]int // by kind: how far into history await has come
}

// open opens a socket.
func (d *driver) open(t *testing.T, id string, o opening) *socket {
	t.Helper()
	s := &socket{driver: d, id: d.prefix() + id, taken: map[string]int{}}
	d.sockets[id] = s
	command := map[string]any{
		"do": "open", "id": s.id, "lib": o.client.lib, "url": o.url,
		"options": o.route.with(o.options), "watch": append([]string{"new_msg"}, o.watch...),
	}
	if o.login != "" {
		command["login"] = o.login
	}
	if o.authLater != nil {
		command["authLater"] = o.authLater
	}
	d.script.tell(t, command)
	return s
}

// prefix begins the ids of the sockets opened since the last forget.
func (d *driver) prefix() string { return fmt.Sprintf("%d ", d.rounds) }

// forget closes every socket; what still happens to them is dropped.
func (d *driver) forget(t *testing.T) {
	t.Helper()
	d.script.tell(t, map[string]any{"do": "forget"})
	d.sockets = map[string]*socket{}
	d.rounds++
}

// receive files the next happening with its socket.
func (d *driver) receive(t *testing.T, limit <-chan time.Time) bool {
	t.Helper()
	select {
	case line, ok := <-d.script.out:
		if !ok {
			t.Fatal("the Node process ended")
		}
		var h happening
		if err := json.Unmarshal(line, &h); err != nil {
			t.Fatalf("the driver printed %q: %v", line, err)
		}
		if name, current := strings.CutPrefix(h.ID, d.prefix()); current {
			s := d.sockets[name]
			s.history = append(s.history, h)
		}
		return true
	case <-limit:
		return false
	}
}

// emit sends an event, with an acknowledgement wanted if ack is not "".
func (s *socket) emit(t *testing.T, ack, event string, args ...any) {
	t.Helper()
	command := map[string]any{"do": "emit", "id": s.id, "event": event, "args": args}
	if ack != "" {
		command["ack"] = ack
	}
	s.driver.script.tell(t, command)
}

// close ends the connection from the client's side.
func (s *socket) close(t *testing.T) {
	t.Helper()
	s.driver.script.tell(t, map[string]any{"do": "close", "id": s.id})
}

// await returns the next happening like want, On with either Event or Ack, as soon as there is one;
// it leaves the others for later.
func (s *socket) await(t *testing.T, want happening) happening {
	t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	kind := want.kind()
	for {
		for at := s.taken[kind]; at < len(s.history); at++ {
			s.taken[kind] = at + 1
			if s.history[at].kind() == kind {
				return s.history[at]
			}
		}
		if !s.driver.receive(t, limit.C) {
			t.Fatalf("socket %s: no %q after %s; it had %s", s.id, kind, patience, s.summary())
		}
	}
}

// summary tells what happened to the socket, for people.
func (s *socket) summary() string {
	counts := map[string]int{}
	for _, h := range s.history {
		counts[h.kind()+" "+h.Reason]++
	}
	text, err := json.Marshal(counts)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// connected waits for a connect and returns it.
func (s *socket) connected(t *testing.T) happening {
	t.Helper()
	return s.await(t, happening{On: "connect"})
}

// loggedIn waits for the answer to the login of a connect and returns it.
func (s *socket) loggedIn(t *testing.T) loginAnswer {
	t.Helper()
	a := s.await(t, happening{On: "ack", Ack: "login"}).login(t)
	if !a.OK {
		t.Fatalf("socket %s: the login was refused: %+v", s.id, a)
	}
	return a
}

// until waits for the message last and returns every new_msg of the socket so far, last included.
func (s *socket) until(t *testing.T, last string) []string {
	t.Helper()
	for s.await(t, happening{On: "event", Event: "new_msg"}).text(t, 0) != last {
	}
	return s.messages(t)
}

// messages returns the content of every new_msg so far.
func (s *socket) messages(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, h := range s.history {
		if h.On == "event" && h.Event == "new_msg" {
			if len(h.Args) != 1 {
				t.Fatalf("new_msg has %d arguments, want 1: %s", len(h.Args), h.Args)
			}
			all = append(all, h.text(t, 0))
		}
	}
	return all
}

// count returns how many happenings of a kind there were.
func (s *socket) count(on string) int {
	n := 0
	for _, h := range s.history {
		if h.On == on {
			n++
		}
	}
	return n
}
