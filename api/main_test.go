package api

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"crier/io/hub"
)

// fakeHub is a Pusher with some users online, which keeps what it was given.
type fakeHub struct {
	online map[string]int // connections of each user
	err    error
	result *hub.Result // instead of the computed one

	mu     sync.Mutex
	pushes []hub.Push
}

func (h *fakeHub) Push(_ context.Context, p hub.Push) (hub.Result, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err != nil {
		return hub.Result{}, h.err
	}
	h.pushes = append(h.pushes, p)
	if h.result != nil {
		return *h.result, nil
	}
	var r hub.Result
	for _, u := range p.To.Users {
		if n := h.online[u]; n > 0 {
			r.Users++
			r.Connections += n
			r.Delivered += n
		}
	}
	return r, nil
}

// taken returns the pushes since the last call.
func (h *fakeHub) taken() []hub.Push {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.pushes
	h.pushes = nil
	return p
}

// newServer returns a Server for o, with a Pusher unless it has one.
func newServer(t testing.TB, o Options) *Server {
	t.Helper()
	if o.Pusher == nil {
		o.Pusher = &fakeHub{online: map[string]int{"u1": 1, "u2": 2}}
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if test, is := t.(*testing.T); is { // and no benchmark
		owners.Store(s, &owner{t: test})
		t.Cleanup(func() { owners.Delete(s) })
	}
	return s
}

// do answers a request from a loopback peer without a browser's headers; change may make it another one.
func do(s http.Handler, method, target, contentType, body string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = "127.0.0.1:2121"
	r.RemoteAddr = "127.0.0.1:40000"
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	checked(s).ServeHTTP(w, r)
	return w
}

// php runs a script of testdata and returns what it prints. The test is skipped where there is no php.
func php(t *testing.T, stdin string, arguments ...string) string {
	t.Helper()
	if _, err := exec.LookPath("php"); err != nil {
		t.Skip("php is not installed (Debian: php-cli), so nothing to compare with")
	}
	cmd := exec.CommandContext(t.Context(), "php", arguments...)
	cmd.Stdin = strings.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("php %v: %v\n%s", arguments, err, stderr.Bytes())
	}
	return string(out)
}

// lines splits output into its lines.
func lines(output string) []string {
	return strings.Split(strings.TrimSuffix(output, "\n"), "\n")
}
