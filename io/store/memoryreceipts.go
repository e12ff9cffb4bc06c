package store

import (
	"sync"
	"time"

	"crier/io/hub"
)

const (
	// memoryReceipts is how many receipts are kept in memory, and memoryKeep for how long.
	memoryReceipts = 100_000
	memoryKeep     = 24 * time.Hour
)

// MemoryReceipts are the receipts of messages that are not stored, where there is no file to keep them in. Its zero value is
// ready for use.
type MemoryReceipts struct {
	mu     sync.Mutex
	all    map[string]hub.Note // by idKey
	scopes map[string]string   // of an id, the scope that came last
	order  []string            // keys of all, the oldest first
}

// Note does what Inbox.Note does. Beyond a bound, the oldest receipts are forgotten.
func (q *MemoryReceipts) Note(n hub.Note) {
	key := idKey(n.ID, n.Scope)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.forget(n.Time)
	if q.all == nil {
		q.all, q.scopes = make(map[string]hub.Note), make(map[string]string)
	}
	old, known := q.all[key]
	if !known {
		q.order = append(q.order, key)
	} else if n.Acked == nil {
		n.Acked = old.Acked
	}
	q.all[key] = n
	q.scopes[n.ID] = n.Scope
}

// forget makes room for one more. Called with mu held.
func (q *MemoryReceipts) forget(now time.Time) {
	for len(q.order) > 0 {
		old := q.all[q.order[0]]
		if len(q.order) < memoryReceipts && now.Sub(old.Time) < memoryKeep {
			return
		}
		delete(q.all, q.order[0])
		if q.scopes[old.ID] == old.Scope {
			delete(q.scopes, old.ID)
		}
		q.order = q.order[1:]
	}
}

// Receipt does what Inbox.Receipt does.
func (q *MemoryReceipts) Receipt(scope, id string, anyScope bool) (hub.Receipt, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.forget(time.Now())
	n, known := q.all[idKey(id, scope)]
	if other, is := q.scopes[id]; !known && is && anyScope {
		n, known = q.all[idKey(id, other)]
	}
	if !known {
		return hub.Receipt{}, hub.ErrNoReceipt
	}
	return hub.Receipt{Note: n}, nil
}

// Addressees does what Inbox.Addressees does: no message has any.
func (q *MemoryReceipts) Addressees(scope, id string, anyScope bool, _, _ string, _ int) ([]hub.Addressee, bool, error) {
	_, err := q.Receipt(scope, id, anyScope)
	return nil, false, err
}
