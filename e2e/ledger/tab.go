package main

import (
	"context"
	"sync"
)

// How a tab can leave; tabs.mjs tells what they mean.
var leaves = []string{"close", "close", "close", "logout", "fin", "fin", "rst"}

// A tab is one of a user's pages, in a browser.
type tab struct {
	// Static.
	id      string
	browser *browser
	polls   bool // it may use polling: if it is gone without a word, only the heartbeat tells the server

	mu      sync.Mutex
	opened  bool
	in      stamp // the present connection is logged in since then; 0 if there is none
	proof   stamp // until then at least, as the server has shown
	gone    stamp // it has no connection since then and never will; 0 if it may have
	clean   bool  // once gone: the server had answered everything
	changed chan struct{}
}

func newTab(id string, b *browser, polls bool) *tab {
	return &tab{id: id, browser: b, polls: polls, changed: make(chan struct{})}
}

// update takes a line of the book into account.
func (t *tab) update(line tabLine) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch line.On {
	case tabOpen:
		t.opened = true
	case tabIn:
		t.in, t.proof = line.At, line.At
	case tabProof:
		t.proof = max(t.proof, line.Sent)
	case tabOut:
		t.in = 0
	case tabGone:
		t.end(line.At, line.Clean)
	}
	t.broadcast()
}

// lose is for a tab whose browser is gone at that time.
func (t *tab) lose(at stamp) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end(at, false)
	t.broadcast()
}

// end is called with mu held.
func (t *tab) end(at stamp, clean bool) {
	if t.gone == 0 {
		t.in, t.gone, t.clean = 0, at, clean
	}
}

// broadcast is called with mu held.
func (t *tab) broadcast() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// until waits for a condition, which is asked with mu held, or for the end of the tab.
func (t *tab) until(ctx context.Context, condition func(*tab) bool) (alive bool, err error) {
	for {
		t.mu.Lock()
		met, gone, changed := condition(t), t.gone > 0, t.changed
		t.mu.Unlock()
		if met || gone {
			return !gone, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
	}
}

// past returns when a tab that is gone was connected for certain, for the last time, when it went, and when it may have left a
// session behind that only the heartbeat ends, or 0.
func (t *tab) past() (seen, gone, ghost stamp) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.polls && !t.clean {
		ghost = t.gone
	}
	return t.proof, t.gone, ghost
}
