package store

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"

	"crier/io/hub"
)

const (
	// maxAddressees is how many users one message can be kept for: it is one change of the file.
	maxAddressees = 100_000
	// maxNotes is how many notes may wait for the disk.
	maxNotes = 65_536
)

// InboxOptions are the bounds of an Inbox.
type InboxOptions struct {
	// MaxPerUser is how many letters can wait for one user; the oldest makes room for a newer one. 0 means 1000.
	MaxPerUser int
	// MaxBytes is what all letters may take, with what belongs to them; the oldest make room. 0 means 1 GiB.
	MaxBytes int64
	// KeepReceipts is how long a receipt is kept once nobody waits for its message; 0 means 24 h.
	KeepReceipts time.Duration
	// MaxReceipts is how many such receipts are, each counted once and for each user of its message; the oldest are
	// forgotten. 0 means 1,000,000.
	MaxReceipts int

	takeOver time.Duration // how often it is taken over what the journal has; 0 means 1 s
}

func (o *InboxOptions) complete() error {
	if o.MaxPerUser < 0 || o.MaxBytes < 0 || o.KeepReceipts < 0 || o.MaxReceipts < 0 {
		return errors.New("a bound is negative")
	}
	if o.MaxPerUser == 0 {
		o.MaxPerUser = 1000
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 1 << 30
	}
	if o.KeepReceipts == 0 {
		o.KeepReceipts = 24 * time.Hour
	}
	if o.MaxReceipts == 0 {
		o.MaxReceipts = 1_000_000
	}
	if o.takeOver == 0 {
		o.takeOver = time.Second
	}
	return nil
}

// Inbox keeps messages for users, and the receipts of these and other messages. It is a durable hub.Inbox. Make it with
// Store.Inbox, and Close it before the Store.
//
// What happens goes to a journal first, which costs one fsync for all that gathers meanwhile, and from there to the file of
// the Store, a lot at a time: what is confirmed until then has never to be put there. Three goroutines do it: one writes the
// journal, one takes over from it, one removes what has expired.
type Inbox struct {
	// Static.
	InboxOptions
	store   *Store
	log     *slog.Logger
	now     func() time.Time
	first   uint64            // the greatest place when it was opened
	puts    chan *op          // to the scribe
	kick    chan struct{}     // holds a token when something has gathered
	crowded chan struct{}     // holds a token when a lot has
	asked   chan ask          // who wants all of that in the file
	batches chan []freshEntry // to be taken over
	results chan error        // of that
	quit    chan struct{}     // closed by Close when nobody puts any more
	closing sync.Once
	closed  chan struct{} // closed when closeErr is set
	err     error
	running sync.WaitGroup

	putting sync.RWMutex // held for reading while a put is handed to the scribe
	ended   bool         // guarded by putting

	mu      sync.Mutex
	waiting gathering // guarded by mu: what is to be written to the journal
	flying  gathering // guarded by mu: what is being written to it
	sealed  fresh     // guarded by mu: what is being taken over from it
	current fresh     // guarded by mu: what comes behind that
	dropped int       // guarded by mu: notes that there was no room for
}

var _ hub.Inbox = (*Inbox)(nil)

// Inbox returns the inbox of the store, of which there is one, with what is in its journal.
func (s *Store) Inbox(o InboxOptions) (*Inbox, error) {
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("opening the inbox: %w", err)
	}
	q := &Inbox{
		InboxOptions: o,
		store:        s,
		log:          s.log,
		now:          time.Now,
		puts:         make(chan *op, maxGroup),
		kick:         make(chan struct{}, 1),
		crowded:      make(chan struct{}, 1),
		asked:        make(chan ask),
		batches:      make(chan []freshEntry),
		results:      make(chan error, 1),
		quit:         make(chan struct{}),
		closed:       make(chan struct{}),
	}
	w, err := q.takeUp()
	if err != nil {
		return nil, fmt.Errorf("opening the inbox: %w", err)
	}
	q.running.Go(w.run)
	q.running.Go(q.takeOverForever)
	q.running.Go(q.sweepForever)
	return q, nil
}

// takeUp reads what an earlier program has left in the journal, and returns who writes it from now on, and has that taken over.
func (q *Inbox) takeUp() (*scribe, error) {
	w := &scribe{inbox: q, trouble: trouble{log: q.store.trouble.log}}
	w.journal.path = q.store.path
	var applied uint64
	err := q.store.update(func(tx *bolt.Tx) (err error) {
		if w.journal.id, err = makeInbox(tx); err != nil {
			return err
		}
		b, err := q.openBox(tx)
		if err != nil {
			return err
		}
		applied, w.place = b.totals.applied, b.letters.Sequence()
		return nil
	})
	if err != nil {
		return nil, err
	}
	latest := -1 // the file of what was read before
	err = w.journal.read(applied, func(file int, e entry) error {
		ops, err := decodeOps(bytes.Clone(e.payload))
		if err != nil {
			return err
		}
		for _, o := range ops {
			w.place = max(w.place, o.place)
		}
		if !q.current.empty() && file != latest {
			q.sealed, q.current = q.current, fresh{}
		}
		latest = file
		q.current.add(e.number, ops)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if n := q.sealed.ops + q.current.ops; n > 0 {
		q.log.Info("the program was not stopped the last time: what the journal has is being taken over", "changes", n)
	}
	q.first, w.applied, w.hurry = w.place, applied, true
	return w, nil
}

// Close takes over what is in the journal and ends what the Inbox does by itself. After an error the journal has the rest,
// for the next start. It may be called again.
func (q *Inbox) Close() error {
	q.closing.Do(func() {
		q.putting.Lock()
		q.ended = true
		q.putting.Unlock()
		close(q.quit)
		q.running.Wait()
		close(q.closed)
	})
	<-q.closed
	return q.err
}

// update changes the inbox, as Store.update does. change may be called again.
func (q *Inbox) update(change func(*box) error) error {
	return q.store.update(func(tx *bolt.Tx) error {
		b, err := q.openBox(tx)
		if err != nil {
			return err
		}
		if err := change(b); err != nil {
			return err
		}
		return b.close()
	})
}

// view reads the inbox, without what is in the journal alone.
func (q *Inbox) view(read func(*box) error) error {
	return q.store.view(func(tx *bolt.Tx) error {
		b, err := q.openBox(tx)
		if err != nil {
			return err
		}
		return read(b)
	})
}

// Last implements hub.Inbox.
func (q *Inbox) Last() uint64 { return q.first }

// Put implements hub.Inbox. The message is read before it returns.
func (q *Inbox) Put(d hub.Deposit, stored func(hub.Deposited)) {
	o := newPut(d, q.now())
	o.stored = stored
	switch {
	case len(o.users) > maxAddressees:
		stored(hub.Deposited{Err: hub.ErrTooManyUsers})
		return
	case letterSize(len(o.letter), len(o.users)) > min(uint64(q.MaxBytes), maxEntry/2):
		stored(hub.Deposited{Err: hub.ErrTooMuch})
		return
	}
	q.putting.RLock()
	defer q.putting.RUnlock()
	if q.ended {
		stored(hub.Deposited{Err: ErrClosed})
		return
	}
	q.puts <- o // the scribe takes it: it goes on until nobody puts any more
}

// Next implements hub.Inbox. What has been confirmed is not there any more, though it may still be in the file.
func (q *Inbox) Next(uid string, after uint64, messages, bytes int) ([]hub.Letter, error) {
	// First what is in the journal alone, since it moves from there to the file.
	late, arrived := q.fresh(uid)
	p := page{after: after, messages: messages, bytes: bytes, now: millis(q.now()), arrived: arrived}
	err := q.view(func(b *box) error {
		for !p.full {
			places := b.of(uid, p.after, messages+len(arrived))
			for _, place := range places {
				if err := p.add(place, b.letters.Get(placeKey(place))); err != nil {
					return err
				}
			}
			if len(places) == 0 {
				return nil
			}
		}
		return nil
	})
	for _, o := range late {
		if err == nil {
			err = p.add(o.place, o.letter)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("reading stored messages: %w", err)
	}
	return p.letters, nil
}

// fresh returns what the journal has for a user, and which places the user has confirmed.
func (q *Inbox) fresh(uid string) (late []*op, arrived []uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	late = slices.Concat(q.sealed.letters[uid], q.current.letters[uid])
	arrived = slices.Concat(q.sealed.gone[uid], q.current.gone[uid], q.flying.confirmed[uid], q.waiting.confirmed[uid])
	return late, arrived
}

// page collects letters in the order of their places.
type page struct {
	after           uint64 // what is not behind it has been looked at
	messages, bytes int    // that there is room for
	now             int64
	arrived         []uint64
	letters         []hub.Letter
	full            bool
}

// add adds a letter, unless it is not wanted.
func (p *page) add(place uint64, letter []byte) error {
	if p.full || place <= p.after {
		return nil
	}
	p.after = place
	expires, err := letterExpires(letter)
	if err != nil || expires <= p.now || slices.Contains(p.arrived, place) {
		return err
	}
	m, _, err := decodeLetter(slices.Clone(letter))
	if err != nil {
		return err
	}
	size := len(m.Event)
	for _, a := range m.Args {
		size += len(a)
	}
	for _, a := range m.Attachments {
		size += len(a)
	}
	if p.bytes -= size; len(p.letters) == p.messages || p.bytes < 0 && len(p.letters) > 0 {
		p.full = true
		return nil
	}
	p.letters = append(p.letters, hub.Letter{Place: place, Message: m})
	return nil
}

// InboxStats is what an Inbox holds, and what has become of messages since the file was made.
type InboxStats struct {
	Messages uint64 // that somebody waits for
	Waiting  uint64 // the same, counted for each user
	Bytes    uint64 // that they take, about
	// Confirmed, Expired and Evicted are fates, counted for each user.
	Confirmed, Expired, Evicted uint64
}

// Stats returns the figures of a moment ago.
func (q *Inbox) Stats() (st InboxStats, err error) {
	err = q.view(func(b *box) error {
		t := b.totals
		st = InboxStats{
			Messages: t.letters, Waiting: t.waiting, Bytes: t.bytes,
			Confirmed: t.confirmed, Expired: t.expired, Evicted: t.evicted,
		}
		return nil
	})
	if err != nil {
		return InboxStats{}, fmt.Errorf("reading the figures of the inbox: %w", err)
	}
	return st, nil
}
