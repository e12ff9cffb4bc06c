package jobs

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errTest = errors.New("it did not work")

// try is one call of a recorder's handler.
type try struct {
	key, payload string
	at           time.Duration // since the recorder was made
	attempts     int           // failures before
}

// recorder is a handler that writes down its calls; do says what each one returns, nil means success.
type recorder struct {
	start time.Time
	do    func(ctx context.Context, job Job) (bool, error)

	mu    sync.Mutex
	tries []try
}

func newRecorder(do func(context.Context, Job) (bool, error)) *recorder {
	return &recorder{start: time.Now(), do: do}
}

func (r *recorder) handle(ctx context.Context, job Job) (bool, error) {
	r.mu.Lock()
	r.tries = append(r.tries, try{job.Key, string(job.Payload), time.Since(r.start), job.Attempts})
	r.mu.Unlock()
	if r.do == nil {
		return false, nil
	}
	return r.do(ctx, job)
}

// all returns the tries so far.
func (r *recorder) all() []try {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.tries)
}

func (r *recorder) payloads() []string {
	var all []string
	for _, t := range r.all() {
		all = append(all, t.payload)
	}
	return all
}

func start(t *testing.T, opts Options) *Runner {
	t.Helper()
	r, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		r.Close(ctx)
	})
	return r
}

func put(t *testing.T, r *Runner, jobs ...Job) {
	t.Helper()
	if err := r.Put(jobs...); err != nil {
		t.Fatalf("Put: %v", err)
	}
}

// pass lets time go by, and everything come to rest, in a synctest bubble.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func job(key, payload string) Job { return Job{Key: key, Payload: []byte(payload)} }
