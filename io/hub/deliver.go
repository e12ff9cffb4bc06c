package hub

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// chunk is how many members one goroutine serves before it asks for more. Up to two chunks are not worth a helper.
const chunk = 256

// deliver gives the message to all members of the list and waits until all have taken or dropped it. Large lists are
// shared with helpers, of which there are at most GOMAXPROCS-1 in the whole hub; when they are busy with other pushes,
// the caller does it alone.
func (h *Hub) deliver(list []*Member, msg *Message) tally {
	if len(list) <= 2*chunk {
		var t tally
		t.deliver(list, msg)
		return t
	}
	return h.deliverMany(list, msg)
}

func (h *Hub) deliverMany(list []*Member, msg *Message) tally {
	var (
		mu    sync.Mutex
		total tally // guarded by mu
	)
	h.share(len(list), func(from, to int) {
		var t tally
		t.deliver(list[from:to], msg)
		mu.Lock()
		defer mu.Unlock()
		total.add(t)
	})
	return total
}

// share has work done for all parts of something of length n, a chunk at a time, and waits for the end of it.
func (h *Hub) share(n int, work func(from, to int)) {
	var (
		next atomic.Int64
		wg   sync.WaitGroup
	)
	all := func() {
		for {
			from := int(next.Add(chunk)) - chunk
			if from >= n {
				return
			}
			work(from, min(from+chunk, n))
			// After 10 ms without this the runtime would think that it computes, and look every 20 µs whether it is inside
			// a write, to take the processor from it.
			runtime.Gosched()
		}
	}
	for range n/chunk - 1 {
		if !h.acquireHelper() {
			break
		}
		wg.Go(func() {
			defer func() { <-h.helpers }()
			all()
		})
	}
	all()
	wg.Wait()
}

// acquireHelper tells whether one more goroutine may help; it gives its token back itself.
func (h *Hub) acquireHelper() bool {
	select {
	case h.helpers <- struct{}{}:
		return true
	default:
		return false
	}
}
