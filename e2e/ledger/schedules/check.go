package schedules

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"crier/e2e/ledger/stage"
)

// blur is how much times that are compared may be wrong by.
const blur stage.Stamp = 5

// A verdict is what the checker has found.
type verdict struct {
	violations []stage.Violation
	schedules  int // that were made for certain
	open       int // that may have been made or not, and were not looked at
	runs       int // that came
	repeats    int // runs that were pushed again, because the server was killed in the act
	again      int // messages that came again, of those that are kept until they are confirmed
	skipped    int // runs that were late, and to be skipped then
	unseen     int // runs of which it is open whether they were pushed, since nobody was there for certain to get them
}

// A court checks one schedule.
type court struct {
	*evidence
	*order
	verdict *verdict
}

// judge checks the books.
func judge(e *evidence) *verdict {
	v := &verdict{}
	for _, l := range e.strays {
		v.violations = append(v.violations, stage.Violation{Kind: "stray", ID: l.ID, At: l.At, Text: fmt.Sprintf("the message %q is no run of a schedule", l.Data)})
	}
	for _, o := range e.orders {
		if o.made == 0 {
			v.open++
			continue
		}
		v.schedules++
		v.runs += len(o.runs)
		c := court{e, o, v}
		if o.first != o.plan.first(o.made) {
			c.accuse("wrong plan", o.made, "the server says that the first run is %d, and it is %d", o.first, o.plan.first(o.made))
		}
		runs := slices.SortedFunc(maps.Values(o.runs), func(a, b *run) int { return cmp.Compare(a.at, b.at) })
		for _, r := range runs {
			c.run(r)
		}
		if o.plan.once() {
			c.once(runs)
		} else {
			c.chain(runs)
		}
	}
	slices.SortFunc(v.violations, func(a, b stage.Violation) int { return cmp.Compare(a.At, b.At) })
	return v
}

func (c *court) accuse(kind string, at stage.Stamp, format string, args ...any) {
	c.verdict.violations = append(c.verdict.violations, stage.Violation{Kind: kind, UID: witness, ID: c.id, At: at, Text: fmt.Sprintf(format, args...)})
}

// run checks what one run says by itself.
func (c *court) run(r *run) {
	came := r.came()
	if came < r.at-blur {
		c.accuse("early", r.at, "the run came at %d", came)
	}
	if r.at > c.removed+blur {
		c.accuse("removed", r.at, "it was pushed, though the schedule had been removed at %d", c.removed)
	}
	if c.plan.Stored {
		c.verdict.again += len(r.arrivals) - tabs(r.arrivals)
		return
	}
	if c.terms.Nodes > 0 {
		if len(r.arrivals) > tabs(r.arrivals) {
			c.twice(r)
		}
		return
	}
	lives := map[stage.Stamp][]arrival{} // by the starts of those that pushed
	for _, a := range r.arrivals {
		l, _, _ := c.Timeline.At(a.since)
		lives[l.Start] = append(lives[l.Start], a)
	}
	for _, all := range lives {
		if len(all) > tabs(all) {
			c.accuse("twice", r.at, "it was pushed twice by the same process: %v", all)
		}
	}
	starts := slices.Sorted(maps.Keys(lives))
	for i := range starts[1:] {
		l, _, _ := c.Timeline.At(starts[i])
		if l.Killed && !c.Timeline.Settled(earliest(lives[starts[i]]), l.End) {
			c.verdict.repeats++
			continue
		}
		c.accuse("twice", r.at, "it was pushed again though the server had not been killed in the act: %v", r.arrivals)
	}
}

// tabs returns how many tabs have got something.
func tabs(all []arrival) int {
	names := map[string]bool{}
	for _, a := range all {
		names[a.tab] = true
	}
	return len(names)
}

func earliest(all []arrival) stage.Stamp {
	return slices.MinFunc(all, func(a, b arrival) int { return cmp.Compare(a.at, b.at) }).at
}

// once checks a schedule with one run at most.
func (c *court) once(runs []*run) {
	at := c.plan.first(c.made)
	for _, r := range runs {
		if r.at != at {
			c.accuse("false run", r.at, "the only run is that of %d", at)
		}
	}
	if c.runs[at] == nil {
		c.missing(at)
		return
	}
	if !c.plan.Skip || c.plan.Stored {
		return
	}
	for _, a := range c.runs[at].arrivals {
		if l, _, _ := c.Timeline.At(a.since); l.Start > at+blur {
			c.accuse("late", at, "it was to be skipped when late, and was pushed by a process that was started at %d", l.Start)
		}
	}
}

// chain checks a schedule with many runs. A run is followed by the first that is due after the time of its last push, which lies
// between the time that it was due and that at which it came, unless it was pushed again.
func (c *court) chain(runs []*run) {
	next, n, open := c.plan.first(c.made), 0, false
	for _, r := range runs {
		if c.plan.next(c.made, r.at-1) != r.at {
			c.accuse("false run", r.at, "it is not due then")
			continue
		}
		if n++; c.plan.Runs > 0 && n > c.plan.Runs {
			c.accuse("too many", r.at, "there are more than %d runs", c.plan.Runs)
		}
		if r.at > next {
			open = c.passed(next, r) || open
		}
		last, sure := c.pushed(r)
		open = open || !sure && !c.plan.Stored // others may have been pushed since, with nobody there
		if next = stage.Never; last < stage.Never {
			next = c.plan.next(c.made, max(r.at, last+blur))
		}
	}
	if next < stage.Never && (c.plan.Runs == 0 || n < c.plan.Runs && !open) {
		c.missing(next)
	}
}

// passed checks a run that has not come, though one behind it has: it was pushed before that. It says whether it is open if
// anybody can have got it.
func (c *court) passed(at stage.Stamp, next *run) (open bool) {
	if !c.plan.Stored && !c.watched(at, next.came()) {
		return c.missing(at)
	}
	c.accuse("missing", at, "the run has not come, and the next, that of %d, has", next.at)
	return false
}

// pushed returns by when a run was pushed for the last time, at the latest; Never if that is open. If the server was killed in
// the act it may have made the push again, under the same id, which nothing shows if that is stored or nobody is there: then it
// is not sure when the last time was.
func (e *evidence) pushed(r *run) (last stage.Stamp, sure bool) {
	last, again := r.came(), false
	if e.terms.Nodes > 0 {
		if at, ok := e.Timeline.Tick(last, stage.Lag); !ok || troubled(e.Timeline, r.at, at) {
			return stage.Never, false
		}
		return last, true
	}
	for _, l := range e.Timeline.All() {
		if again {
			if at, ok := e.Timeline.Tick(l.Listen+stage.Span(grace), 2*stage.Lag); ok && l.Listen > 0 && at <= min(l.End, e.End) {
				return max(last, at), false
			}
		}
		again = again || l.Killed && l.End >= r.at && !e.Timeline.Settled(last, l.End)
	}
	if again {
		return stage.Never, false
	}
	return last, true
}

// missing checks a run that has not come, and says whether it is open if it was pushed.
func (c *court) missing(at stage.Stamp) (open bool) {
	w, ok := c.window(at)
	switch {
	case !ok || w.to >= c.removes: // its time had not come
		return false
	case w.late && c.plan.Skip:
		c.verdict.skipped++
		return false
	case !c.plan.Stored && !c.watched(w.from, w.to):
		c.verdict.unseen++
		return true
	}
	c.accuse("missing", at, "the run has not come, which was to be pushed by %d", w.to)
	return false
}

// A window is when a run is pushed.
type window struct {
	from, to stage.Stamp
	late     bool // it may have been missed by a process that ended too early, and is made up for by another
}

// window returns when a run has to be pushed; ok is false if that time has not come.
func (e *evidence) window(run stage.Stamp) (w window, ok bool) {
	if e.terms.Nodes > 0 {
		return e.windowOfNodes(run)
	}
	w.from = stage.Never
	for _, l := range e.Timeline.All() {
		if l.End < run || l.Listen == 0 {
			continue
		}
		earliest, latest := run, run
		if w.late || l.Start > run {
			earliest = l.Start + stage.Span(grace)
		}
		if l.Listen > run {
			latest, w.late = l.Listen+stage.Span(grace), true
		}
		if earliest <= l.End {
			w.from = min(w.from, earliest)
		}
		if at, ok := e.Timeline.Tick(latest, 2*stage.Lag); ok && at <= min(l.End, e.End) {
			w.to = at
			return w, true
		}
		w.late = true
	}
	return w, false
}

// watched says whether a receiver was there all that time for certain.
func (e *evidence) watched(from, to stage.Stamp) bool {
	if e.terms.Nodes > 0 && troubled(e.Timeline, from, to) {
		return false
	}
	return slices.ContainsFunc(e.watches, func(w *stage.Stays) bool {
		return slices.ContainsFunc(w.All, func(s stage.Stay) bool { return s.Proven && s.From <= from && to <= s.To })
	})
}
