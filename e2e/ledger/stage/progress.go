package stage

import (
	"context"
	"sync"
)

// Progress is how much of the work is taken and done.
type Progress struct {
	total int

	mu       sync.Mutex
	claimed  int
	finished int
	changed  chan struct{}
}

func newProgress(total int) *Progress { return &Progress{total: total, changed: make(chan struct{})} }

// Claim takes so much work, if there is any left.
func (p *Progress) Claim(n int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.claimed >= p.total {
		return false
	}
	p.claimed += n
	return true
}

// Done counts one that is done now.
func (p *Progress) Done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.finished++
	close(p.changed)
	p.changed = make(chan struct{})
}

// Reach waits until n are done.
func (p *Progress) Reach(ctx context.Context, n int) error {
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

// SoFar returns how many are done.
func (p *Progress) SoFar() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.finished
}
