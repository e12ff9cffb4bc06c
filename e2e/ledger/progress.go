package main

import (
	"context"
	"sync"
)

// progress is how much of the work is taken and done, in transitions. A user takes two at a time.
type progress struct {
	total int

	mu       sync.Mutex
	claimed  int
	finished int
	changed  chan struct{}
}

func newProgress(total int) *progress { return &progress{total: total, changed: make(chan struct{})} }

// claim takes an arrival and a departure, if there are any left.
func (p *progress) claim() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.claimed >= p.total {
		return false
	}
	p.claimed += 2
	return true
}

// done counts a transition that is owed now.
func (p *progress) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.finished++
	close(p.changed)
	p.changed = make(chan struct{})
}

// reach waits until n transitions are done.
func (p *progress) reach(ctx context.Context, n int) error {
	for {
		p.mu.Lock()
		finished, changed := p.finished, p.changed
		p.mu.Unlock()
		if finished >= n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// sofar returns how many are done.
func (p *progress) sofar() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.finished
}
