package callbacks

import (
	"io"
	"net/http"
	"sync"

	"crier/e2e/ledger/stage"
)

// stolen is the outcome of a callback that did not get to the receiver.
const stolen = "stolen"

// A thief stands between server and receiver, and answers every so many callbacks as if the receiver had: to the receiver
// it is as if the server had lost them. The checker must find out.
type thief struct {
	next  http.Handler
	book  *stage.Book
	oneIn int
	fail  func(error)

	mu   sync.Mutex
	seen map[string]bool
}

// steals says whether to keep a callback: one that has not been tried before, so that it cannot be noted already.
func (t *thief) steals(id string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.seen[id] {
		return false
	}
	t.seen[id] = true
	return len(t.seen)%t.oneIn == 0
}

func (t *thief) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	id := q.Header.Get("Webhook-Id")
	if !t.steals(id) {
		t.next.ServeHTTP(w, q)
		return
	}
	body, err := io.ReadAll(q.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if err := t.book.Note(callbackLine{At: stage.Now(), Outcome: stolen, ID: id, Body: string(body)}); err != nil {
		t.fail(err)
	}
	w.WriteHeader(http.StatusNoContent)
}
