package fallback

import (
	"slices"

	"crier/io/wsconn"
)

// outbox is what a client gets with its next request. It is guarded by its owner.
type outbox struct {
	list  []*wire
	bytes int            // of JSON text
	debt  wsconn.Account // of bytes
}

// settle tells the budget what waits; owner is whose box it is.
func (b *outbox) settle(budget *wsconn.Budget, owner wsconn.Evictee) {
	budget.Charge(&b.debt, owner, b.bytes)
}

// add puts w behind the others, if limits.queue_* allow it; one message always has room.
func (b *outbox) add(w *wire, o *Options) error {
	size := len(w.form(formText))
	if len(b.list) > 0 && (b.bytes+size > o.QueueBytes || len(b.list)+1 > o.QueueMessages) {
		return errFull
	}
	b.list = append(b.list, w)
	b.bytes += size
	return nil
}

// put adds several, whatever is allowed.
func (b *outbox) put(list []*wire) {
	for _, w := range list {
		if w.err == nil {
			b.list = append(b.list, w)
			b.bytes += len(w.form(formText))
		}
	}
}

// drop takes the first n out.
func (b *outbox) drop(n int) {
	for _, w := range b.list[:n] {
		b.bytes -= len(w.form(formText))
	}
	b.list = slices.Delete(b.list, 0, n)
	if len(b.list) == 0 {
		b.list = nil
	}
}

// clear takes all out.
func (b *outbox) clear() { b.list, b.bytes = nil, 0 }
