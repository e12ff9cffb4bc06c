package schedule

import (
	"container/heap"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

const (
	// maxGroup is how many changes, or runs, are stored together.
	maxGroup = 256
	// maxTurn is how long runs are made before changes have their turn.
	maxTurn = 100 * time.Millisecond
	// longestSleep is how soon it is noticed that the clock was set.
	longestSleep = 30 * time.Second
	// firstPause is how long after a failure a run is tried again; then twice as long, up to longestSleep. saveAgain is
	// how soon it is tried to store runs that could not be.
	firstPause = time.Second
	saveAgain  = time.Second
)

// request is a change that a caller waits for.
type request struct {
	id    string
	runs  int
	apply func(now time.Time, old *entry) (*entry, error)

	state State
	err   error
	done  chan struct{} // closed when state and err are there
}

// change makes a change and returns the schedule as it is then; as it was, if there is none any more.
func (b *Book) change(ctx context.Context, id string, runs int, apply func(time.Time, *entry) (*entry, error)) (State, error) {
	r := &request{id: id, runs: runs, apply: apply, done: make(chan struct{})}
	select {
	case b.requests <- r:
	case <-b.ended:
		return State{}, ErrClosed
	case <-ctx.Done():
		return State{}, ctx.Err()
	}
	select {
	case <-r.done:
		return r.state, r.err
	case <-ctx.Done():
		return State{}, ctx.Err()
	case <-b.ended:
	}
	select { // it may have been among the last
	case <-r.done:
		return r.state, r.err
	default:
		return State{}, ErrClosed
	}
}

// clock is the time without its monotonic part: runs are due by the clock on the wall.
func clock() time.Time { return time.Now().UTC().Round(0) }

// run makes pushes and changes until Close.
func (b *Book) run() {
	defer close(b.ended)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	b.takeUp(clock())
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-b.quit:
			b.settle()
			return
		case r := <-b.requests:
			b.serve(b.gather(r))
		case <-timer.C:
		}
		b.settle()
		timer.Reset(b.fire(ctx))
	}
}

// takeUp finds when the schedules that there are already are due.
func (b *Book) takeUp(now time.Time) {
	skipped := map[string]*entry{}
	for id, e := range b.entries {
		switch missed := e.Next.Before(now.Add(-b.opts.Handover)); {
		case e.Paused:
		case missed && e.plan.skip:
			skipped[id] = nil
		case missed:
			b.due = append(b.due, dueRun{at: now.Add(b.opts.Grace), entry: e})
		default:
			b.due = append(b.due, dueRun{at: e.Next, entry: e})
		}
	}
	heap.Init(&b.due)
	if len(skipped) > 0 {
		b.log.Info("pushes whose time came while the program did not run are left out, as their schedules say", "schedules", len(skipped))
		b.note(skipped)
	}
}

// gather returns r and what else waits.
func (b *Book) gather(r *request) []*request {
	group := []*request{r}
	for len(group) < maxGroup {
		select {
		case next := <-b.requests:
			group = append(group, next)
		default:
			return group
		}
	}
	return group
}

// serve makes the changes of a group, and stores them together.
func (b *Book) serve(group []*request) {
	now := clock()
	changed := make(map[string]*entry, len(group))
	count, size := len(b.entries), b.bytes
	for _, r := range group {
		old, is := changed[r.id]
		if !is {
			old = b.entries[r.id]
		}
		made, err := r.apply(now, old)
		if err != nil {
			r.err = err
			continue
		}
		n, s := 0, int64(0)
		if made != nil {
			n, s = n+1, s+made.size()
		}
		if old != nil {
			n, s = n-1, s-old.size()
		}
		if n > 0 && count+n > b.opts.Max || s > 0 && size+s > b.opts.MaxBytes {
			r.err = ErrFull
			continue
		}
		count, size = count+n, size+s
		changed[r.id] = made
		if made != nil {
			r.state = made.state(r.runs)
		} else if old != nil {
			r.state = old.state(0)
		}
	}
	if err := b.save(changed); err != nil {
		for _, r := range group {
			if r.err == nil {
				r.state, r.err = State{}, fmt.Errorf("%w: %w", ErrStore, err)
			}
		}
	} else {
		b.adopt(changed)
	}
	for _, r := range group {
		close(r.done)
	}
}

// save stores changes, and with them what could not be stored before.
func (b *Book) save(changed map[string]*entry) error {
	if b.opts.Keeper == nil {
		clear(b.unsaved)
	}
	if len(changed)+len(b.unsaved) == 0 || b.opts.Keeper == nil {
		return nil
	}
	all := maps.Clone(b.unsaved)
	maps.Copy(all, changed)
	records := make(map[string][]byte, len(all))
	for id, e := range all {
		record, err := e.encode()
		if err != nil {
			return err
		}
		records[id] = record
	}
	if err := b.opts.Keeper.Save(records); err != nil {
		return err
	}
	clear(b.unsaved)
	return nil
}

// adopt lets everybody see changes.
func (b *Book) adopt(changed map[string]*entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	gone := false
	for id, e := range changed {
		old := b.entries[id]
		if old == e {
			continue
		}
		if old != nil {
			b.bytes -= old.size()
		}
		if e == nil {
			delete(b.entries, id)
			gone = true
			continue
		}
		if old == nil {
			i, _ := slices.BinarySearch(b.order, id)
			b.order = slices.Insert(b.order, i, id)
		}
		b.entries[id] = e
		b.bytes += e.size()
		if !e.Paused {
			heap.Push(&b.due, dueRun{at: e.Next, entry: e})
		}
	}
	if gone {
		b.order = slices.DeleteFunc(b.order, func(id string) bool { e, is := changed[id]; return is && e == nil })
	}
	if len(b.due) > 2*len(b.entries)+maxGroup { // most are of schedules that have been replaced
		b.due = slices.DeleteFunc(b.due, func(d dueRun) bool { return b.entries[d.entry.id] != d.entry })
		heap.Init(&b.due)
	}
}

// note adopts changes that have happened, whether they can be stored or not.
func (b *Book) note(changed map[string]*entry) {
	maps.Copy(b.unsaved, changed)
	b.adopt(changed)
	b.settle()
}

// settle stores what could not be stored before.
func (b *Book) settle() {
	if err := b.save(nil); err != nil {
		b.log.Debug("runs of schedules could not be stored, and will be", "runs", len(b.unsaved), "error", err)
	}
}

// fire makes pushes that are due, up to maxGroup of them, and returns how long until there is more to do.
func (b *Book) fire(ctx context.Context) time.Duration {
	var begun []begunRun
	seen := map[string]bool{}
	began, now := time.Now(), clock()
	for len(b.due) > 0 && len(begun) < maxGroup && !b.closed() && time.Since(began) < maxTurn && !b.due[0].at.After(now) {
		d, _ := heap.Pop(&b.due).(dueRun)
		e := d.entry
		if b.entries[e.id] != e || seen[e.id] { // replaced, removed or paused
			continue
		}
		seen[e.id] = true
		begun = append(begun, begunRun{d, b.push(ctx, e.runID(), e.Spec.Push)})
	}
	made := map[string]*entry{}
	for _, one := range begun {
		retry, err := one.end()
		if err != nil && retry {
			heap.Push(&b.due, one.again(now))
			continue
		}
		if err != nil {
			b.log.Warn("the push of a schedule was refused", "schedule", one.entry.id, "error", err)
		}
		made[one.entry.id] = one.entry.after(now, err)
	}
	if len(made) > 0 {
		b.note(made)
	}
	return b.sleep()
}

func (b *Book) closed() bool {
	select {
	case <-b.quit:
		return true
	default:
		return false
	}
}

// sleep is how long there is nothing to do.
func (b *Book) sleep() time.Duration {
	wait := longestSleep
	if len(b.unsaved) > 0 {
		wait = saveAgain
	}
	if len(b.due) > 0 {
		wait = min(wait, max(0, b.due[0].at.Sub(clock())))
	}
	return wait
}

// dueRun says when the next run of a schedule is to be tried.
type dueRun struct {
	at    time.Time
	entry *entry
	pause time.Duration // after the latest failure
}

// begunRun is a run whose push has been begun.
type begunRun struct {
	dueRun
	end func() (retry bool, err error)
}

// again is when a run that has failed is tried again.
func (d dueRun) again(now time.Time) dueRun {
	d.pause = min(max(firstPause, 2*d.pause), longestSleep)
	d.at = now.Add(d.pause)
	return d
}

// dueHeap has the earliest run first; of those to be tried at one time, the one whose time came first.
type dueHeap []dueRun

func (h dueHeap) Len() int      { return len(h) }
func (h dueHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *dueHeap) Push(x any)   { *h = append(*h, x.(dueRun)) }

func (h dueHeap) Less(i, j int) bool {
	if order := h[i].at.Compare(h[j].at); order != 0 {
		return order < 0
	}
	return h[i].entry.Next.Before(h[j].entry.Next)
}

func (h *dueHeap) Pop() any {
	last := len(*h) - 1
	d := (*h)[last]
	(*h)[last] = dueRun{}
	*h = (*h)[:last]
	return d
}
