package messages

import (
	"sync"

	"crier/e2e/ledger/stage"
)

// A delivery is a message to a user.
type delivery struct{ id, uid string }

// owed are deliveries that were accepted and have not come yet: what a run waits for in the end. The checker looks into the books.
type owed struct {
	mu    sync.Mutex
	here  map[delivery]bool // those that have come
	left  map[delivery]bool // those that have not
	count int               // of everything that came
}

func newOwed() *owed { return &owed{here: map[delivery]bool{}, left: map[delivery]bool{}} }

// accept takes the deliveries of a message that was accepted.
func (o *owed) accept(m message) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, uid := range m.users {
		if d := (delivery{m.id, uid}); !o.here[d] {
			o.left[d] = true
		}
	}
}

// hear takes a line of a tab.
func (o *owed) hear(l stage.TabLine) {
	if l.On != stage.TabWire && l.On != stage.TabStolen {
		return
	}
	d := delivery{l.ID, l.UID}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.count++
	o.here[d] = true
	delete(o.left, d)
}

// none says whether everything has come that was accepted.
func (o *owed) none() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.left) == 0
}

func (o *owed) came() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.count
}
