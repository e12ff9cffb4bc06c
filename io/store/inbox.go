package store

import (
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
	// gatherFor is how long confirmations wait for others.
	gatherFor = 50 * time.Millisecond
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
	return nil
}

// Inbox keeps messages for users, and the receipts of these and other messages. It is a durable hub.Inbox. Make it with
// Store.Inbox, and Close it before the Store.
type Inbox struct {
	// Static.
	InboxOptions
	store   *Store
	log     *slog.Logger
	now     func() time.Time
	last    uint64 // the greatest place when it was opened
	kick    chan struct{}     // holds a token when something has gathered
	crowded chan struct{}     // holds a token when a lot has
	asked   chan chan<- error // who wants all that has gathered written
	quit    chan struct{}     // closed by Close
	ended   chan struct{}     // closed when run has ended
	closing sync.Once

	mu      sync.Mutex
	waiting gathering // guarded by mu: what is to be written
	flying  gathering // guarded by mu: what is being written
	dropped int       // guarded by mu: notes that there was no room for
}

var _ hub.Inbox = (*Inbox)(nil)

// Inbox returns the inbox of the store, of which there is one.
func (s *Store) Inbox(o InboxOptions) (*Inbox, error) {
	var last uint64
	err := o.complete()
	if err == nil {
		err = s.update(func(tx *bolt.Tx) (err error) {
			last, err = makeInbox(tx)
			return err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("opening the inbox: %w", err)
	}
	q := &Inbox{
		InboxOptions: o,
		store:        s,
		log:          s.log,
		now:          time.Now,
		last:         last,
		kick:         make(chan struct{}, 1),
		crowded:      make(chan struct{}, 1),
		asked:        make(chan chan<- error),
		quit:         make(chan struct{}),
		ended:        make(chan struct{}),
	}
	go q.run()
	return q, nil
}

// Close writes what has been confirmed and noted, unless that fails, in which case it is as if it had not been, and ends
// what the Inbox does by itself. It may be called again.
func (q *Inbox) Close() error {
	q.closing.Do(func() { close(q.quit) })
	<-q.ended
	q.mu.Lock()
	defer q.mu.Unlock()
	if n := q.waiting.size(); n > 0 {
		return fmt.Errorf("closing the inbox: %d confirmations and notes could not be written", n)
	}
	return nil
}

// update changes the inbox, as Store.update does. change may be called again.
func (q *Inbox) update(change func(*box) error) error {
	return q.store.update(func(tx *bolt.Tx) error { return q.apply(tx, change) })
}

func (q *Inbox) apply(tx *bolt.Tx, change func(*box) error) error {
	b, err := q.openBox(tx)
	if err != nil {
		return err
	}
	if err := change(b); err != nil {
		return err
	}
	return b.close()
}

// view reads the inbox.
func (q *Inbox) view(read func(*box) error) error {
	return q.store.view(func(tx *bolt.Tx) error {
		b, err := q.openBox(tx)
		if err != nil {
			return err
		}
		return read(b)
	})
}

// Put implements hub.Inbox. The message is read before it returns.
func (q *Inbox) Put(d hub.Deposit, stored func(hub.Deposited)) {
	letter := encodeLetter(d.Message, millis(d.Expires))
	users := slices.Sorted(slices.Values(d.Users))
	switch {
	case len(users) > maxAddressees:
		stored(hub.Deposited{Err: hub.ErrTooManyUsers})
		return
	case letterSize(len(letter), len(users)) > uint64(q.MaxBytes):
		stored(hub.Deposited{Err: hub.ErrTooMuch})
		return
	}
	first := receipt{
		Receipt: hub.Receipt{
			Note:   hub.Note{Scope: d.Scope, ID: d.Message.ID, Users: d.Online, Connections: d.Connections},
			Stored: len(users), Waiting: len(users),
		},
		pushed: millis(q.now()), expires: millis(d.Expires),
	}
	var done hub.Deposited
	q.store.enqueue(&write{
		apply: func(tx *bolt.Tx) error {
			return q.apply(tx, func(b *box) (err error) {
				done, err = q.deposit(b, first, letter, users)
				return err
			})
		},
		finish: func(err error) {
			if err != nil {
				done = hub.Deposited{Err: fmt.Errorf("storing a message: %w", err)}
			}
			stored(done)
		},
	})
}

// deposit keeps a letter, unless one of its id is known.
func (q *Inbox) deposit(b *box, first receipt, letter []byte, users []string) (hub.Deposited, error) {
	if place := b.find(first.ID, first.Scope); place != 0 {
		if err := b.turn(place); err != nil {
			return hub.Deposited{}, err
		}
		r := b.receipt
		return hub.Deposited{Known: true, Online: r.Users, Connections: r.Connections, Users: r.Stored}, nil
	}
	place, err := b.open(first)
	if err != nil {
		return hub.Deposited{}, err
	}
	if len(users) == 0 {
		return hub.Deposited{Place: place}, b.retire()
	}
	return hub.Deposited{Place: place}, b.put(place, letter, users, q.InboxOptions)
}

// Last implements hub.Inbox.
func (q *Inbox) Last() uint64 { return q.last }

// Next implements hub.Inbox. What has been confirmed is not there any more, though it may still be in the file.
func (q *Inbox) Next(uid string, after uint64, messages, bytes int) (letters []hub.Letter, err error) {
	arrived := q.confirmed(uid) // before the file is looked at, from which they disappear
	now := millis(q.now())
	err = q.view(func(b *box) error {
		for len(letters) < messages && bytes > 0 {
			places := b.of(uid, after, messages-len(letters)+len(arrived))
			if len(places) == 0 {
				return nil
			}
			for _, place := range places {
				after = place
				if slices.Contains(arrived, place) {
					continue
				}
				m, size, err := b.letter(place, now)
				if err != nil {
					return err
				}
				if m == nil {
					continue
				}
				if bytes -= size; len(letters) == messages || bytes < 0 && len(letters) > 0 {
					return nil
				}
				letters = append(letters, hub.Letter{Place: place, Message: m})
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading stored messages: %w", err)
	}
	return letters, nil
}

// letter returns a message and how many bytes it has; nil if it has expired.
func (b *box) letter(place uint64, now int64) (m *hub.Message, size int, err error) {
	v := b.letters.Get(placeKey(place))
	expires, err := letterExpires(v)
	if err != nil || expires <= now {
		return nil, 0, err
	}
	m, _, err = decodeLetter(slices.Clone(v))
	if err != nil {
		return nil, 0, err
	}
	size = len(m.Event)
	for _, a := range m.Args {
		size += len(a)
	}
	for _, a := range m.Attachments {
		size += len(a)
	}
	return m, size, nil
}

// InboxStats is what an Inbox holds, and what has become of messages since the file was made.
type InboxStats struct {
	Messages uint64 // that somebody waits for
	Waiting  uint64 // the same, counted for each user
	Bytes    uint64 // that they take, about
	// Confirmed, Expired and Evicted are fates, counted for each user.
	Confirmed, Expired, Evicted uint64
}

// Stats returns the present figures.
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
