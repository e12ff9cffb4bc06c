package api

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// repeatFor is how long the result of a push with an id is remembered, from the moment it is known.
	repeatFor = 5 * time.Minute
	// maxRepeats is how many are.
	maxRepeats = 1_000_000
)

// errTableFull says that no more ids can be remembered for now.
var errTableFull = errors.New("the table of push ids is full")

// outcome is what became of a push.
type outcome struct {
	users, connections int
}

// repeats knows the pushes of the last minutes by the ids that their callers gave, so that doing one again does nothing.
type repeats struct {
	// static
	limit int

	mu     sync.Mutex
	done   map[string]outcome       // what is known
	flying map[string]chan struct{} // closed when it is known, or has failed
	order  []expiry                 // of done, earliest first
}

// expiry is when an id is forgotten.
type expiry struct {
	key string
	at  time.Time
}

func newRepeats(limit int) *repeats {
	return &repeats{limit: limit, done: make(map[string]outcome), flying: make(map[string]chan struct{})}
}

// do calls push, unless it has been called for key within the last minutes, and returns what it returned then. Of
// several calls at once one pushes and the others wait for it; when it fails, the next one tries. The error is
// errTableFull, that of ctx, or push's.
func (t *repeats) do(ctx context.Context, key string, push func() (outcome, error)) (o outcome, duplicate bool, err error) {
	for {
		t.mu.Lock()
		t.forget(time.Now())
		if o, known := t.done[key]; known {
			t.mu.Unlock()
			return o, true, nil
		}
		flight := t.flying[key]
		if flight == nil {
			break
		}
		t.mu.Unlock()
		select {
		case <-flight:
		case <-ctx.Done():
			return outcome{}, false, ctx.Err()
		}
	}
	if len(t.done)+len(t.flying) >= t.limit {
		t.mu.Unlock()
		return outcome{}, false, errTableFull
	}
	landed := make(chan struct{})
	t.flying[key] = landed
	t.mu.Unlock()

	pushed := false
	defer func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.flying, key)
		if pushed {
			t.done[key] = o
			t.order = append(t.order, expiry{key: key, at: time.Now().Add(repeatFor)})
		}
		close(landed)
	}()
	o, err = push()
	pushed = err == nil
	return o, false, err
}

// forget drops what is old, and all its memory once nothing is left. Called with mu held.
func (t *repeats) forget(now time.Time) {
	n := 0
	for n < len(t.order) && t.order[n].at.Before(now) {
		delete(t.done, t.order[n].key)
		n++
	}
	switch {
	case n == 0:
	case n == len(t.order):
		t.order, t.done = nil, make(map[string]outcome)
	default:
		clear(t.order[:n])
		t.order = t.order[n:]
	}
}
