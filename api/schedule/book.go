package schedule

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// Errors of a Book.
var (
	// ErrNotFound says that there is no schedule of that id, or none that the caller may see.
	ErrNotFound = errors.New("no such schedule")
	// ErrTaken says that the id is that of a schedule that the caller may not see.
	ErrTaken = errors.New("the id is taken")
	// ErrFull says that there are as many schedules, or as many bytes of them, as there may be.
	ErrFull = errors.New("there are too many schedules")
	// ErrStore says that a change could not be stored, and was not made.
	ErrStore = errors.New("the schedule could not be stored")
	// ErrClosed says that the Book is closed.
	ErrClosed = errors.New("schedules are closed")
)

// Keeper remembers schedules.
type Keeper interface {
	// Save stores records by their ids, all or none; nil removes one. It returns when that will survive a crash.
	Save(records map[string][]byte) error
	// Each calls fn for every record until fn returns an error, which it passes on. The record is valid until fn returns.
	Each(fn func(id string, record []byte) error) error
}

// Push makes the push of a schedule. The id is the same when it is made again, because it has failed or the program was
// killed before it could note that it was made. Pushes are made in the order in which they are begun; end waits for that.
// After an error nobody has got it; retry says whether it may help to try again.
type Push func(ctx context.Context, id string, push json.RawMessage) (end func() (retry bool, err error))

// May says whether somebody may see and change schedules with such a push.
type May func(push json.RawMessage) bool

// Options says how a Book works.
type Options struct {
	// Keeper remembers the schedules; nil means that they end with the program. The Book takes up what it finds there.
	Keeper Keeper
	// Max is how many schedules there may be; 0 means 100,000. MaxBytes is how many bytes their ids, pushes and
	// times may have together; 0 means 128 MiB.
	Max      int
	MaxBytes int64
	// Grace is how long after Start pushes are made that were missed while the program did not run.
	Grace time.Duration
	// Handover is how long ago a run can have been due that was not missed, but is for this Book to make at once: another one
	// has made them until a moment ago.
	Handover time.Duration
	// Logger gets what no caller can be told. Nil means slog.Default.
	Logger *slog.Logger
}

// Book has schedules, and makes their pushes. One goroutine does that and makes every change, in turn; each is stored
// before anybody sees it. Make one with New, Start it, and Close it.
type Book struct {
	// Static.
	opts     Options
	log      *slog.Logger
	requests chan *request
	quit     chan struct{} // closed by Close
	ended    chan struct{} // closed when there is no goroutine any more
	starting sync.Once
	closing  sync.Once

	// Owned by run.
	push    Push
	zones   zones
	due     dueHeap
	bytes   int64
	unsaved map[string]*entry // runs that were made, but could not be stored; nil: the schedule has ended

	mu      sync.RWMutex // guards what follows; run alone changes it
	entries map[string]*entry
	order   []string // their ids, sorted
}

// New returns a Book with the schedules of its Keeper.
func New(o Options) (*Book, error) {
	o.Max = cmp.Or(o.Max, 100_000)
	o.MaxBytes = cmp.Or(o.MaxBytes, 128<<20)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Max < 0 || o.MaxBytes < 0 || o.Grace < 0 || o.Handover < 0 {
		return nil, errors.New("schedule: a limit or a time is negative")
	}
	b := &Book{
		opts: o, log: o.Logger, requests: make(chan *request, maxGroup), quit: make(chan struct{}), ended: make(chan struct{}),
		zones: zones{}, unsaved: map[string]*entry{}, entries: map[string]*entry{},
	}
	if o.Keeper == nil {
		return b, nil
	}
	err := o.Keeper.Each(func(id string, record []byte) error {
		e, err := decode(id, record, b.zones)
		if err != nil {
			return err
		}
		b.entries[id] = e
		b.order = append(b.order, id)
		b.bytes += e.size()
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("taking up the schedules: %w", err)
	}
	slices.Sort(b.order)
	return b, nil
}

// Start begins to make pushes, and changes.
func (b *Book) Start(push Push) {
	b.starting.Do(func() {
		b.push = push
		go b.run()
	})
}

// Close makes no further pushes and returns when what was under way is stored, or ctx ends.
func (b *Book) Close(ctx context.Context) error {
	b.closing.Do(func() { close(b.quit) })
	b.starting.Do(func() { close(b.ended) }) // it never ran
	select {
	case <-b.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("closing the schedules: %w", ctx.Err())
	}
}

// Len returns how many schedules there are.
func (b *Book) Len() int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return len(b.entries)
}

// Get returns a schedule with up to so many next runs, or ErrNotFound.
func (b *Book) Get(id string, runs int, may May) (State, error) {
	b.mu.RLock()
	e := b.entries[id]
	b.mu.RUnlock()
	if e == nil || !may(e.Spec.Push) {
		return State{}, ErrNotFound
	}
	return e.state(runs), nil
}

// List returns up to limit schedules that somebody may see, each with up to so many next runs: by id, those behind after;
// and whether there are more.
func (b *Book) List(after string, limit, runs int, may May) (states []State, more bool) {
	const page = 1000
	var found []*entry
	for {
		b.mu.RLock()
		i, there := slices.BinarySearch(b.order, after)
		if there {
			i++
		}
		found = found[:0]
		for _, id := range b.order[i:min(i+page, len(b.order))] {
			found = append(found, b.entries[id])
		}
		b.mu.RUnlock()
		for _, e := range found {
			if after = e.id; !may(e.Spec.Push) {
				continue
			}
			if len(states) == limit {
				return states, true
			}
			states = append(states, e.state(runs))
		}
		if len(found) < page {
			return states, false
		}
	}
}

// Put makes a schedule, in the place of the one of that id if there is one; without an id it gets a new one. It fails
// with a *FieldError, ErrTaken, ErrFull, ErrStore, ErrClosed or the error of ctx; with the last two the schedule may have
// been made nevertheless.
func (b *Book) Put(ctx context.Context, id string, spec Spec, runs int, may May) (State, error) {
	if id == "" {
		id = strings.ToLower(rand.Text())
	}
	spec.Push = slices.Clone(spec.Push)
	return b.change(ctx, id, runs, func(now time.Time, old *entry) (*entry, error) {
		if old != nil && !may(old.Spec.Push) {
			return nil, ErrTaken
		}
		now = now.Truncate(time.Millisecond)
		plan, err := spec.plan(now, b.zones)
		if err != nil {
			return nil, err
		}
		next, err := plan.first(now)
		if err != nil {
			return nil, err
		}
		return &entry{id: id, plan: plan, record: record{Spec: spec, Made: now, Next: next}}, nil
	})
}

// Remove ends a schedule and returns what it was. It fails with ErrNotFound, and as Put does.
func (b *Book) Remove(ctx context.Context, id string, may May) (State, error) {
	return b.change(ctx, id, 0, func(_ time.Time, old *entry) (*entry, error) {
		if old == nil || !may(old.Spec.Push) {
			return nil, ErrNotFound
		}
		return nil, nil
	})
}

// Pause keeps a schedule from pushing until Resume. It fails as Remove does.
func (b *Book) Pause(ctx context.Context, id string, may May) (State, error) {
	return b.change(ctx, id, 0, func(_ time.Time, old *entry) (*entry, error) {
		if old == nil || !may(old.Spec.Push) {
			return nil, ErrNotFound
		}
		paused := *old
		paused.Paused = true
		return &paused, nil
	})
}

// Resume lets a schedule that was paused go on. What Every and Cron have missed is not made up for. A schedule that has
// nothing left to do ends: it is returned without next runs. It fails as Remove does.
func (b *Book) Resume(ctx context.Context, id string, runs int, may May) (State, error) {
	return b.change(ctx, id, runs, func(now time.Time, old *entry) (*entry, error) {
		switch {
		case old == nil || !may(old.Spec.Push):
			return nil, ErrNotFound
		case !old.Paused:
			return old, nil
		}
		return old.resumed(now), nil
	})
}
