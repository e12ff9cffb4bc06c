package schedules

import "crier/e2e/ledger/stage"

// settling is how long it may take after a fault of one of several servers until one of them leads and has made up for what was
// missed.
const settling = stage.LeaseTime + stage.LeaseLag + grace

// troubled says whether one of several servers, or Redis, was not well at some time in between, or so shortly before that not all may
// be as it was.
func troubled(l *stage.Timeline, from, to stage.Stamp) bool {
	return len(l.Outages(from-stage.Span(settling), to)) > 0
}

// windowOfNodes is window for several servers.
func (e *evidence) windowOfNodes(run stage.Stamp) (w window, ok bool) {
	w.from = run
	for latest := run; ; {
		at, ok := e.Timeline.Tick(latest, 2*stage.Lag)
		if !ok || at > e.End {
			return w, false
		}
		later := latest
		for _, o := range e.Timeline.Outages(run-stage.Span(settling), at) {
			w.late = true
			if o.To == stage.Never {
				return w, false
			}
			later = max(later, o.To+stage.Span(settling))
		}
		if later == latest {
			w.to = at
			return w, true
		}
		latest = later
	}
}

// twice checks a run that came more than once to a tab, from one of several servers.
func (c *court) twice(r *run) {
	if troubled(c.Timeline, earliest(r.arrivals), latest(r.arrivals)) {
		c.verdict.repeats++
		return
	}
	c.accuse("twice", r.at, "it was pushed again though all servers were well: %v", r.arrivals)
}

func latest(all []arrival) (at stage.Stamp) {
	for _, a := range all {
		at = max(at, a.at)
	}
	return at
}
