package store

import (
	"cmp"
	"errors"
	"runtime"
	"time"

	"crier/io/hub"
)

const (
	// gatherFor is how long confirmations and notes wait for others.
	gatherFor = 50 * time.Millisecond
	// retryAfter is how long after a failure the next try is made.
	retryAfter = time.Second
	// entryBytes is how much goes into one entry of the journal, and then what has begun.
	entryBytes = 8 << 20
	// What the journal has is taken over from time to time, or when it is that much.
	takeOverOps   = 32_768
	takeOverBytes = 16 << 20
	// How many changes go into one transaction then: the more, the fewer pages are written for each. In a file with more than
	// manyHeld entries each change is of another page, which has to be in memory until all of them are written.
	groupOfFew  = 16_384
	groupOfMany = 2048
	manyHeld    = 250_000
	// mostOps and mostBytes are how much it may have that is not taken over.
	mostOps   = 65_536
	mostBytes = 48 << 20
)

// ask is somebody who waits for all that was confirmed and noted to be in the file.
type ask struct {
	answer chan<- error
	upTo   uint64 // the number of the entry that has to be taken over
}

// scribe writes the journal of an Inbox and has it taken over.
type scribe struct {
	inbox   *Inbox
	journal journal
	place   uint64 // the last one that was given
	applied uint64 // the number of the last entry that was taken over
	busy    bool   // some are being taken over
	failed  error  // of the last attempt at that
	hurry   bool   // somebody waits for it
	asks    []ask
	trouble trouble
	buf     []byte // for an entry
}

// run writes until Close, and then what is left.
func (w *scribe) run() {
	q := w.inbox
	gather, again := newStoppedTimer(), newStoppedTimer()
	defer gather.Stop()
	defer again.Stop()
	idle, calm := true, true // the timers do not run
	w.seal(false)            // what there was
	for {
		puts := q.puts
		if w.busy && w.much(mostOps, mostBytes) {
			puts = nil
		}
		select {
		case o := <-puts:
			w.write(o)
		case <-q.kick:
			if idle {
				gather.Reset(gatherFor)
				idle = false
			}
		case <-q.crowded:
			w.write(nil)
		case <-gather.C:
			idle = true
			if w.write(nil) != nil {
				gather.Reset(retryAfter)
				idle = false
			}
		case a := <-q.asked:
			w.ask(a)
		case err := <-q.results:
			w.tookOver(err)
		case <-again.C:
			calm = true
			w.hurry = w.hurry || w.failed != nil
			w.seal(true)
		case <-q.quit:
			w.end()
			return
		}
		w.seal(false)
		if calm && w.behind() {
			again.Reset(q.InboxOptions.takeOver)
			calm = false
		}
	}
}

// behind reports whether the journal has something that is to be taken over.
func (w *scribe) behind() bool { return w.applied < w.journal.last || w.failed != nil }

// newStoppedTimer returns a timer that has to be reset.
func newStoppedTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// much reports whether what has not begun to be taken over is as much as that.
func (w *scribe) much(ops, bytes int) bool {
	q := w.inbox
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.current.ops >= ops || q.current.bytes >= bytes
}

// write writes an entry with what has gathered: first and other puts, confirmations and notes. The error is of the journal.
func (w *scribe) write(first *op) error {
	q := w.inbox
	puts := w.gather(first)
	if w.failed != nil && w.much(mostOps, mostBytes) { // there is no room for more
		tell(puts, hub.Deposited{Err: w.failed})
		return w.failed
	}
	ops := w.admit(puts)
	q.mu.Lock()
	g, dropped := q.waiting, q.dropped
	q.waiting, q.flying, q.dropped = gathering{}, g, 0
	q.mu.Unlock()
	if dropped > 0 {
		q.log.Warn("receipts are incomplete: more was pushed than the disk could take notes of", "notes", dropped)
	}
	admitted := len(ops)
	ops = w.addGathered(ops, g)
	if len(ops) == 0 {
		return nil
	}
	b := appendOps(newEntry(w.buf), ops)
	if w.buf = b; cap(b) > entryBytes {
		w.buf = nil
	}
	err := w.journal.append(b)
	w.account(len(ops), err)
	q.mu.Lock()
	q.flying = gathering{}
	if err != nil {
		q.waiting.add(g)
	} else {
		q.current.add(w.journal.last, ops)
	}
	q.mu.Unlock()
	if err != nil {
		tell(ops[:admitted], hub.Deposited{Err: err})
		return err
	}
	for _, o := range ops[:admitted] {
		o.stored(hub.Deposited{Place: o.place})
		o.stored = nil
	}
	return nil
}

// gather returns first, if it is not nil, and what else waits. Callers who have just been told put their next when they get
// to run: that is waited for, while it brings more.
func (w *scribe) gather(first *op) (puts []*op) {
	if first == nil {
		return nil
	}
	yielded := 0 // how many there were
	for o, bytes := first, 0; ; {
		puts = append(puts, o)
		if bytes += o.size(); bytes >= entryBytes || len(puts) == maxGroup {
			return puts
		}
		if len(w.inbox.puts) == 0 && len(puts) > yielded {
			yielded = len(puts)
			runtime.Gosched()
		}
		select {
		case o = <-w.inbox.puts:
		default:
			return puts
		}
	}
}

// tell tells who has put something what came of it.
func tell(puts []*op, d hub.Deposited) {
	for _, o := range puts {
		o.stored(d)
	}
}

// admit gives places to puts, except to those whose id is known: those it tells.
func (w *scribe) admit(puts []*op) []*op {
	if len(puts) == 0 {
		return nil
	}
	known := make([]*receipt, len(puts))
	err := w.inbox.view(func(b *box) error {
		for i, o := range puts {
			if place := b.find(o.key); place != 0 {
				r, err := decodeReceipt(b.receipts.Get(placeKey(place)))
				if err != nil {
					return err
				}
				known[i] = &r
			}
		}
		return nil
	})
	if err != nil {
		tell(puts, hub.Deposited{Err: err})
		return nil
	}
	w.inbox.findFresh(puts, known)
	ops := make([]*op, 0, len(puts))
	here := make(map[string]*op, len(puts))
	for i, o := range puts {
		if other := here[o.key]; other != nil {
			known[i] = &other.receipt
		}
		if r := known[i]; r != nil {
			o.stored(hub.Deposited{Known: true, Online: r.Users, Connections: r.Connections, Users: r.Stored})
			continue
		}
		w.place++
		o.place = w.place
		here[o.key] = o
		ops = append(ops, o)
	}
	return ops
}

// findFresh sets the receipts of those puts whose id is in the journal.
func (q *Inbox) findFresh(puts []*op, known []*receipt) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, o := range puts {
		if other := cmp.Or(q.current.ids[o.key], q.sealed.ids[o.key]); other != nil {
			known[i] = &other.receipt
		}
	}
}

// addGathered adds confirmations and notes.
func (w *scribe) addGathered(ops []*op, g gathering) []*op {
	for uid, places := range g.confirmed {
		ops = append(ops, &op{kind: opConfirm, uid: uid, places: places})
	}
	for _, n := range g.notes {
		w.place++
		ops = append(ops, &op{kind: opNote, place: w.place, note: n})
	}
	return ops
}

// account counts an entry as a transaction, and logs what nobody else would.
func (w *scribe) account(ops int, err error) {
	if w.inbox.store.count(ops, err); err != nil {
		w.trouble.failed(err)
	} else {
		w.trouble.over()
	}
}

// ask has all that has gathered taken over, for somebody who waits for that.
func (w *scribe) ask(a ask) {
	if err := w.write(nil); err != nil {
		a.answer <- err
		return
	}
	if a.upTo = w.journal.last; w.applied >= a.upTo {
		a.answer <- nil
		return
	}
	w.asks = append(w.asks, a)
	w.hurry = true
}

// seal has what is in the journal taken over, unless some is already: if it is due, somebody waits for it, or it is much. The
// next entries go to the other file.
func (w *scribe) seal(due bool) {
	q := w.inbox
	if w.busy || !due && !w.hurry && !w.much(takeOverOps, takeOverBytes) || w.failed != nil && !w.hurry {
		return
	}
	q.mu.Lock()
	if q.sealed.empty() && !q.current.empty() {
		q.sealed, q.current = q.current, fresh{}
		w.journal.rotate()
	}
	entries := q.sealed.entries
	q.mu.Unlock()
	w.hurry = false
	if len(entries) > 0 {
		w.busy = true
		q.batches <- entries // whoever takes over is idle
	}
}

// tookOver notes that some has been taken over, or why not.
func (w *scribe) tookOver(err error) {
	q := w.inbox
	w.busy, w.failed = false, err
	if err == nil {
		q.mu.Lock()
		w.applied = q.sealed.last()
		q.sealed = fresh{}
		q.mu.Unlock()
	}
	rest := w.asks[:0]
	for _, a := range w.asks {
		switch {
		case err != nil || w.applied >= a.upTo:
			a.answer <- err
		default:
			rest = append(rest, a)
		}
	}
	clear(w.asks[len(rest):])
	w.asks = rest
	w.hurry = len(rest) > 0
}

// end writes and takes over what is left.
func (w *scribe) end() {
	q := w.inbox
	for more := true; more; {
		select {
		case o := <-q.puts:
			w.write(o)
		default:
			more = false
		}
	}
	err := w.write(nil)
	if w.busy {
		w.tookOver(<-q.results)
	}
	for n := 0; n < 2 && w.failed == nil; n++ { // what was sealed, and what came behind it
		w.hurry = true
		if w.seal(true); w.busy {
			w.tookOver(<-q.results)
		}
	}
	close(q.batches)
	for _, a := range w.asks {
		a.answer <- ErrClosed
	}
	q.err = errors.Join(err, w.failed, w.journal.close(err == nil && w.failed == nil))
}

// takeOverForever makes the changes that the journal has, until Close.
func (q *Inbox) takeOverForever() {
	for entries := range q.batches {
		q.results <- q.applyAll(entries)
	}
}

// applyAll makes changes, in several transactions if they are many.
func (q *Inbox) applyAll(entries []freshEntry) error {
	for len(entries) > 0 {
		most, err := q.mostAtOnce()
		if err != nil {
			return err
		}
		n, ops := 0, 0
		for n < len(entries) && (n == 0 || ops+len(entries[n].ops) <= most) {
			ops += len(entries[n].ops)
			n++
		}
		chunk := entries[:n]
		if err := q.update(func(b *box) error { return b.apply(chunk, q.InboxOptions) }); err != nil {
			return err
		}
		entries = entries[n:]
	}
	return nil
}

// mostAtOnce returns how many changes go into one transaction. In a large file it lets go of what the one before has read.
func (q *Inbox) mostAtOnce() (int, error) {
	var held uint64
	if err := q.view(func(b *box) error { held = b.totals.letters + b.totals.retired; return nil }); err != nil {
		return 0, err
	}
	if held < manyHeld {
		return groupOfFew, nil
	}
	return groupOfMany, q.store.letGo()
}

// settled returns when all that was put, confirmed and noted before is in the file, or the error that keeps it out.
func (q *Inbox) settled() error {
	answer := make(chan error, 1)
	select {
	case q.asked <- ask{answer: answer}:
	case <-q.quit:
		return ErrClosed
	}
	select {
	case err := <-answer:
		return err
	case <-q.closed:
		return ErrClosed
	}
}
