package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// An example is a program of examples/ in one language.
type example struct {
	name    string
	command []string
}

// pushers are the examples that push.
func pushers(t *testing.T) []example {
	t.Helper()
	return []example{
		{"curl", []string{runtime(t, "sh"), "../examples/curl/push.sh"}},
		{"php", []string{runtime(t, "php"), "../examples/php/push.php"}},
		{"java", []string{runtime(t, "java"), "../examples/java/Push.java"}},
		{"python", []string{runtime(t, "python3"), "../examples/python/push.py"}},
		{"node", []string{runtime(t, "node"), "../examples/node/push.mjs"}},
		{"go", []string{compiled(t, "../examples/go/push")}},
	}
}

// receivers are the examples that receive callbacks.
func receivers(t *testing.T) []example {
	t.Helper()
	return []example{
		{"php", []string{runtime(t, "php"), "-S", "127.0.0.1:0", "../examples/php/callback.php"}},
		{"java", []string{runtime(t, "java"), "../examples/java/Callback.java"}},
		{"python", []string{runtime(t, "python3"), "../examples/python/callback.py"}},
		{"node", []string{runtime(t, "node"), "../examples/node/callback.mjs"}},
		{"go", []string{compiled(t, "../examples/go/callback")}},
	}
}

// runtime returns the path of what runs examples. Missing, it fails the test: nobody should copy what was not tried.
func runtime(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is missing: run make setup", name)
	}
	return path
}

// compiled returns the path of an example in Go.
func compiled(t *testing.T, source string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "example")
	if err := build(path, source); err != nil {
		t.Fatalf("building %s: %v", source, err)
	}
	return path
}

// TestExamplesAreShort holds what examples/README.md promises.
func TestExamplesAreShort(t *testing.T) {
	t.Parallel()
	seen := 0
	err := filepath.WalkDir("../examples", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "README.md" {
			return err
		}
		text, err := os.ReadFile(path)
		if lines := bytes.Count(text, []byte("\n")); lines > 60 {
			t.Errorf("%s has %d lines", path, lines)
		}
		seen++
		return err
	})
	if err != nil || seen == 0 {
		t.Fatalf("%d examples read: %v", seen, err)
	}
}

// runExample runs a program that pushes to its end and returns what it printed; ok is whether it exited with 0.
func runExample(t *testing.T, command []string, environment []string, args ...string) (printed string, ok bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	command = append(command[:len(command):len(command)], args...)
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(append(settings{}.environment(), "LC_ALL=C.UTF-8"), environment...) // by which Java reads its arguments
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("running %q: %v, %v\n%s", command, err, ctx.Err(), out)
	}
	return string(out), err == nil
}

// A balancer stands before Crier's push port. It loses the answer to the first request: it says 503 in its place.
type balancer struct {
	url string

	mu     sync.Mutex
	bodies []string
}

// startBalancer runs one until the test ends.
func startBalancer(t *testing.T, crier *server) *balancer {
	t.Helper()
	b := &balancer{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			t.Errorf("reading a push: %v", err)
		}
		answer, err := try(q.Context(), q.Method, crier.pushURL(q.URL.Path), string(body), q.Header)
		if err != nil {
			t.Errorf("passing a push on: %v", err)
		}
		b.mu.Lock()
		b.bodies = append(b.bodies, string(body))
		first := len(b.bodies) == 1
		b.mu.Unlock()
		if first {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", answer.header.Get("Content-Type"))
		w.WriteHeader(answer.status)
		if _, err := io.WriteString(w, answer.body); err != nil {
			t.Errorf("answering a push: %v", err)
		}
	}))
	t.Cleanup(server.Close)
	b.url = server.URL
	return b
}

// TestExamplePushes has every example push to a socket: once, although the first answer is lost. Then it is refused.
func TestExamplePushes(t *testing.T) {
	t.Parallel()
	const key = "the-key-of-the-examples"
	crier := startCrier(t, settings{"api.keys": key})
	examples := pushers(t)
	d := startDriver(t)
	for _, e := range examples {
		t.Run(e.name, func(t *testing.T) {
			uid := "用户 of " + e.name
			s := d.open(t, e.name, opening{client: client{lib: "sioc-4"}, url: crier.publicURL(""), login: uid, watch: []string{"order.shipped"}})
			s.loggedIn(t)
			b := startBalancer(t, crier)
			push := func(data string) string {
				t.Helper()
				printed, ok := runExample(t, e.command, []string{"CRIER_KEY=" + key, "CRIER_URL=" + b.url}, uid, "order.shipped", data)
				if !ok || printed == "" {
					t.Fatalf("it failed, and printed %q", printed)
				}
				return printed
			}
			push(`{"order":7,"text":"` + hard + `"}`)
			push(`"the end"`)
			for _, want := range []string{`{"order":7,"text":"` + hard + `"}`, `"the end"`} {
				if h := s.await(t, happening{On: "event", Event: "order.shipped"}); len(h.Args) != 1 || string(h.Args[0]) != want {
					t.Errorf("the arguments are %s, want %s", h.Args, want)
				}
			}
			if b.mu.Lock(); len(b.bodies) != 3 || b.bodies[0] != b.bodies[1] || !strings.Contains(b.bodies[0], `"id"`) {
				t.Errorf("it sent %q: want the first twice, with an id", b.bodies)
			}
			b.mu.Unlock()

			printed, ok := runExample(t, e.command, []string{"CRIER_KEY=wrong", "CRIER_URL=" + crier.pushURL("")}, uid, "order.shipped", "1")
			if missing := missingPhrase(printed, []string{"wrong_key", "api.keys"}); ok || missing != "" {
				t.Errorf("with a wrong key it printed %q, without %q; said that it succeeded: %t", printed, missing, ok)
			}
			printed, ok = runExample(t, e.command, []string{"CRIER_KEY=" + key, "CRIER_URL=" + crier.pushURL("")}, uid, "connect", "1")
			if missing := missingPhrase(printed, []string{"reserved_event", "choose another"}); ok || missing != "" {
				t.Errorf("with a wrong event it printed %q, without %q; said that it succeeded: %t", printed, missing, ok)
			}
		})
	}
}

// TestExampleKeyIsHidden looks at the arguments that push.sh gives to curl, which everybody on the machine can read.
func TestExampleKeyIsHidden(t *testing.T) {
	t.Parallel()
	const key = "the-key-of-the-examples"
	curl := runtime(t, "curl")
	crier := startCrier(t, settings{"api.keys": key})
	dir := t.TempDir()
	spy := "#!/bin/sh\necho \"$@\" >" + filepath.Join(dir, "arguments") + "\nexec " + curl + " \"$@\"\n"
	if err := os.WriteFile(filepath.Join(dir, "curl"), []byte(spy), 0o755); err != nil {
		t.Fatal(err)
	}
	environment := []string{"CRIER_KEY=" + key, "CRIER_URL=" + crier.pushURL(""), "PATH=" + dir + ":" + os.Getenv("PATH")}
	printed, ok := runExample(t, []string{"sh", "../examples/curl/push.sh"}, environment, "42", "order.shipped", "1")
	var answer struct{ ID string }
	if err := json.Unmarshal([]byte(printed), &answer); err != nil || !ok || answer.ID == "" {
		t.Fatalf("it printed %q: %v", printed, err)
	}
	arguments, err := os.ReadFile(filepath.Join(dir, "arguments"))
	if err != nil || !strings.Contains(string(arguments), "/v1/push") || strings.Contains(string(arguments), key) {
		t.Errorf("the arguments of curl are %q: %v", arguments, err)
	}
	for _, bad := range []string{`4"2`, `4\2`, "4\n2"} {
		if printed, ok := runExample(t, []string{"sh", "../examples/curl/push.sh"}, environment, bad, "order.shipped", "1"); ok {
			t.Errorf("it took the uid %q and printed %q", bad, printed)
		}
	}
}
