package callbacks

import (
	"crier/e2e/ledger/stage"
)

// settling is how long it may take after a fault of one of several servers until all of them say again who is there: a lease ends,
// and who may come back is waited for.
func (t Terms) settling() stage.Stamp {
	return stage.Span(stage.LeaseTime + stage.LeaseLag + t.Grace + t.Delay)
}

// dueOfNodes is due for several servers: from is when the departure would be told if nothing went wrong.
func (l *timeline) dueOfNodes(gone, from stage.Stamp) (at stage.Stamp, ok bool) {
	for {
		at, ok := l.Tick(from, 2*stage.Lag)
		if !ok {
			return 0, false
		}
		later := from
		for _, o := range l.Outages(gone-l.terms.settling(), at) {
			if o.To == stage.Never {
				return 0, false
			}
			later = max(later, o.To+l.terms.settling())
		}
		if later == from {
			return at, true
		}
		from = later
	}
}

// fences returns the times in between in which users may be told to have gone, though they are connected: their server stood
// still or was cut off for so long that its lease may have ended.
func (l *timeline) fences(from, to stage.Stamp) (all []interval) {
	for _, o := range l.Outages(from-l.terms.settling(), to) {
		ends := o.From + stage.Span(stage.LeaseTime-stage.LeaseLag)
		if o.To > ends && (o.How == stage.ServerStop || o.How == stage.LinkCut || o.How == stage.LinkBlock) {
			all = append(all, interval{ends, l.settled(o)})
		}
	}
	return all
}

// deaf returns the times in between in which servers could not tell Redis of anything. What they tell when it is back bears the times
// of each of them: they need not agree on when a user, who went from one to another meanwhile, was last there.
func (l *timeline) deaf(from, to stage.Stamp) (all []interval) {
	for _, o := range l.Outages(from-l.terms.settling(), to+l.delay()) {
		if o.How != stage.ServerKill && o.How != stage.ServerTerm {
			all = append(all, interval{o.From - l.delay(), l.settled(o)})
		}
	}
	return all
}

func (l *timeline) delay() stage.Stamp { return stage.Span(l.terms.Delay) + blur }

// faults returns the times in between in which an arrival may not be known to all, because of some fault.
func (l *timeline) faults(from, to stage.Stamp) (all []interval) {
	for _, o := range l.Outages(from-l.terms.settling(), to) {
		all = append(all, interval{o.From - blur, l.settled(o)})
	}
	return all
}

func (l *timeline) settled(o stage.Outage) stage.Stamp {
	if o.To == stage.Never {
		return stage.Never
	}
	return max(o.To+l.terms.settling(), l.Lagging(o.To))
}

// without returns a time without what is excused of it.
func (i interval) without(excused []interval) []interval {
	left := []interval{i}
	for _, e := range excused {
		var rest []interval
		for _, one := range left {
			if before := (interval{one.from, min(one.to, e.from)}); before.from < before.to {
				rest = append(rest, before)
			}
			if behind := (interval{max(one.from, e.to), one.to}); behind.from < behind.to {
				rest = append(rest, behind)
			}
		}
		left = rest
	}
	return left
}

// stay checks that a user was told to be online as long as a connection to one of several servers was certain.
func (c *court) stay(tab string, s stage.Stay) {
	at := s.From
	for _, one := range append(c.report.intervals, interval{stage.Never, stage.Never}) {
		if one.to < at {
			continue
		}
		if one.from > at+blur {
			c.absent(tab, s, interval{at, min(one.from, s.To)})
		}
		if at = one.to; at >= s.To {
			return
		}
	}
}

// absent accuses the servers of a time in which a user was not online, though connected.
func (c *court) absent(tab string, s stage.Stay, gap interval) {
	excused, kind := c.timeline.fences(gap.from, gap.to), "false departure"
	if gap.from == s.From {
		excused, kind = append(excused, c.timeline.faults(gap.from, gap.to)...), "missing arrival"
	} else {
		excused = append(excused, c.timeline.deaf(gap.from, gap.to)...)
	}
	for _, one := range gap.without(excused) {
		if one.to-one.from > 2*blur {
			c.accuse(kind, "", one.from, "%s was logged in from %d to %d, and the user was not online until %d", tab, s.From, s.To, one.to)
			return
		}
	}
}

// fenced says whether a user may have been told to have gone, though connected, since the server was given up or could not say so.
func (c *court) fenced(one callback) bool {
	excused := c.timeline.deaf(one.at(), one.at())
	if one.Data.Cause == "node" {
		excused = append(excused, c.timeline.fences(one.at(), one.at())...)
	}
	for _, f := range excused {
		if f.from <= one.at() && one.at() <= f.to {
			return true
		}
	}
	return false
}
