package app

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"crier/configs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// program is a running server under test.
type program struct {
	*App
	t    testing.TB
	log  *logBook
	http *http.Client
}

// settings are those of a server on free ports, which keeps nothing and whose
// browsers get nothing but what a test pushes.
func settings() *configs.Config {
	cfg := configs.Default()
	cfg.Listen = "127.0.0.1:0"
	cfg.API.Listen = "127.0.0.1:0"
	cfg.Presence.CountEvent = "off"
	cfg.Store.Path = ""
	return cfg
}

// build makes a server, which the test's end stops.
func build(t testing.TB, adapt func(*configs.Config)) *program {
	t.Helper()
	cfg := settings()
	if adapt != nil {
		adapt(cfg)
	}
	p := &program{t: t, log: &logBook{}}
	p.http = &http.Client{Timeout: patience, Transport: &http.Transport{}}
	app, err := New(cfg, slog.New(slog.NewTextHandler(p.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	p.App = app
	t.Cleanup(func() {
		p.http.CloseIdleConnections()
		if err := p.stop(); err != nil {
			t.Errorf("stopping: %v", err)
		}
		if t.Failed() {
			t.Logf("the log:\n%s", p.log)
		}
	})
	return p
}

// start makes and starts a server.
func start(t testing.TB, adapt func(*configs.Config)) *program {
	t.Helper()
	p := build(t, adapt)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *program) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return p.Stop(ctx)
}

// answer is a response of the server.
type answer struct {
	status int
	body   string
	header http.Header
}

// do makes a request; more are header names and values in turn.
func (p *program) do(method, address, body string, more ...string) answer {
	p.t.Helper()
	r, err := http.NewRequest(method, address, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	for i := 0; i < len(more); i += 2 {
		r.Header.Set(more[i], more[i+1])
	}
	resp, err := p.http.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() {
		if err := resp.Body.Close(); err != nil {
			p.t.Error(err)
		}
	}()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return answer{resp.StatusCode, string(text), resp.Header}
}

// push pushes as web-msg-sender's callers do; to "" is everybody.
func (p *program) push(to, content string) string {
	p.t.Helper()
	q := url.Values{"type": {"publish"}, "to": {to}, "content": {content}}
	return p.do(http.MethodGet, "http://"+p.PushAddr()+"/?"+q.Encode(), "").body
}

// take returns the next value of c.
func take[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("%s: nothing within %v", what, patience)
		panic("unreachable")
	}
}

// await waits until a condition holds.
func await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	end := time.After(patience)
	for !holds() {
		select {
		case <-ticker.C:
		case <-end:
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// same compares, and ends the test if got is not want.
func same[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

// logBook is a log that can be read while it is written.
type logBook struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
