package stage

import (
	"context"
	"sync"
)

// A Tab is one of a user's pages, in a browser.
type Tab struct {
	// Static.
	id      string
	browser *browser
	polls   bool // it may use polling: if it is gone without a word, only the heartbeat tells the server

	mu      sync.Mutex
	state   TabState
	gone    Stamp // it has no connection since then and never will; 0 if it may have
	clean   bool  // once gone: the server had answered everything
	changed chan struct{}
}

// A TabState is how far a tab has come.
type TabState struct {
	Opened bool
	In     Stamp // the present connection is logged in since then; 0 if there is none
	Proof  Stamp // until then at least, as the server has shown
}

func newTab(id string, b *browser, polls bool) *Tab {
	return &Tab{id: id, browser: b, polls: polls, changed: make(chan struct{})}
}

// update takes a line of the book into account.
func (t *Tab) update(line TabLine) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch line.On {
	case TabOpen:
		t.state.Opened = true
	case TabIn:
		t.state.In, t.state.Proof = line.At, line.At
	case TabProof:
		t.state.Proof = max(t.state.Proof, line.Sent)
	case TabOut:
		t.state.In = 0
	case TabGone:
		t.end(line.At, line.Clean)
	}
	t.broadcast()
}

// lose is for a tab whose browser is gone at that time.
func (t *Tab) lose(at Stamp) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end(at, false)
	t.broadcast()
}

// end is called with mu held.
func (t *Tab) end(at Stamp, clean bool) {
	if t.gone == 0 {
		t.state.In, t.gone, t.clean = 0, at, clean
	}
}

// broadcast is called with mu held.
func (t *Tab) broadcast() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// Until waits for a condition, or for the end of the tab.
func (t *Tab) Until(ctx context.Context, condition func(TabState) bool) (alive bool, err error) {
	for {
		t.mu.Lock()
		state, gone, changed := t.state, t.gone > 0, t.changed
		t.mu.Unlock()
		if gone || condition(state) {
			return !gone, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
	}
}

// Past returns when a tab that is gone was connected for certain, for the last time, when it went, and when it may have left a
// session behind that only the heartbeat ends, or 0.
func (t *Tab) Past() (seen, gone, ghost Stamp) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.polls && !t.clean {
		ghost = t.gone
	}
	return t.state.Proof, t.gone, ghost
}
