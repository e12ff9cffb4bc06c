package webhook

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"crier/io/jobs"
)

// quiet is how long after a line of the log the next one of its kind may come. What happens in between is counted.
const quiet = time.Minute

// reporter writes the log of a Sender: the first failure at once, then a summary at most once a minute.
type reporter struct {
	log *slog.Logger

	mu      sync.Mutex // guards what follows
	retried gate
	parked  gate
	dropped gate
	healed  gate
	failing int  // callbacks that failed and wait for their next try
	said    bool // the log has failures that it has not called over
}

func newReporter(log *slog.Logger) *reporter { return &reporter{log: log} }

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

// delivered is called when a job has succeeded.
func (r *reporter) delivered(job jobs.Job) {
	if job.Attempts == 0 {
		return
	}
	r.mu.Lock()
	r.failing = max(r.failing-1, 0)
	over := false
	if r.said && r.failing == 0 {
		_, over = r.healed.pass()
		r.said = !over
	}
	r.mu.Unlock()
	if over {
		r.log.Info("every callback that had failed is delivered now")
	}
}

// refused is called when an event could not be queued.
func (r *reporter) refused(e event, err error) {
	r.mu.Lock()
	n, ok := r.dropped.pass()
	r.mu.Unlock()
	if !ok {
		return
	}
	msg := "a callback was dropped because it could not be stored"
	switch {
	case errors.Is(err, jobs.ErrFull):
		msg = "a callback was dropped because too many are waiting for the receiver"
	case errors.Is(err, jobs.ErrClosed):
		msg = "a callback was dropped because the server is stopping"
	}
	r.log.Error(msg, "event", e.Type, "uid", e.Data.UID, "id", e.ID, "error", err, "dropped_since_last_report", n)
}

// describe returns what identifies the callback of a job, as key-value pairs.
func describe(job jobs.Job) []any {
	e, err := decodeEvent(job.Payload)
	if err != nil {
		return []any{"uid", job.Key, "job", job.ID}
	}
	return []any{"event", e.Type, "uid", e.Data.UID, "id", e.ID}
}
