package store

import "crier/io/hub"

// crowd is how many confirmations and notes do not wait for others any more.
const crowd = 1024

// gathering is what gathers to be written together.
type gathering struct {
	confirmed map[string][]uint64 // places by uid
	places    int                 // in confirmed
	notes     []hub.Note
}

func (g *gathering) size() int { return g.places + len(g.notes) }

// confirm adds confirmations.
func (g *gathering) confirm(uid string, places []uint64) {
	if g.confirmed == nil {
		g.confirmed = make(map[string][]uint64)
	}
	g.confirmed[uid] = append(g.confirmed[uid], places...)
	g.places += len(places)
}

// add adds what other has gathered before g.
func (g *gathering) add(other gathering) {
	for uid, places := range other.confirmed {
		g.confirm(uid, places)
	}
	g.notes = append(other.notes, g.notes...)
}

// Confirm implements hub.Inbox.
func (q *Inbox) Confirm(uid string, places []uint64) {
	if len(places) == 0 {
		return
	}
	q.mu.Lock()
	q.waiting.confirm(uid, places)
	n := q.waiting.size()
	q.mu.Unlock()
	q.gathered(n)
}

// Note adds to the receipt of a message, or begins one. It does not wait for the disk; a crash may lose it.
func (q *Inbox) Note(n hub.Note) {
	q.mu.Lock()
	if len(q.waiting.notes) >= maxNotes {
		q.dropped++
		q.mu.Unlock()
		return
	}
	q.waiting.notes = append(q.waiting.notes, n)
	size := q.waiting.size()
	q.mu.Unlock()
	q.gathered(size)
}

// gathered says that so much is to be written.
func (q *Inbox) gathered(n int) {
	notify(q.kick)
	if n >= crowd {
		notify(q.crowded)
	}
}

// notify puts a token into a channel that has room for one.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
