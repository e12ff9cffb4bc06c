package webhook

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"crier/io/hub"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// call is a request that a receiver got.
type call struct {
	event
	at     time.Time
	header http.Header
	body   string
}

// receiver is an http.RoundTripper that plays the business server. It checks every signature.
type receiver struct {
	t *testing.T
	// answer says what to reply to a request; tries counts those with the same webhook-id, this one included.
	answer func(ctx context.Context, e event, tries int) (*http.Response, error)

	mu    sync.Mutex
	calls []call
	tries map[string]int
}

func (r *receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	if err := Verify(testSecret, req.Header, body, time.Second); err != nil {
		r.t.Error(err)
	}
	e, err := decodeEvent(body)
	if err != nil {
		r.t.Error(err)
	}
	if id := req.Header.Get("webhook-id"); id != e.ID || id == "" {
		r.t.Errorf("webhook-id %q, id %q", id, e.ID)
	}
	r.mu.Lock()
	r.calls = append(r.calls, call{e, time.Now(), req.Header, string(body)})
	if r.tries == nil {
		r.tries = make(map[string]int)
	}
	r.tries[e.ID]++
	tries := r.tries[e.ID]
	r.mu.Unlock()
	if r.answer == nil {
		return reply(http.StatusNoContent), nil
	}
	return r.answer(req.Context(), e, tries)
}

func (r *receiver) all() []call {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]call(nil), r.calls...)
}

// told returns the calls as "uid version", in the order in which they came.
func (r *receiver) told() string {
	var all []string
	for _, c := range r.all() {
		all = append(all, fmt.Sprint(c.Data.UID, c.Data.Version))
	}
	return strings.Join(all, " ")
}

func reply(code int, header ...string) *http.Response {
	h := make(http.Header)
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: code, Header: h, Body: io.NopCloser(strings.NewReader("a reply"))}
}

// logBuffer is a log that can be read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// lines returns what was logged since the last call.
func (l *logBuffer) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.b.Reset()
	return strings.Split(strings.TrimSuffix(l.b.String(), "\n"), "\n")[:strings.Count(l.b.String(), "\n")]
}

func start(t *testing.T, opts Options) (*Sender, *logBuffer) {
	t.Helper()
	log := &logBuffer{}
	opts.Logger = slog.New(slog.NewTextHandler(log, nil))
	if opts.URL == "" {
		opts.URL = "http://receiver.test/hook"
	}
	if opts.Secrets == nil {
		opts.Secrets = []string{testSecret}
	}
	s, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := s.Close(ctx); err != nil {
			t.Log(err)
		}
	})
	return s, log
}

// pass lets time go by, and everything come to rest, in a synctest bubble.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// change is a hub.PresenceChange; odd versions are online.
func change(uid string, version uint64) hub.PresenceChange {
	c := hub.PresenceChange{UID: uid, Version: version, Time: time.Now(), Cause: hub.CauseDisconnect}
	if version%2 == 1 {
		c.Online, c.Connections, c.Cause = true, 1, ""
	}
	return c
}

// tell has s send the callbacks of changes.
func tell(t *testing.T, s *Sender, changes ...hub.PresenceChange) {
	t.Helper()
	if err := s.Presence(changes); err != nil {
		t.Error(err)
	}
}
