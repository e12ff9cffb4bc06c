package webhook

import (
	"log/slog"
	"sync"
	"time"

	"crier/io/jobs"
)

// quiet is how long after a line of the log the next one of its kind may come. What happens in between is counted.
const quiet = time.Minute

// minCrowd is how many callbacks may wait without anybody being told.
const minCrowd = 1000

// reporter writes the log of a Sender: the first failure at once, then a summary at most once a minute.
type reporter struct {
	log *slog.Logger

	mu      sync.Mutex // guards what follows
	retried gate
	parked  gate
	healed  gate
	grown   gate
	crowd   int  // how many callbacks must wait to be worth a line
	failing int  // callbacks that failed and wait for their next try
	said    bool // the log has failures that it has not called over
}

func newReporter(log *slog.Logger) *reporter { return &reporter{log: log, crowd: minCrowd} }

// gate lets one of its kind through per minute and counts the others.
type gate struct {
	last time.Time
	held int
}

// pass says whether to log; if so, n is how many there were since the last time, this one included.
func (g *gate) pass() (n int, ok bool) {
	g.held++
	now := time.Now()
	if !g.last.IsZero() && now.Sub(g.last) < quiet {
		return 0, false
	}
	n = g.held
	g.last, g.held = now, 0
	return n, true
}

// failed is for jobs.Options.
func (r *reporter) failed(job jobs.Job, err error) {
	attrs := describe(job)
	attrs = append(attrs, "attempt", job.Attempts, "error", err)
	if job.Parked.IsZero() {
		r.failedOnce(job, attrs)
		return
	}
	r.mu.Lock()
	if job.Attempts > 1 {
		r.failing = max(r.failing-1, 0)
	}
	n, ok := r.parked.pass()
	r.mu.Unlock()
	if ok {
		r.log.Error("a callback was given up and will not be tried again", append(attrs, "given_up_since_last_report", n)...)
	}
}

func (r *reporter) failedOnce(job jobs.Job, attrs []any) {
	r.mu.Lock()
	if job.Attempts == 1 {
		r.failing++
	}
	failing := r.failing
	n, ok := r.retried.pass()
	r.said = r.said || ok
	r.mu.Unlock()
	if !ok {
		return
	}
	attrs = append(attrs, "next_try_in", time.Until(job.Due).Round(time.Millisecond))
	if n == 1 {
		r.log.Warn("a callback was not delivered and will be tried again", attrs...)
		return
	}
	r.log.Warn("callbacks are not being delivered and will be tried again; this is the latest",
		append(attrs, "failures_since_last_report", n, "users_waiting", failing)...)
}

// delivered is called when callbacks have succeeded.
func (r *reporter) delivered(callbacks []jobs.Job) {
	r.mu.Lock()
	over := false
	for _, job := range callbacks {
		if job.Attempts > 0 {
			r.failing = max(r.failing-1, 0)
			over = r.failing == 0
		}
	}
	if over = over && r.said; over {
		_, over = r.healed.pass()
		r.said = !over
	}
	r.mu.Unlock()
	if over {
		r.log.Info("every callback that had failed is delivered now")
	}
}

// waiting is told how many callbacks wait. It logs when they have become many, and again whenever they have doubled.
func (r *reporter) waiting(n int) {
	r.mu.Lock()
	for r.crowd > minCrowd && n < r.crowd/4 {
		r.crowd /= 2
	}
	ok := n >= r.crowd
	if ok {
		if _, ok = r.grown.pass(); ok {
			r.crowd = 2 * n
		}
	}
	r.mu.Unlock()
	if ok {
		r.log.Warn("callbacks pile up: the receiver takes them more slowly than they come", "waiting", n)
	}
}

// describe returns what identifies the callback of a job, as key-value pairs.
func describe(job jobs.Job) []any {
	e, err := decodeEvent(job.Payload)
	if err != nil {
		return []any{"uid", job.Key, "job", job.ID}
	}
	return []any{"event", e.Type, "uid", e.Data.UID, "id", e.ID}
}
