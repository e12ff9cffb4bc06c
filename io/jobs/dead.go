package jobs

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// bury adds jobs to the dead, and forgets the oldest of them if they are too many.
func (r *Runner) bury(jobs []Job) {
	r.mu.Lock()
	for _, job := range jobs {
		r.dead = append(r.dead, job.ID)
	}
	over := r.surplus()
	r.mu.Unlock()
	if len(over) == 0 {
		return
	}
	if err := r.opts.Queue.Remove(over...); err != nil {
		r.trouble.failed("old parked jobs could not be removed from the store", "job", over[0], "error", err)
	}
}

// surplus takes what is too many off the dead. The caller holds mu, or nobody else has the Runner yet.
func (r *Runner) surplus() []uint64 {
	n := len(r.dead) - r.opts.MaxDead
	if n <= 0 {
		return nil
	}
	over := r.dead[:n:n]
	r.dead = r.dead[n:]
	r.stats.Forgotten += uint64(n)
	return over
}

// Dead returns up to limit parked jobs whose ID is greater than after, by ID, and whether there are more.
func (r *Runner) Dead(after uint64, limit int) (jobs []Job, more bool, err error) {
	r.mu.Lock()
	ids := slices.Clone(r.dead)
	r.mu.Unlock()
	slices.Sort(ids)
	from, found := slices.BinarySearch(ids, after)
	if found {
		from++
	}
	for _, id := range ids[from:] {
		if len(jobs) == limit {
			return jobs, true, nil
		}
		job, err := r.opts.Queue.Get(id)
		switch {
		case errors.Is(err, ErrNotFound): // forgotten in the meantime
		case err != nil:
			return nil, false, fmt.Errorf("reading parked jobs: %w", err)
		default:
			jobs = append(jobs, job)
		}
	}
	return jobs, false, nil
}

// Replay puts parked jobs back, as if they were put now: at the end of the line of their key, behind newer ones. (After a
// restart, which orders jobs by ID, they are in front.) It returns how many it found; it fails, and changes nothing, with
// ErrFull, ErrClosed or the Queue's error.
func (r *Runner) Replay(ids ...uint64) (int, error) {
	ids, err := r.exhume(ids)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	jobs, err := r.load(ids)
	if err == nil {
		now := time.Now()
		for i := range jobs {
			job := &jobs[i]
			job.Parked, job.Attempts, job.Due, job.Expires, job.Created = time.Time{}, 0, now, time.Time{}, now
			if r.opts.MaxAge > 0 {
				job.Expires = now.Add(r.opts.MaxAge)
			}
		}
		err = r.opts.Queue.Save(jobs...)
	}
	r.mu.Lock()
	r.adding -= len(ids)
	if err != nil {
		r.stats.Waiting -= len(ids)
		r.dead = append(r.dead, ids...)
	} else {
		r.stats.Waiting -= len(ids) - len(jobs)
		r.stats.Replayed += uint64(len(jobs))
		for _, job := range jobs {
			r.file(job)
		}
	}
	r.mu.Unlock()
	r.look()
	if err != nil {
		return 0, fmt.Errorf("storing jobs that are put back: %w", err)
	}
	return len(jobs), nil
}

// exhume takes those of ids that are parked off the dead, and makes room for them among the others. They are sorted.
func (r *Runner) exhume(ids []uint64) ([]uint64, error) {
	wanted := make(map[uint64]bool, len(ids))
	for _, id := range ids {
		wanted[id] = true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []uint64
	for _, id := range r.dead {
		if wanted[id] {
			found = append(found, id)
		}
	}
	switch {
	case r.closing:
		return nil, ErrClosed
	case r.stats.Waiting+len(found) > r.opts.MaxJobs:
		return nil, ErrFull
	}
	r.dead = slices.DeleteFunc(r.dead, func(id uint64) bool { return wanted[id] })
	r.stats.Waiting += len(found)
	r.adding += len(found)
	slices.Sort(found)
	return found, nil
}
