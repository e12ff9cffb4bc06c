package callbacks

import (
	"fmt"
	"slices"

	"crier/e2e/ledger/stage"
)

// blur is how much times that are compared may be wrong by.
const blur stage.Stamp = 5

// A verdict is what the checker has found.
type verdict struct {
	violations []stage.Violation
	arrivals   int // that were owed an online
	departures int // that were owed an offline
	told       int // callbacks
	repeats    int // requests with a callback that had been noted before
	short      int // absences that were too short to be told, or ended in time after a crash
	open       int // absences of a length that leaves it open
	cut        int // connections that ended right after the login, or before the server could remember it
}

// A court checks one user.
type court struct {
	*evidence
	uid     string
	visits  []*visit
	report  *report
	verdict *verdict
}

// judge checks the books.
func judge(e *evidence) *verdict {
	v := &verdict{}
	reports := e.reports(func(one stage.Violation) { v.violations = append(v.violations, one) })
	for uid, visits := range e.visits {
		r := reports[uid]
		if r == nil {
			r = &report{}
		}
		v.told += len(r.callbacks)
		v.repeats += r.repeats
		c := court{e, uid, visits, r, v}
		c.stays()
		c.absences()
		for _, one := range r.callbacks {
			if one.online() {
				c.arrival(one)
			} else {
				c.departure(one)
			}
		}
	}
	slices.SortFunc(v.violations, func(a, b stage.Violation) int { return int(a.At - b.At) })
	return v
}

func (c *court) accuse(kind, id string, at stage.Stamp, format string, args ...any) {
	c.verdict.violations = append(c.verdict.violations, stage.Violation{Kind: kind, UID: c.uid, ID: id, At: at, Text: fmt.Sprintf(format, args...)})
}

// stays checks that the user was told to be online whenever a connection was certain.
func (c *court) stays() {
	for _, v := range c.visits {
		for _, s := range v.stays.All {
			if c.terms.Nodes > 0 {
				if s.Proven {
					c.stay(v.tab, s)
				}
				continue
			}
			in, ok := c.report.covering(s.From)
			switch {
			case !ok && (!s.Proven || c.forgettable(s)):
				c.verdict.cut++
			case !s.Proven:
			case !ok:
				c.accuse("missing arrival", "", s.From, "%s was logged in from %d to %d", v.tab, s.From, s.To)
			case in.to < s.To-blur:
				c.accuse("false departure", "", in.to, "%s was logged in from %d to %d", v.tab, s.From, s.To)
			}
		}
	}
}

// forgettable says whether the server was killed so soon after the login that it may have been lost.
func (c *court) forgettable(s stage.Stay) bool {
	l, _, ok := c.timeline.At(s.From)
	return ok && l.Killed && !c.timeline.Settled(s.From, l.End)
}

// absences checks that every absence was told that lasted long enough, and counts what is owed.
func (c *court) absences() {
	var gone, ghost stage.Stamp
	there := false // an arrival has been owed since the last departure that was
	for i := 0; i <= len(c.visits); i++ {
		next := c.End
		if i < len(c.visits) {
			next = c.visits[i].open
		}
		if i > 0 && next > gone {
			if due, ok := c.timeline.due(gone, ghost); ok && due <= next {
				c.owed(due, next, &there)
			} else {
				c.unowed(gone, next)
			}
		}
		if i == len(c.visits) {
			break
		}
		v := c.visits[i]
		gone, ghost = max(gone, v.gone), max(ghost, v.ghost())
		if !there && slices.ContainsFunc(v.stays.All, func(s stage.Stay) bool { return c.timeline.Settled(s.From, s.To) }) {
			there = true
			c.verdict.arrivals++
		}
	}
}

// owed checks an absence whose offline had to be there by due, and that lasted until next.
func (c *court) owed(due, next stage.Stamp, there *bool) {
	if *there {
		c.verdict.departures++
	}
	*there = false
	for _, one := range c.report.intervals {
		if one.from > due || one.to <= due+blur {
			continue
		}
		text := "none came"
		if one.to < stage.Never {
			text = fmt.Sprintf("its time is %d", one.to)
		}
		c.accuse("missing departure", "", due, "the user was away until %d, and the offline was due at %d: %s", next, due, text)
	}
}

// unowed counts an absence that need not be told.
func (c *court) unowed(gone, next stage.Stamp) {
	l, first, ok := c.timeline.At(next)
	recovered := ok && !first && gone < l.Start && next < l.Start+stage.Span(c.terms.Grace)
	if next < gone+stage.Span(c.terms.Delay) || recovered {
		c.verdict.short++
		return
	}
	c.verdict.open++
}

// arrival checks that there was somebody to come online.
func (c *court) arrival(one callback) {
	at := one.at()
	for _, v := range c.visits {
		if v.open <= at+blur && (at <= v.gone || at <= c.timeline.Lagging(v.gone)) {
			return
		}
	}
	c.accuse("false arrival", one.ID, at, "no tab was there")
}

// departure checks that an offline did not come too early.
func (c *court) departure(one callback) {
	at := one.at()
	certain := stage.Stamp(0) // when the user was there for certain, for the last time
	for _, v := range c.visits {
		for _, s := range v.stays.All {
			if s.Proven && s.From <= at {
				certain = max(certain, min(s.To, at))
			}
		}
	}
	if c.terms.Nodes > 0 && c.fenced(one) {
		return
	}
	if at+blur < certain+stage.Span(c.terms.Delay) {
		c.accuse("early departure", one.ID, at, "the user was there at %d, and %v had not passed", certain, c.terms.Delay)
		return
	}
	l, first, ok := c.timeline.At(at)
	if !ok || c.terms.Memory {
		return
	}
	if !first && at+blur < l.Start+stage.Span(c.terms.Grace) && certain < l.Start && !c.seen(l.Start, at-stage.Span(c.terms.Delay)) {
		c.accuse("early departure", one.ID, at, "the server was started at %d, and %v had not passed", l.Start, c.terms.Grace)
	}
	if at > l.End && !l.Killed && c.expelled(l.End, at) {
		c.accuse("false departure", one.ID, at, "the server was told to stop at %d, and a tab that was logged in waited for the next one", l.End)
	}
}

// expelled says whether a connection was ended by a stop of the server, and the user would not have been offline otherwise:
// the server had answered so shortly before that no heartbeat can have failed, and the tab was not told to leave.
func (c *court) expelled(stop, offline stage.Stamp) bool {
	return slices.ContainsFunc(c.visits, func(v *visit) bool {
		return v.bye > offline-stage.Span(c.terms.Delay) && slices.ContainsFunc(v.stays.All, func(s stage.Stay) bool {
			return s.Proven && s.To > stop-stage.Span(c.terms.Ping) && s.From < stop && s.Out >= stop
		})
	})
}

// seen says whether the user may have been logged in to the server in between.
func (c *court) seen(from, to stage.Stamp) bool {
	return slices.ContainsFunc(c.visits, func(v *visit) bool {
		if v.greets || v.killed {
			return v.open <= to+blur && v.gone >= from
		}
		return slices.ContainsFunc(v.logins, func(at stage.Stamp) bool { return from <= at && at <= to+blur })
	})
}
