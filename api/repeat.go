package api

import (
	"errors"
	"sync"
	"time"
)

const (
	// repeatFor is how long the result of a push with an id is remembered, from the moment it is known.
	repeatFor = 5 * time.Minute
	// maxRepeats is how many are, and maxRemembered how many bytes of answers with them.
	maxRepeats    = 1_000_000
	maxRemembered = 64 << 20
)

// errTableFull says that no more ids can be remembered for now.
var errTableFull = errors.New("the table of push ids is full")

// outcome is what became of a push.
type outcome struct {
	users, connections int
	stored             bool
	partial            bool   // the figures are not of all servers
	known              bool   // it is that of a push before: the hub has found out
	acked              *acked // nil: no acknowledgements were asked for
}

// flight is a push under way, or one that has been.
type flight struct {
	landed chan struct{} // closed when what follows is there
	outcome
	err error
}

func newFlight() *flight { return &flight{landed: make(chan struct{})} }

// land ends the flight.
func (f *flight) land(o outcome, err error) {
	f.outcome, f.err = o, err
	close(f.landed)
}

// over reports whether the flight has ended.
func (f *flight) over() bool {
	select {
	case <-f.landed:
		return true
	default:
		return false
	}
}

// repeats knows the pushes of the last minutes by the ids that their callers gave, so that doing one again does nothing.
type repeats struct {
	// static
	limit int

	mu     sync.Mutex
	done   map[string]outcome // what is known
	flying map[string]*flight // what will be, or will have failed
	order  []expiry           // of done, earliest first
	kept   int                // bytes of answers in done
}

// expiry is when an id is forgotten.
type expiry struct {
	key string
	at  time.Time
}

func newRepeats(limit int) *repeats {
	return &repeats{limit: limit, done: make(map[string]outcome), flying: make(map[string]*flight)}
}

// take returns the flight of key: a new one, first, which the caller must give to land, or else that of the push that was
// or is made for it. The error is errTableFull.
func (t *repeats) take(key string) (f *flight, first bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forget(time.Now())
	if o, known := t.done[key]; known {
		f = newFlight()
		f.land(o, nil)
		return f, false, nil
	}
	if f = t.flying[key]; f != nil {
		return f, false, nil
	}
	if len(t.done)+len(t.flying) >= t.limit {
		return nil, false, errTableFull
	}
	f = newFlight()
	t.flying[key] = f
	return f, true, nil
}

// land ends the flight of key. Unless the push has failed, its outcome is remembered, without answers when too many are.
func (t *repeats) land(key string, f *flight, o outcome, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.flying, key)
	f.land(o, err)
	if err != nil {
		return
	}
	if a := o.acked; a != nil {
		if t.kept+len(a.answers) > maxRemembered {
			o.acked = &acked{users: a.users, connections: a.connections, answers: []byte("[]"), truncated: true}
		}
		t.kept += len(o.acked.answers)
	}
	t.done[key] = o
	t.order = append(t.order, expiry{key: key, at: time.Now().Add(repeatFor)})
}

// lander returns land for one flight.
func (t *repeats) lander(key string, f *flight) func(outcome, error) {
	return func(o outcome, err error) { t.land(key, f, o, err) }
}

// forget drops what is old, and all its memory once nothing is left. Called with mu held.
func (t *repeats) forget(now time.Time) {
	n := 0
	for n < len(t.order) && t.order[n].at.Before(now) {
		key := t.order[n].key
		if a := t.done[key].acked; a != nil {
			t.kept -= len(a.answers)
		}
		delete(t.done, key)
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
