package e2e

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"
)

// A callback is a request that a receiver got.
type callback struct {
	header http.Header
	body   []byte
}

// A receiver is a business server that gets callbacks.
type receiver struct {
	url string

	mu       sync.Mutex
	got      []callback
	failures []int         // what to answer to the next ones, before answering 204
	held     chan struct{} // the next one is answered when it is closed; nil: at once
	changed  chan struct{}
}

// startReceiver runs a receiver until the test ends.
func startReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{changed: make(chan struct{})}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil || q.Method != http.MethodPost {
			t.Errorf("a callback was not received: %s, %v", q.Method, err)
		}
		status, held := r.take(callback{q.Header.Clone(), body})
		if held != nil {
			<-held
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	r.url = server.URL + "/callback"
	return r
}

// take files a callback and returns what to answer, and when, unless that is nil.
func (r *receiver) take(c callback) (status int, held <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, c)
	close(r.changed)
	r.changed = make(chan struct{})
	held, r.held = r.held, nil
	if len(r.failures) == 0 {
		return http.StatusNoContent, held
	}
	status = r.failures[0]
	r.failures = r.failures[1:]
	return status, held
}

// hold has the next callback answered when release is called, which must be.
func (r *receiver) hold() (release func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	held := make(chan struct{})
	r.held = held
	return sync.OnceFunc(func() { close(held) })
}

// fail has the next callbacks answered by statuses.
func (r *receiver) fail(statuses ...int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, statuses...)
}

// callbacks returns what came so far.
func (r *receiver) callbacks() []callback {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// await waits until n callbacks have come, and returns all that have.
func (r *receiver) await(t *testing.T, n int) []callback {
	t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for {
		r.mu.Lock()
		got, changed := slices.Clone(r.got), r.changed
		r.mu.Unlock()
		if len(got) >= n {
			return got
		}
		select {
		case <-changed:
		case <-limit.C:
			t.Fatalf("%d callbacks came, want %d", len(got), n)
		}
	}
}
