package jobs

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Options says how a Runner works.
type Options struct {
	// Handler does the jobs. Required, unless Batch does them.
	Handler Handler
	// Batch, if not nil, has jobs done several at a time, instead of Handler.
	Batch *Batch
	// Queue remembers them; nil means a new Memory. The Runner takes up what it finds there. It does not close it.
	Queue Queue
	// Concurrency is how many jobs may be tried at a time, over all keys; 0 means 16.
	Concurrency int
	// MaxJobs is how many jobs may wait, running ones included; 0 means 100,000. Put refuses more.
	MaxJobs int
	// MaxDead is how many parked jobs are kept; 0 means 10,000. Beyond that the oldest is forgotten and counted.
	MaxDead int
	// MaxAttempts parks a job after so many failures; 0 means that only its age counts.
	MaxAttempts int
	// MaxAge is how long after it was first due a failing job is given up; 0 means never.
	MaxAge time.Duration
	// MinBackoff is the longest wait after a first failure; 0 means 1 s, or MaxBackoff if that is less. It doubles with
	// every further failure up to MaxBackoff; 0 means 5 min. Between half and all of it is waited, at random.
	MinBackoff, MaxBackoff time.Duration
	// MaxRetryAfter caps what a handler can ask for with After; 0 means 1 h.
	MaxRetryAfter time.Duration
	// Failed, if set, hears of every failed try, from the goroutine that made it. The job counts the try in Attempts;
	// it has the time of the next one in Due or, when it was given up, Parked set.
	Failed func(job Job, err error)
	// Logger is told when the Queue fails; nil means slog.Default.
	Logger *slog.Logger
}

// Batch says how jobs are done several at a time.
type Batch struct {
	// Handler does them. Required.
	Handler BatchHandler
	// Max is how many jobs a batch may have. Those that are due go together; nothing waits for a batch to be full.
	Max int
	// Lines is over how many lines the keys are spread; 0 means Options.Concurrency. A batch is of jobs of one line, which
	// has one batch tried at a time; the later jobs of the line wait while it fails.
	Lines int
}

func (o *Options) complete() error {
	if (o.Handler == nil) == (o.Batch == nil) || o.Batch != nil && o.Batch.Handler == nil {
		return errors.New("jobs: there has to be one handler")
	}
	if o.Batch != nil && (o.Batch.Max < 1 || o.Batch.Lines < 0) {
		return fmt.Errorf("jobs: batches of %d jobs in %d lines cannot be", o.Batch.Max, o.Batch.Lines)
	}
	for _, n := range []int{o.Concurrency, o.MaxJobs, o.MaxDead, o.MaxAttempts} {
		if n < 0 {
			return fmt.Errorf("jobs: a limit is %d, but cannot be negative", n)
		}
	}
	for _, d := range []time.Duration{o.MaxAge, o.MinBackoff, o.MaxBackoff, o.MaxRetryAfter} {
		if d < 0 {
			return fmt.Errorf("jobs: a time is %v, but cannot be negative", d)
		}
	}
	if o.Queue == nil {
		o.Queue = NewMemory()
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	o.Concurrency = orDefault(o.Concurrency, 16)
	o.MaxJobs = orDefault(o.MaxJobs, 100_000)
	o.MaxDead = orDefault(o.MaxDead, 10_000)
	o.MaxBackoff = max(orDefault(o.MaxBackoff, 5*time.Minute), o.MinBackoff)
	o.MinBackoff = orDefault(o.MinBackoff, min(time.Second, o.MaxBackoff))
	o.MaxRetryAfter = orDefault(o.MaxRetryAfter, time.Hour)
	return nil
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// Stats is what a Runner has at the moment, and what it has counted since New.
type Stats struct {
	Waiting int // jobs not done, those being tried included
	Running int // jobs being tried
	Keys    int // keys that have jobs, each job without a key counted as one; with Options.Batch, lines
	Dead    int // parked jobs kept

	Done        uint64 // jobs that succeeded
	Failed      uint64 // tries that failed
	Parked      uint64 // jobs given up
	Forgotten   uint64 // parked jobs that made room for newer ones
	RefusedFull uint64 // jobs refused with ErrFull
	Refused     uint64 // jobs refused for another reason: closed, or the Queue failed
	Replayed    uint64 // parked jobs that Replay put back
}

// Runner runs jobs. One goroutine schedules them; a try has a goroutine of its own, of which there are at most
// Options.Concurrency. Make one with New, and Close it.
type Runner struct {
	// Static.
	opts    Options
	start   time.Time
	halt    context.CancelFunc // ends what is being tried
	wake    chan struct{}      // has a token when the scheduler should look again
	stopped chan struct{}      // closed when every goroutine has ended
	trying  sync.WaitGroup
	trouble trouble
	tries   tries

	mu      sync.Mutex // guards what follows
	lines   map[string]*line
	waiting lineHeap      // lines of which no job is being tried, and whose first one will be
	dead    []uint64      // parked jobs, the first that is to be forgotten first
	adding  int           // jobs that are with Queue.Add
	stats   Stats         // Waiting counts the jobs in lines and those of adding; Dead is not kept up to date
	closing bool          // no new jobs; only what is due, and retries up to horizon, are still tried
	halted  bool          // nothing is tried any more
	horizon time.Duration // since start
}

// New starts a Runner and takes up what its Queue holds.
func New(opts Options) (*Runner, error) {
	if err := opts.complete(); err != nil {
		return nil, err
	}
	r := &Runner{
		opts:    opts,
		start:   time.Now(),
		wake:    make(chan struct{}, 1),
		stopped: make(chan struct{}),
		trouble: trouble{log: opts.Logger},
		lines:   make(map[string]*line),
	}
	if err := r.restore(); err != nil {
		return nil, fmt.Errorf("taking up the stored jobs: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.halt = cancel
	go r.schedule(ctx)
	return r, nil
}

// restore takes up the stored jobs, before the Runner has started.
func (r *Runner) restore() error {
	var batches []Job // their first jobs, without payloads
	err := r.opts.Queue.Each(func(job Job) error {
		if !job.Parked.IsZero() {
			r.dead = append(r.dead, job.ID)
			return nil
		}
		r.stats.Waiting++
		job.Due = r.dueAgain(job)
		r.file(job)
		if len(job.BatchJobs) > 0 && r.opts.Batch != nil {
			batches = append(batches, Job{Key: job.Key, BatchJobs: job.BatchJobs})
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, first := range batches {
		r.lines[r.lineOf(first.Key)].join(first.BatchJobs)
	}
	heap.Init(&r.waiting)
	return r.opts.Queue.Remove(r.surplus()...)
}

// dueAgain is when a stored job is due. The clock may have been set back since it was stored: no job waits longer than
// it would have been told to wait, had it failed just now, and one that was due at once still is.
func (r *Runner) dueAgain(job Job) time.Time {
	switch {
	case job.Attempts == 0 && !job.Due.After(job.Created):
		return r.start
	case job.Attempts > 0:
		if latest := r.start.Add(max(r.opts.MaxBackoff, r.opts.MaxRetryAfter)); job.Due.After(latest) {
			return latest
		}
	}
	return job.Due
}

// Put hands jobs over, all or none: with ErrFull when there is no room for them, with ErrClosed after Close, or
// with the Queue's error. Jobs of one key that are put one after another run in that order. Put does not wait
// for anything but the Queue, so with Memory it never blocks.
func (r *Runner) Put(jobs ...Job) error {
	return r.PutBy(r.opts.Queue.Add, jobs...)
}

// PutBy is Put for jobs that are stored together with something else: add does what Queue.Add would. It is called even
// without any job, unless there is no room or the Runner is closed.
func (r *Runner) PutBy(add func([]Job) error, jobs ...Job) error {
	n := len(jobs)
	if err := r.reserve(n); err != nil {
		return err
	}
	now := time.Now()
	batch := make([]Job, n)
	for i, j := range jobs {
		batch[i] = Job{Key: j.Key, Payload: j.Payload, Due: j.Due, Expires: j.Expires, Created: now}
		b := &batch[i]
		if b.Due.IsZero() {
			b.Due = now
		}
		if b.Expires.IsZero() && r.opts.MaxAge > 0 {
			b.Expires = b.Due.Add(r.opts.MaxAge)
		}
	}
	err := add(batch)

	r.mu.Lock()
	r.adding -= n
	if err != nil {
		r.stats.Waiting -= n
		r.stats.Refused += uint64(n)
	} else {
		for _, job := range batch {
			r.file(job)
		}
	}
	r.mu.Unlock()
	r.look()
	if err != nil {
		return fmt.Errorf("storing jobs: %w", err)
	}
	return nil
}

// TakeUp does jobs, too, that somebody else has added to the Queue since New has read it. Their number is not bounded.
func (r *Runner) TakeUp(jobs ...Job) {
	r.mu.Lock()
	for _, job := range jobs {
		if job.Parked.IsZero() {
			r.stats.Waiting++
			r.file(job)
		}
	}
	r.mu.Unlock()
	r.look()
}

// reserve makes room for n jobs.
func (r *Runner) reserve(n int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closing:
		r.stats.Refused += uint64(n)
		return ErrClosed
	case r.stats.Waiting+n > r.opts.MaxJobs:
		r.stats.RefusedFull += uint64(n)
		return ErrFull
	}
	r.stats.Waiting += n
	r.adding += n
	return nil
}

// Stats returns the present counts.
func (r *Runner) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stats
	s.Dead = len(r.dead)
	return s
}

// Close takes no more jobs and works off those that are due, for as long as ctx allows. A job that waits for its
// next try gets it at once. What fails is tried again after its usual back-off if ctx has a deadline and the
// next try falls before it. Jobs that were put for a later time stay. When ctx ends, so do the contexts of the
// handlers still at work, which Close waits for.
//
// It returns how many jobs were not done; a durable Queue still has them. Further calls wait for the first and
// return the same.
func (r *Runner) Close(ctx context.Context) (left int) {
	r.startClosing(ctx)
	return r.await(ctx)
}

// Stop is Close for a durable Queue, which loses nothing: no further try is begun, and those under way may end while ctx
// allows.
func (r *Runner) Stop(ctx context.Context) (left int) {
	r.mu.Lock()
	r.closing, r.halted = true, true
	r.mu.Unlock()
	return r.await(ctx)
}

// await waits for the end of what startClosing or Stop has left to do.
func (r *Runner) await(ctx context.Context) (left int) {
	r.look()
	select {
	case <-r.stopped:
	case <-ctx.Done():
		r.mu.Lock()
		r.halted = true
		r.mu.Unlock()
		r.halt()
		r.look()
		<-r.stopped
	}
	r.halt()
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stats.Waiting
}

func (r *Runner) startClosing(ctx context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closing {
		return
	}
	r.closing = true
	now := time.Since(r.start)
	r.horizon = now
	if d, ok := ctx.Deadline(); ok {
		r.horizon = d.Sub(r.start)
	}
	waiting := r.waiting
	r.waiting = nil
	for _, l := range waiting {
		if l.tried && l.jobs[0].due > now {
			l.jobs[0].due = now
		}
		r.enqueue(l, now)
	}
}
