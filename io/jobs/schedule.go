package jobs

import (
	"container/heap"
	"context"
	"errors"
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
	r.tries.Wait()
}

// dispatch starts what is due. It returns how long until more is, 0 if only a call of look can change anything.
func (r *Runner) dispatch(ctx context.Context) (wait time.Duration, done bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.halted {
		return 0, r.stats.Running == 0 && r.adding == 0
	}
	now := time.Now()
	for len(r.waiting) > 0 && r.stats.Running < r.opts.Concurrency {
		l := r.waiting[0]
		if d := l.jobs[0].due.Sub(now); d > 0 {
			return d, false
		}
		heap.Pop(&r.waiting)
		r.stats.Running++
		id := l.jobs[0].id
		r.tries.Go(func() { r.try(ctx, l, id) })
	}
	return 0, r.closing && r.stats.Running == 0 && r.adding == 0 && len(r.waiting) == 0
}

// file puts a job at the end of its line. The caller holds mu.
func (r *Runner) file(job Job) {
	e := entry{id: job.ID, due: job.Due}
	if job.Key != "" {
		if l, ok := r.lines[job.Key]; ok {
			l.jobs = append(l.jobs, e)
			return
		}
	}
	l := &line{key: job.Key, jobs: []entry{e}, tried: job.Attempts > 0}
	if job.Key != "" {
		r.lines[job.Key] = l
	}
	r.stats.Keys++
	r.enqueue(l, time.Now())
}

// enqueue puts a line that has jobs back among those that wait; except, in a Runner that is closing, when its
// first job is not to be tried any more. The caller holds mu.
func (r *Runner) enqueue(l *line, now time.Time) {
	if r.closing {
		until := now
		if l.tried && r.horizon.After(now) {
			until = r.horizon
		}
		if l.jobs[0].due.After(until) {
			return
		}
	}
	heap.Push(&r.waiting, l)
}

// try makes one attempt at the first job of a line, which is this goroutine's own until release.
func (r *Runner) try(ctx context.Context, l *line, id uint64) {
	job, err := r.opts.Queue.Get(id)
	if err != nil {
		r.opts.Logger.Error("a stored job cannot be read", "job", id, "key", l.key, "error", err)
		if errors.Is(err, ErrNotFound) {
			r.release(l, true, func(s *Stats) { s.Parked++; s.Forgotten++ })
			return
		}
		r.retryAt(l, time.Now().Add(r.opts.MaxBackoff))
		return
	}
	retry, err := r.opts.Handler(ctx, job)
	switch {
	case err == nil:
		if err := r.opts.Queue.Remove(id); err != nil {
			r.opts.Logger.Error("a job is done but could not be removed from the store, so it may be repeated after a restart",
				"job", id, "key", l.key, "error", err)
		}
		r.release(l, true, func(s *Stats) { s.Done++ })
	case ctx.Err() != nil: // it was we who broke it off
		r.release(l, false, nil)
	default:
		r.failed(l, job, retry, err)
	}
}

// failed records a failed try of a line's first job and says what comes next for it.
func (r *Runner) failed(l *line, job Job, retry bool, err error) {
	now := time.Now()
	job.Attempts++
	job.LastError = err.Error()
	last := !retry ||
		r.opts.MaxAttempts > 0 && job.Attempts >= r.opts.MaxAttempts ||
		!job.Expires.IsZero() && !now.Before(job.Expires)
	if last {
		job.Parked = now
	} else {
		job.Due = now.Add(r.retryWait(job.Attempts, err))
		if !job.Expires.IsZero() && job.Due.After(job.Expires) {
			job.Due = job.Expires // one more try, at the last moment
		}
	}
	if err := r.opts.Queue.Save(job); err != nil {
		r.opts.Logger.Error("the failure of a job could not be stored, so it may be repeated after a restart",
			"job", job.ID, "key", l.key, "error", err)
	}
	if r.opts.Failed != nil {
		r.opts.Failed(job, err)
	}
	if last {
		r.bury(job.ID)
		r.release(l, true, func(s *Stats) { s.Failed++; s.Parked++ })
		return
	}
	r.mu.Lock()
	r.stats.Failed++
	r.mu.Unlock()
	r.retryAt(l, job.Due)
}

// retryAt leaves the first job of a line where it is and lets it be tried again at a time.
func (r *Runner) retryAt(l *line, at time.Time) {
	r.mu.Lock()
	l.jobs[0].due = at
	l.tried = true
	r.mu.Unlock()
	r.release(l, false, nil)
}

// bury adds a job to the dead, and forgets the oldest of them if they are too many.
func (r *Runner) bury(id uint64) {
	r.mu.Lock()
	r.dead = append(r.dead, id)
	var over []uint64
	if n := len(r.dead) - r.opts.MaxDead; n > 0 {
		over = r.dead[:n:n]
		r.dead = r.dead[n:]
		r.stats.Forgotten += uint64(n)
	}
	r.mu.Unlock()
	for _, id := range over {
		if err := r.opts.Queue.Remove(id); err != nil {
			r.opts.Logger.Error("an old parked job could not be removed from the store", "job", id, "error", err)
		}
	}
}

// release ends a try: the line's first job goes if it is finished, and the line waits for its next one. count,
// if not nil, adds to the counters.
func (r *Runner) release(l *line, finished bool, count func(*Stats)) {
	r.mu.Lock()
	r.stats.Running--
	if count != nil {
		count(&r.stats)
	}
	if finished {
		r.stats.Waiting--
		l.jobs = l.jobs[1:]
		l.tried = false
	}
	if len(l.jobs) > 0 {
		r.enqueue(l, time.Now())
	} else {
		r.stats.Keys--
		if l.key != "" {
			delete(r.lines, l.key)
		}
	}
	r.mu.Unlock()
	r.look()
}
