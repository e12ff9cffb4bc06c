package jobs

import (
	"container/heap"
	"context"
	"hash/crc32"
	"strconv"
	"time"
)

// look makes the scheduler look again. It never blocks.
func (r *Runner) look() {
	select {
	case r.wake <- struct{}{}:
	default: // it is about to
	}
}

// schedule starts tries when they are due and there is room, until the Runner is closed and has nothing to do.
func (r *Runner) schedule(ctx context.Context) {
	defer close(r.stopped)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		wait, done := r.dispatch(ctx)
		if done {
			break
		}
		if wait > 0 {
			timer.Reset(wait)
		} else {
			timer.Stop()
		}
		select {
		case <-r.wake:
		case <-timer.C:
		}
	}
	r.trying.Wait()
}

// dispatch starts what is due. It returns how long until more is, 0 if only a call of look can change anything.
func (r *Runner) dispatch(ctx context.Context) (wait time.Duration, done bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.halted {
		return 0, r.stats.Running == 0 && r.adding == 0
	}
	now := time.Since(r.start)
	for len(r.waiting) > 0 && r.stats.Running < r.opts.Concurrency {
		l := r.waiting[0]
		if d := l.jobs[0].due - now; d > 0 {
			return d, false
		}
		heap.Pop(&r.waiting)
		r.stats.Running++
		first, ids := l.jobs[0], l.ids(l.take(r.batchMax(), now))
		r.trying.Go(func() { r.try(ctx, l, first, ids) })
	}
	return 0, r.closing && r.stats.Running == 0 && r.adding == 0 && len(r.waiting) == 0
}

// batchMax is how many jobs may be tried together.
func (r *Runner) batchMax() int {
	if r.opts.Batch == nil {
		return 1
	}
	return r.opts.Batch.Max
}

// lineOf names the line of a key. It is the same after a restart.
func (r *Runner) lineOf(key string) string {
	if r.opts.Batch == nil {
		return key
	}
	lines := orDefault(r.opts.Batch.Lines, r.opts.Concurrency)
	return strconv.Itoa(int(crc32.ChecksumIEEE([]byte(key)) % uint32(lines)))
}

// file puts a job at the end of its line. The caller holds mu.
func (r *Runner) file(job Job) {
	e := entry{id: job.ID, due: job.Due.Sub(r.start)}
	key := r.lineOf(job.Key)
	if key != "" {
		if l, ok := r.lines[key]; ok {
			l.jobs = append(l.jobs, e)
			return
		}
	}
	l := &line{key: key, jobs: []entry{e}, tried: job.Attempts > 0}
	if key != "" {
		r.lines[key] = l
	}
	r.stats.Keys++
	r.enqueue(l, time.Since(r.start))
}

// enqueue puts a line that has jobs back among those that wait; except, in a Runner that is closing, when its
// first job is not to be tried any more. The caller holds mu.
func (r *Runner) enqueue(l *line, now time.Duration) {
	if r.closing {
		until := now
		if l.tried && r.horizon > now {
			until = r.horizon
		}
		if l.jobs[0].due > until {
			return
		}
	}
	heap.Push(&r.waiting, l)
}

// retryIn leaves the first jobs of a line where they are and lets them be tried again after a while.
func (r *Runner) retryIn(l *line, wait time.Duration) {
	r.mu.Lock()
	l.jobs[0].due = time.Since(r.start) + wait
	l.tried = true
	r.mu.Unlock()
	r.release(l, 0, nil)
}

// release ends a try: the line's first n jobs are finished and go, and it waits for the next one. count, if not nil, adds
// to the counters.
func (r *Runner) release(l *line, n int, count func(*Stats)) {
	r.mu.Lock()
	r.stats.Running--
	if count != nil {
		count(&r.stats)
	}
	if n > 0 {
		r.stats.Waiting -= n
		l.jobs = l.jobs[n:]
		l.tried = false
	}
	if len(l.jobs) > 0 {
		r.enqueue(l, time.Since(r.start))
	} else {
		r.stats.Keys--
		if l.key != "" {
			delete(r.lines, l.key)
		}
	}
	r.mu.Unlock()
	r.look()
}
