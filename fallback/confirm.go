package fallback

import (
	"hash/maphash"
	"net/http"
)

// stampOf returns what tells one GET of a client from the next, its timestamp t; 0 if there is none.
func (l *limits) stampOf(r *http.Request) uint64 {
	t := queryValue(r, "t")
	if t == "" {
		return 0
	}
	return max(maphash.String(l.seed, t), 1)
}

// Confirm implements [engineio.RequestTransport].
func (t *polling) Confirm() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case len(t.queue) > 0 || t.ended:
		t.queued++
	case t.last != nil || t.get && t.poll == nil: // it was answered, or is being so
		t.polled++
	default:
		return true
	}
	return false
}

// begin lets a GET in: one that is the last one again gets that answer. confirmed is how many calls of Confirm the GET
// answers.
func (t *polling) begin(stamp uint64) (again *answer, confirmed int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.ended || t.get:
		return nil, 0, false
	case t.last != nil && stamp != 0 && stamp == t.last.stamp:
		return t.last, 0, true
	}
	confirmed = int(t.polled)
	t.get, t.last, t.polled = true, nil, 0
	return nil, confirmed, true
}
