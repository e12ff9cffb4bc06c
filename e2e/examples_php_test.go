package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// A wire passes TCP connections on, counts them and can cut them.
type wire struct {
	address string

	mu    sync.Mutex
	total int
	open  []net.Conn
}

// startWire runs one until the test ends.
func startWire(t *testing.T, to string) *wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{address: listener.Addr().String()}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return // closed
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				t.Errorf("passing a connection on: %v", err)
				far = near
			}
			w.mu.Lock()
			w.total++
			w.open = append(w.open, near, far)
			w.mu.Unlock()
			for _, both := range [][2]net.Conn{{near, far}, {far, near}} {
				running.Go(func() {
					_, copied := io.Copy(both[0], both[1])
					if err := errors.Join(both[0].Close(), both[1].Close()); copied != nil && err == nil {
						t.Logf("a connection ended: %v", copied)
					}
				})
			}
		}
	})
	t.Cleanup(func() {
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
		w.cut(t)
		running.Wait()
	})
	return w
}

// cut ends the connections there are, and returns how many there have been.
func (w *wire) cut(t *testing.T) int {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.open {
		if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Logf("cutting a connection: %v", err)
		}
	}
	w.open = nil
	return w.total
}

// TestExampleLink has PHP push over one connection, get an answer for each line before the next, and connect again when the
// connection is lost.
func TestExampleLink(t *testing.T) {
	t.Parallel()
	const key = "the-key-of-the-examples"
	path := php(t)
	crier := startCrier(t, settings{"api.keys": key})
	s := startDriver(t).open(t, "page", opening{client: client{lib: "sioc-4"}, url: crier.publicURL(""), login: "alice"})
	s.loggedIn(t)
	w := startWire(t, crier.push)
	link := startScript(t, "env", "CRIER_ADDRESS=tcp://"+w.address, "CRIER_KEY="+key, path, "../examples/php/link.php")
	push := func(message string) (answer struct {
		ID      string
		Matched struct{ Connections int }
		Code    string
	},
	) {
		t.Helper()
		link.tell(t, json.RawMessage(message))
		link.answer(t, &answer)
		return answer
	}
	send := func(content string) {
		t.Helper()
		a := push(`{"to":{"users":["alice"]},"data":` + content + `}`)
		if got := string(s.await(t, happening{On: "event", Event: "new_msg"}).Args[0]); a.Matched.Connections != 1 || got != content {
			t.Errorf("pushed %s: the answer is %+v, %s came", content, a, got)
		}
	}
	for n := range 20 {
		send(fmt.Sprintf(`{"n":%d,"empty":{},"list":[],"half":0.5,"text":"%s"}`, n, hard))
	}
	if a := push(`{"to":{"users":["alice"]},"event":"connect"}`); a.Code != "reserved_event" {
		t.Errorf("a bad line was answered %+v", a)
	}
	send(`"after a bad line"`)
	send(`"` + strings.Repeat("long", 50_000) + `"`)
	if total := w.cut(t); total != 1 {
		t.Errorf("there were %d connections, want one that stays open", total)
	}
	send(`"after the cut"`)
	send(`"and on"`)
	if total := w.cut(t); total != 2 {
		t.Errorf("there were %d connections, want 2", total)
	}
}

// TestExampleLinkRefused has PHP's link meet a wrong key, and nobody.
func TestExampleLinkRefused(t *testing.T) {
	t.Parallel()
	path := php(t)
	crier := startCrier(t, settings{"api.keys": "the-key-of-the-examples"})
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := nobody.Close(); err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{crier.push: "wrong_key", nobody.Addr().String(): "cannot be reached"} {
		command := []string{"sh", "-c", `echo '{"to":{"all":true}}' | ` + path + ` ../examples/php/link.php`}
		printed, ok := runExample(t, command, []string{"CRIER_ADDRESS=tcp://" + address, "CRIER_KEY=wrong"})
		if ok || !strings.Contains(printed, want) {
			t.Errorf("it printed %q, without %q; said that it succeeded: %t", printed, want, ok)
		}
	}
}

// TestExampleAuth has PHP say who a connection is, by the sessions of a site.
func TestExampleAuth(t *testing.T) {
	t.Parallel()
	path, sessions := php(t), t.TempDir()
	session := func(uid string) string { // what a site's login does; "" for a visitor
		code := `session_start(); if ($argv[1] !== '') $_SESSION['uid'] = $argv[1]; echo session_id();`
		return runPHP(t, path, nil, "-d", "session.save_path="+sessions, "-r", code, "--", uid)
	}
	business := startExample(t, []string{path, "-d", "session.save_path=" + sessions, "-S", "127.0.0.1:0", "../examples/php/auth.php"},
		"CRIER_WEBHOOK_SECRET="+secret)
	crier := startCrier(t, settings{"auth.mode": "callback", "auth.callback.url": business.url, "webhook.secrets": secret, "auth.callback.timeout": "15s"})
	d := startDriver(t)
	login := func(name, cookie, uid string) (*socket, loginAnswer) {
		t.Helper()
		options := map[string]any{"extraHeaders": map[string]any{"Cookie": cookie}}
		s := d.open(t, name, opening{client: client{lib: "sioc-4"}, url: crier.publicURL(""), login: uid, options: options})
		return s, s.await(t, happening{On: "ack", Ack: "login"}).login(t)
	}
	alice := "theme=dark; PHPSESSID=" + session("alice") + "; last=1"
	s, answer := login("alice", alice, "alice")
	if answer.UID != "alice" || !answer.OK {
		t.Fatalf("alice's login was answered %+v", answer)
	}
	crier.deliver(t, "alice", "for alice")
	if got := s.until(t, "for alice"); len(got) != 1 {
		t.Errorf("alice got %q", got)
	}
	strangers := map[string]struct{ cookie, code string }{
		"no cookie":               {"", "token_required"},
		"another cookie":          {"theme=dark", "refused"},
		"an unknown session":      {"PHPSESSID=abcdefghijklmnopqrstuvwxyz", "refused"},
		"a visitor's session":     {"PHPSESSID=" + session(""), "refused"},
		"a path for a session":    {"PHPSESSID=../../../../etc/passwd-000000", "refused"},
		"half of alice's session": {alice[:len("theme=dark; PHPSESSID=")+22], "refused"},
	}
	for name, stranger := range strangers {
		if _, answer := login(name, stranger.cookie, "bob"); answer.OK || answer.Code != stranger.code {
			t.Errorf("%s: the login was answered %+v, want %s", name, answer, stranger.code)
		}
	}
	// Crier asks as soon as the connection is there, so that one who is alice stays alice.
	if _, answer := login("alice as bob", alice, "bob"); answer.UID != "alice" {
		t.Errorf("alice's login as bob was answered %+v", answer)
	}
	question := `{"headers":{"cookie":"` + alice + `"},"query":{},"ip":"127.0.0.1"}`
	if r := do(t, http.MethodPost, business.url, question, http.Header{"Content-Type": {"application/json"}}); r.status != http.StatusUnauthorized {
		t.Errorf("a question that nobody signed was answered %d %q", r.status, r.body)
	}
}
