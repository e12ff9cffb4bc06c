package store

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"crier/io/hub"
)

const (
	// crowd is how many confirmations and notes do not wait for others any more, and go into one transaction.
	crowd = 1024
	// maxNotes is how many notes may wait for the disk.
	maxNotes = 65_536
	// sweepEvery is how often it is looked what has expired, and sweepSize how many are removed in one transaction.
	sweepEvery = 2 * time.Second
	sweepSize  = 1000
	// retryAfter is how long after a failure the next try is made.
	retryAfter = time.Second
)

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
	notify := func(c chan struct{}) {
		select {
		case c <- struct{}{}:
		default:
		}
	}
	notify(q.kick)
	if n >= crowd {
		notify(q.crowded)
	}
}

// confirmed returns the places that the user has confirmed and that may still be in the file.
func (q *Inbox) confirmed(uid string) []uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Concat(q.flying.confirmed[uid], q.waiting.confirmed[uid])
}

// run writes what gathers and removes what has expired, until Close.
func (q *Inbox) run() {
	defer close(q.ended)
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	for {
		select {
		case <-q.kick:
			if !q.wait(gatherFor, q.crowded) {
				q.flush()
				return
			}
			if q.flush() != nil && q.wait(retryAfter, nil) {
				q.gathered(0) // try again
			}
		case answer := <-q.asked:
			answer <- q.flush()
		case <-sweep.C:
			q.sweep()
		case <-q.quit:
			q.flush()
			return
		}
	}
}

// wait waits for a while, or until enough. It returns false when the Inbox is being closed. Who asks is answered.
func (q *Inbox) wait(d time.Duration, enough <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return true
		case <-enough:
			return true
		case answer := <-q.asked:
			answer <- q.flush()
		case <-q.quit:
			return false
		}
	}
}

// settled returns when all that was confirmed and noted before is in the file, or the error that keeps it out.
func (q *Inbox) settled() error {
	q.mu.Lock()
	n := q.waiting.size() + q.flying.size()
	q.mu.Unlock()
	if n == 0 {
		return nil
	}
	answer := make(chan error, 1)
	select {
	case q.asked <- answer:
		return <-answer
	case <-q.ended:
		return ErrClosed
	}
}

// flush writes what has gathered. After an error it is still there, and the Store has logged it.
func (q *Inbox) flush() error {
	q.mu.Lock()
	g, dropped := q.waiting, q.dropped
	q.waiting, q.flying, q.dropped = gathering{}, g, 0
	q.mu.Unlock()
	if dropped > 0 {
		q.log.Warn("receipts are incomplete: more was pushed than the disk could take notes of", "notes", dropped)
	}
	err := q.write(g)
	q.mu.Lock()
	defer q.mu.Unlock()
	if err != nil {
		q.waiting.add(g)
	}
	q.flying = gathering{}
	return err
}

// arrival is one confirmation.
type arrival struct {
	uid   string
	place uint64
}

// write writes a gathering, in several transactions if it is large: each may be made again.
func (q *Inbox) write(g gathering) error {
	arrivals := make([]arrival, 0, g.places)
	for _, uid := range slices.Sorted(maps.Keys(g.confirmed)) { // in the order of the keys, which the tree likes best
		for _, place := range g.confirmed[uid] {
			arrivals = append(arrivals, arrival{uid, place})
		}
	}
	for chunk := range slices.Chunk(arrivals, crowd) {
		if err := q.update(func(b *box) error { return b.confirm(chunk) }); err != nil {
			return err
		}
	}
	for chunk := range slices.Chunk(g.notes, crowd) {
		if err := q.update(func(b *box) error { return b.note(chunk) }); err != nil {
			return err
		}
	}
	return nil
}

func (b *box) confirm(all []arrival) error {
	for _, a := range all {
		if _, err := b.settle(a.uid, a.place, hub.Confirmed); err != nil {
			return err
		}
	}
	return nil
}

// sweep removes letters that have expired and receipts that are forgotten. What is left after an error is removed later.
func (q *Inbox) sweep() {
	for more := true; more && !q.leaving(); {
		more = false
		var err error
		if q.due() {
			err = q.update(func(b *box) (err error) {
				more, err = b.sweep(q.MaxReceipts)
				return err
			})
		}
		if err != nil {
			return // the Store has logged it
		}
	}
}

func (q *Inbox) leaving() bool {
	select {
	case <-q.quit:
		return true
	default:
		return false
	}
}

// due reports whether there is anything to be swept.
func (q *Inbox) due() (is bool) {
	err := q.view(func(b *box) error {
		_, letter := b.dueLetter()
		_, receipt := b.dueReceipt(q.MaxReceipts)
		is = letter || receipt
		return nil
	})
	return is && err == nil
}

// dueLetter returns the first letter that has expired.
func (b *box) dueLetter() (place uint64, is bool) {
	k, _ := b.expiry.Cursor().First()
	return placeOfTime(k), k != nil && timeOf(k) <= b.now
}

// dueReceipt returns the first receipt that is to be forgotten.
func (b *box) dueReceipt(limit int) (place uint64, is bool) {
	k, _ := b.retirement.Cursor().First()
	return placeOfTime(k), k != nil && (timeOf(k) <= b.now || b.totals.retired > uint64(limit))
}

// sweep removes so many of what is due, and reports whether there may be more.
func (b *box) sweep(maxReceipts int) (more bool, err error) {
	for n := 0; n < sweepSize; {
		if place, is := b.dueLetter(); is {
			if err := b.turn(place); err != nil {
				return false, err
			}
			todo := min(b.receipt.Waiting, sweepSize)
			if err := b.end(place, hub.Expired, todo); err != nil {
				return false, err
			}
			n += max(todo, 1)
		} else if place, is := b.dueReceipt(maxReceipts); is {
			if err := b.forget(place); err != nil {
				return false, err
			}
			n++
		} else {
			return false, nil
		}
	}
	return true, nil
}

// The two halves of a timeKey; 0 of no key.

func timeOf(k []byte) int64 {
	if len(k) != 16 {
		return 0
	}
	return int64(placeOf(k[:8]))
}

func placeOfTime(k []byte) uint64 {
	if len(k) != 16 {
		return 0
	}
	return placeOf(k[8:])
}

// note makes notes into receipts.
func (b *box) note(all []hub.Note) error {
	for _, n := range all {
		place := b.find(n.ID, n.Scope)
		if place == 0 {
			if _, err := b.open(receipt{Receipt: hub.Receipt{Note: n}, pushed: millis(n.Time)}); err != nil {
				return err
			}
			if err := b.retire(); err != nil {
				return err
			}
			continue
		}
		if err := b.turn(place); err != nil {
			return err
		}
		r := &b.receipt
		r.Users, r.Connections, r.Delivered = n.Users, n.Connections, n.Delivered
		r.Acked = cmp.Or(n.Acked, r.Acked)
	}
	return nil
}
