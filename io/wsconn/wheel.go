package wsconn

import (
	"math"
	"math/bits"
	"sync"
	"time"
)

const (
	defaultResolution = 25 * time.Millisecond
	defaultSlots      = 2048
)

// Timed is something that wants to be called at a time.
type Timed interface {
	// Tick is called by the wheel's goroutine, without any lock; it should be
	// quick, as all other timers wait for it. It returns when it wants to be
	// called next, zero for never. If the timer was Set or stopped during the
	// call, that counts instead.
	Tick(now time.Time) (next time.Time)
}

// Timer is a place in a Wheel. It is embedded in its owner, and it is all that
// a scheduled owner costs: 40 bytes, nothing else is allocated. The zero value
// is a stopped timer. It must not be copied while it is set.
type Timer struct {
	// guarded by the wheel's mu
	next, prev *Timer // nil: in no list
	owner      Timed
	at         int64 // due tick; firing while Tick runs
}

// firing is Timer.at while Tick runs, until Set or Stop changes it.
const firing = math.MinInt64

// Wheel is a hashed timing wheel: any number of timers with one goroutine, which
// sleeps while none is due. A timer is never early, and late by up to one
// resolution. Its methods may be called concurrently.
type Wheel struct {
	// static
	resolution time.Duration
	start      time.Time
	mask       int64
	wake       chan struct{} // an earlier timer was set
	quit       chan struct{}
	done       chan struct{}

	// guarded by mu
	mu     sync.Mutex
	slots  []Timer  // heads of rings, by due tick modulo their number
	used   []uint64 // a bit per slot that may have timers
	due    Timer    // head of the ring of timers to fire now
	tick   int64    // last tick dealt with
	until  int64    // tick that the goroutine sleeps for; MaxInt64: any
	closed bool
}

// NewWheel starts a wheel. A resolution of zero means 25 ms, slots of zero 2048;
// slots is rounded up to a power of two, at least 64. Timers further away than
// resolution × slots (51 s by default) work too, at a small extra cost.
func NewWheel(resolution time.Duration, slots int) *Wheel {
	if resolution <= 0 {
		resolution = defaultResolution
	}
	if slots <= 0 {
		slots = defaultSlots
	}
	n := 1 << bits.Len(uint(max(slots, 64)-1))
	w := &Wheel{
		resolution: resolution,
		start:      time.Now(),
		mask:       int64(n - 1),
		wake:       make(chan struct{}, 1),
		quit:       make(chan struct{}),
		done:       make(chan struct{}),
		slots:      make([]Timer, n),
		used:       make([]uint64, n/64),
		until:      math.MaxInt64,
	}
	for i := range w.slots {
		w.slots[i].clear()
	}
	w.due.clear()
	go w.run()
	return w
}

// Set schedules owner's Tick for the given time, or soon if that has passed,
// instead of whatever t was set for. It does nothing after Close.
func (w *Wheel) Set(t *Timer, owner Timed, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unlink(t)
	w.file(t, owner, at)
}

// Stop takes t out of the wheel. A Tick that runs already is not waited for, but
// no other follows.
func (w *Wheel) Stop(t *Timer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unlink(t)
	t.owner, t.at = nil, 0
}

// Close stops the wheel and waits for a Tick that runs. It must not be called
// from a Tick. Timers still set never fire.
func (w *Wheel) Close() {
	w.mu.Lock()
	first := !w.closed
	w.closed = true
	w.mu.Unlock()
	if first {
		close(w.quit)
	}
	<-w.done
}

// file puts t, which is in no list, where it belongs.
func (w *Wheel) file(t *Timer, owner Timed, at time.Time) {
	if w.closed {
		t.owner, t.at = nil, 0
		return
	}
	wait := at.Sub(w.start)
	t.owner = owner
	t.at = int64(wait / w.resolution)
	if wait%w.resolution > 0 {
		t.at++ // never early
	}
	t.at = max(t.at, w.tick+1)
	slot := t.at & w.mask
	w.slots[slot].push(t)
	w.used[slot/64] |= 1 << (slot % 64)
	if t.at < w.until {
		w.until = t.at
		select {
		case w.wake <- struct{}{}:
		default: // it has been told
		}
	}
}

// unlink takes t out of the list it is in, if any.
func (w *Wheel) unlink(t *Timer) {
	if t.next == nil {
		return
	}
	t.prev.next, t.next.prev = t.next, t.prev
	t.prev, t.next = nil, nil
	if slot := t.at & w.mask; w.slots[slot].alone() {
		w.used[slot/64] &^= 1 << (slot % 64)
	}
}

// run sleeps until the next timer is due and fires it.
func (w *Wheel) run() {
	defer close(w.done)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-w.quit:
			return
		case <-w.wake:
		case <-timer.C:
		}
		now := time.Now()
		w.collect(int64(now.Sub(w.start) / w.resolution))
		for w.fire(now) {
		}
		if wait, ok := w.plan(); ok {
			timer.Reset(wait)
		} else {
			timer.Stop()
		}
	}
}

// collect moves every timer due by tick to the due ring.
func (w *Wheel) collect(tick int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.until = math.MinInt64 // awake: nobody needs to wake it
	last := min(tick, w.tick+w.mask+1)
	for at, ok := w.nextUsed(w.tick+1, last); ok; at, ok = w.nextUsed(at+1, last) {
		head := &w.slots[at&w.mask]
		for t := head.next; t != head; {
			next := t.next
			if t.at <= tick {
				w.unlink(t)
				w.due.push(t)
			}
			t = next
		}
	}
	w.tick = max(w.tick, tick)
}

// nextUsed finds the first tick from from to to whose slot may have timers.
// The range is at most one turn of the wheel.
func (w *Wheel) nextUsed(from, to int64) (int64, bool) {
	for from <= to {
		slot := from & w.mask
		if word := w.used[slot/64] >> (slot % 64); word != 0 {
			from += int64(bits.TrailingZeros64(word))
			return from, from <= to
		}
		from += 64 - slot%64
	}
	return 0, false
}

// fire calls one due timer. It reports whether there was one.
func (w *Wheel) fire(now time.Time) bool {
	w.mu.Lock()
	t := w.due.next
	if t == &w.due || w.closed {
		w.mu.Unlock()
		return false
	}
	w.unlink(t)
	t.at = firing
	owner := t.owner
	w.mu.Unlock()

	next := owner.Tick(now)

	w.mu.Lock()
	defer w.mu.Unlock()
	if t.at != firing {
		return true // set or stopped meanwhile
	}
	if next.IsZero() {
		t.owner, t.at = nil, 0
	} else {
		w.file(t, owner, next)
	}
	return true
}

// plan tells how long to sleep; false means until woken.
func (w *Wheel) plan() (time.Duration, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at, ok := w.nextUsed(w.tick+1, w.tick+w.mask+1)
	if !ok {
		w.until = math.MaxInt64
		return 0, false
	}
	w.until = at
	return time.Until(w.start.Add(time.Duration(at) * w.resolution)), true
}

// clear makes t the head of an empty ring.
func (t *Timer) clear() { t.next, t.prev = t, t }

// alone reports whether the ring of head t is empty.
func (t *Timer) alone() bool { return t.next == t }

// push puts n at the end of the ring of head t.
func (t *Timer) push(n *Timer) {
	n.next, n.prev = t, t.prev
	t.prev.next = n
	t.prev = n
}
