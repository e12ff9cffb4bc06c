package wsconn

import (
	"cmp"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// relief is the part of a full Budget that is freed at once: 1/relief. Who looks for the largest looks at all that waits.
	relief = 8
	// reportInterval is how often evictions are logged at most.
	reportInterval = time.Minute
)

// errEvicted is why a connection ends that nobody else sees to.
var errEvicted = errors.New("too much waits for all connections, and most for this one")

// An Evictee is who ends when there is too much in a [Budget], and most of it his. A [Handler] may implement it in addition,
// to see to its end; without it the connection is closed at once.
type Evictee interface {
	// Evict ends the connection. When it returns next to nothing waits for it any more; but it may have ended before. It is
	// called without any lock, and must not wait.
	Evict()
}

// BudgetOptions configures a Budget.
type BudgetOptions struct {
	// Bytes is how much may wait. Zero means that it is only counted.
	Bytes int64
	// Step is how many bytes more or less have to wait until [Budget.Moved] tells. Zero means that it does not.
	Step int64
	// Logger is told of evictions, once a minute. Nil means nobody.
	Logger *slog.Logger
}

// Budget counts what waits for all connections that share it, and bounds it: when it is more, those for which most waits are
// evicted, until an eighth of the bound is free. A frame that waits for several connections counts for each, though it is in
// memory once; and as a whole until its last byte is written, since it is in memory until then. Nothing is counted for a connection
// to which everything can be written at once. The methods may be called concurrently; those of a nil Budget do nothing.
type Budget struct {
	// static
	o     BudgetOptions
	moved chan struct{} // has room for one

	told    atomic.Int64 // the total at which moved was last sent to
	total   atomic.Int64
	evicted atomic.Uint64
	busy    atomic.Bool // somebody evicts
	work    sync.WaitGroup

	mu     sync.Mutex // the last one to be taken, after those of connections
	first  *Account   // every account with something in it
	closed bool
	news   news
	timer  *time.Timer // not nil: something was logged in this interval
}

// Account is what waits for one connection. Its zero value is ready for use. Calls of [Budget.Charge] for it must not overlap.
type Account struct {
	bytes atomic.Int64

	// guarded by the Budget's mu
	evictee    Evictee // nil: not listed
	prev, next *Account
}

// news is what is to be logged.
type news struct {
	clients int
	bytes   int64
}

// BudgetStats are the figures of a Budget.
type BudgetStats struct {
	Bytes   int64  // that wait now
	Limit   int64  // 0: there is none
	Evicted uint64 // connections that were ended
}

// NewBudget returns an empty Budget, which must be closed in the end.
func NewBudget(o BudgetOptions) (*Budget, error) {
	if o.Bytes < 0 || o.Step < 0 {
		return nil, errors.New("budget of queued bytes: negative limit or step")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Budget{o: o, moved: make(chan struct{}, 1)}, nil
}

// Moved is sent to when what waits has become a step more or less than it was the last time; one that is not received stands for
// all that follow.
func (b *Budget) Moved() <-chan struct{} { return b.moved }

// Stats returns the figures.
func (b *Budget) Stats() BudgetStats {
	return BudgetStats{Bytes: b.total.Load(), Limit: b.o.Bytes, Evicted: b.evicted.Load()}
}

// Close waits for an eviction under way. From then on nobody is evicted.
func (b *Budget) Close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.work.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.timer != nil {
		b.timer.Stop()
		b.timer = nil
		b.logLocked()
	}
}

// Charge says that now so many bytes wait for the connection of a, whose end e sees to. It may be called with the locks of the
// connection held.
func (b *Budget) Charge(a *Account, e Evictee, bytes int) {
	if b == nil {
		return
	}
	before, now := a.bytes.Load(), int64(bytes)
	switch {
	case before == now:
		return
	case before == 0:
		b.list(a, e)
	}
	// The total is never more than what the accounts in the list have.
	if now > before {
		a.bytes.Store(now)
		total := b.total.Add(now - before)
		b.tell(total)
		if b.o.Bytes > 0 && total > b.o.Bytes {
			b.relieve()
		}
		return
	}
	b.tell(b.total.Add(now - before))
	a.bytes.Store(now)
	if now == 0 {
		b.unlist(a)
	}
}

// tell tells of the total, if it has moved by a step.
func (b *Budget) tell(total int64) {
	told := b.told.Load()
	if b.o.Step == 0 || total < told+b.o.Step && total > told-b.o.Step || !b.told.CompareAndSwap(told, total) {
		return
	}
	select {
	case b.moved <- struct{}{}:
	default: // who receives it will look at the total
	}
}

func (b *Budget) list(a *Account, e Evictee) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a.evictee = e
	if a.next = b.first; a.next != nil {
		a.next.prev = a
	}
	b.first = a
}

func (b *Budget) unlist(a *Account) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if a.prev != nil {
		a.prev.next = a.next
	} else {
		b.first = a.next
	}
	if a.next != nil {
		a.next.prev = a.prev
	}
	a.evictee, a.prev, a.next = nil, nil, nil
}

// relieve has somebody evict, unless somebody does.
func (b *Budget) relieve() {
	if b.busy.Load() || !b.busy.CompareAndSwap(false, true) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed { // otherwise everybody ends anyway
		b.work.Go(b.evict)
	}
}

// evict ends connections until there is not too much any more.
func (b *Budget) evict() {
	for {
		for b.total.Load() > b.o.Bytes {
			b.evictLargest()
		}
		b.busy.Store(false)
		if b.total.Load() <= b.o.Bytes || !b.busy.CompareAndSwap(false, true) {
			return
		}
	}
}

// debt is an account as it was when somebody looked.
type debt struct {
	account *Account
	evictee Evictee
	bytes   int64
}

// evictLargest ends connections, that for which most waits first, until an eighth is free.
func (b *Budget) evictLargest() {
	var ended news
	for _, d := range b.debts() {
		if b.total.Load() <= b.o.Bytes-b.o.Bytes/relief {
			break
		}
		if !b.stands(d) {
			continue
		}
		ended.clients++
		ended.bytes += d.bytes
		b.evicted.Add(1)
		d.evictee.Evict()
	}
	b.report(ended)
}

// debts returns what waits for each connection, the most first.
func (b *Budget) debts() []debt {
	b.mu.Lock()
	var list []debt
	for a := b.first; a != nil; a = a.next {
		list = append(list, debt{a, a.evictee, a.bytes.Load()})
	}
	b.mu.Unlock()
	slices.SortFunc(list, func(x, y debt) int { return cmp.Compare(y.bytes, x.bytes) })
	return list
}

// stands reports whether at least half of a debt has not been taken by the client since.
func (b *Budget) stands(d debt) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return d.account.evictee == d.evictee && d.account.bytes.Load() >= max(d.bytes/2, 1)
}

// report logs who was evicted: at once what is the first in a minute, and the rest at its end.
func (b *Budget) report(n news) {
	if n.clients == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.news.clients += n.clients
	b.news.bytes += n.bytes
	if b.timer == nil {
		b.logLocked()
		b.timer = time.AfterFunc(reportInterval, b.reportRest)
	}
}

func (b *Budget) reportRest() {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.timer == nil: // closed meanwhile
	case b.news.clients == 0:
		b.timer = nil
	default:
		b.logLocked()
		b.timer.Reset(reportInterval)
	}
}

func (b *Budget) logLocked() {
	if b.news.clients == 0 {
		return
	}
	b.o.Logger.Warn("closed the clients that were furthest behind, since too much waited for all together (setting `limits.queue_total`)",
		"clients", b.news.clients, "bytes", b.news.bytes, "limit", b.o.Bytes, "closed_in_all", b.evicted.Load())
	b.news = news{}
}
