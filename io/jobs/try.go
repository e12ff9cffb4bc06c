package jobs

import (
	"context"
	"crypto/rand"
	"errors"
	"time"
)

// storeRetry is how long after the Queue has failed it is asked again.
const storeRetry = 5 * time.Second

// try makes one attempt at the first jobs of a line, which are this goroutine's own until release.
func (r *Runner) try(ctx context.Context, l *line, first entry, ids []uint64) {
	if first.done {
		r.finish(l, ids)
		return
	}
	jobs, err := r.load(ids)
	if err != nil {
		r.trouble.failed("a stored job cannot be read", "job", ids[0], "error", err)
		r.retryIn(l, storeRetry)
		return
	}
	if len(jobs) == 0 {
		r.release(l, len(ids), func(s *Stats) { s.Parked += uint64(len(ids)); s.Forgotten += uint64(len(ids)) })
		return
	}
	if r.opts.Batch != nil && jobs[0].Batch == "" {
		if err := r.mark(l, jobs, len(ids)); err != nil {
			r.trouble.failed("a batch of jobs could not be stored, so it is not tried yet", "job", ids[0], "error", err)
			r.retryIn(l, storeRetry)
			return
		}
	}
	begun := time.Now()
	retry, err := r.handle(ctx, jobs)
	switch {
	case err == nil:
		r.noteTry(jobs, begun, nil)
		r.finish(l, ids)
	case ctx.Err() != nil: // it was we who broke it off
		r.release(l, 0, nil)
	default:
		r.failed(l, ids, jobs, begun, retry, err)
	}
}

// noteTry remembers what became of a try of jobs, whose Attempts count it if it failed.
func (r *Runner) noteTry(jobs []Job, begun time.Time, err error) {
	took := time.Since(begun)
	for i := range jobs {
		job := &jobs[i]
		one := Try{Key: job.Key, Payload: job.Payload, Begun: begun, Took: took, Attempt: job.Attempts, Last: !job.Parked.IsZero()}
		if err != nil {
			one.Error = err.Error()
		} else {
			one.Attempt++
		}
		r.tries.note(one)
	}
}

// load returns jobs from the Queue; those that are gone are left out.
func (r *Runner) load(ids []uint64) ([]Job, error) {
	jobs := make([]Job, 0, len(ids))
	for _, id := range ids {
		job, err := r.opts.Queue.Get(id)
		switch {
		case errors.Is(err, ErrNotFound):
			r.trouble.failed("a stored job is gone", "job", id, "error", err)
		case err != nil:
			return nil, err
		default:
			jobs = append(jobs, job)
		}
	}
	return jobs, nil
}

// mark makes the first jobs of a line a batch, before it is tried for the first time.
func (r *Runner) mark(l *line, jobs []Job, n int) error {
	jobs[0].Batch = "batch_" + rand.Text()
	for _, job := range jobs {
		jobs[0].BatchJobs = append(jobs[0].BatchJobs, job.ID)
	}
	if err := r.opts.Queue.Save(jobs[0]); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	l.jobs[0].batch = int32(n)
	return nil
}

// handle has jobs done.
func (r *Runner) handle(ctx context.Context, jobs []Job) (retry bool, err error) {
	if r.opts.Batch != nil {
		return r.opts.Batch.Handler(ctx, jobs[0].Batch, jobs)
	}
	return r.opts.Handler(ctx, jobs[0])
}

// finish removes jobs that are done. While the Queue cannot, they stay, and only their removal is tried again: the later
// jobs of the line must not overtake them, were they to be repeated after a crash.
func (r *Runner) finish(l *line, ids []uint64) {
	if err := r.opts.Queue.Remove(ids...); err != nil {
		r.trouble.failed("a job is done but could not be removed from the store, so it is repeated if the program ends before it can be",
			"job", ids[0], "error", err)
		r.mu.Lock()
		l.jobs[0].done, l.jobs[0].batch = true, int32(len(ids))
		r.mu.Unlock()
		r.retryIn(l, storeRetry)
		return
	}
	r.release(l, len(ids), func(s *Stats) { s.Done += uint64(len(ids)) })
}

// failed records a failed try of the jobs and says what comes next for them.
func (r *Runner) failed(l *line, ids []uint64, jobs []Job, begun time.Time, retry bool, err error) {
	now := time.Now()
	var expires time.Time // of the youngest, none of them is given up before
	never := false
	for _, job := range jobs {
		never = never || job.Expires.IsZero()
		if job.Expires.After(expires) {
			expires = job.Expires
		}
	}
	attempts := jobs[0].Attempts + 1
	last := !retry ||
		r.opts.MaxAttempts > 0 && attempts >= r.opts.MaxAttempts ||
		!never && !now.Before(expires)
	wait := r.retryWait(attempts, err)
	if left := expires.Sub(now); !never && wait > left {
		wait = left // one more try, at the last moment
	}
	for i := range jobs {
		job := &jobs[i]
		job.Attempts = attempts
		job.LastError = err.Error()
		if last {
			job.Parked, job.Batch, job.BatchJobs = now, "", nil
		} else {
			job.Due = now.Add(wait)
		}
	}
	r.noteTry(jobs, begun, err)
	if err := r.opts.Queue.Save(jobs...); err != nil {
		r.trouble.failed("the failure of a job could not be stored, so it may be repeated after a restart", "job", ids[0], "error", err)
	}
	if r.opts.Failed != nil {
		for _, job := range jobs {
			r.opts.Failed(job, err)
		}
	}
	if last {
		r.bury(jobs)
		r.release(l, len(ids), func(s *Stats) { s.Failed++; s.Parked += uint64(len(ids)) })
		return
	}
	r.mu.Lock()
	r.stats.Failed++
	r.mu.Unlock()
	r.retryIn(l, wait)
}
