package hub

import (
	"context"
	"sync"
)

// tasks are what [Hub.Close] waits for.
type tasks struct {
	mu     sync.Mutex
	n      int
	closed bool
	idle   chan struct{} // closed when nothing is left; nil before close
}

// begin counts one task, until end. Once close has been called it reports false.
func (t *tasks) begin() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	t.n++
	return true
}

// hold counts one more task. The caller has one that has not ended.
func (t *tasks) hold() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n++
}

func (t *tasks) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n--; t.n == 0 && t.closed {
		close(t.idle)
	}
}

// spawn runs fn on a goroutine, as a task. It reports false, having done nothing, once close has been called.
func (t *tasks) spawn(fn func()) bool {
	if !t.begin() {
		return false
	}
	go func() {
		defer t.end()
		fn()
	}()
	return true
}

// close waits until all tasks have ended, or ctx has.
func (t *tasks) close(ctx context.Context) error {
	t.mu.Lock()
	if !t.closed {
		t.closed, t.idle = true, make(chan struct{})
		if t.n == 0 {
			close(t.idle)
		}
	}
	t.mu.Unlock()
	select {
	case <-t.idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
