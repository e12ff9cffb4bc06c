package schedule

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // machines without a time zone database are to know the same zones
)

const (
	// horizon is how far ahead a time may be, and how long a delay or an interval.
	horizon = 100 * 365 * 24 * time.Hour
	// leeway is how long ago a time may be that still counts as now: clocks differ, and calls take a while.
	leeway = time.Minute
	// minEvery is the shortest interval.
	minEvery = time.Second
)

// The values of Spec.Late.
const (
	LateFire = "fire"
	LateSkip = "skip"
)

// Spec is a schedule as its maker has written it. Of At, Delay, Every and Cron exactly one is set.
type Spec struct {
	// Push is the message, a JSON object that only Options.Push understands.
	Push json.RawMessage `json:"push"`
	// At is a time: RFC 3339, or without an offset, as the clocks of Timezone show it.
	At string `json:"at,omitempty"`
	// Delay is how long after the schedule was made the push is, a Go duration.
	Delay string `json:"delay,omitempty"`
	// Every is the time from one push to the next, a Go duration of at least a second. The first is that long after the
	// schedule was made.
	Every string `json:"every,omitempty"`
	// Cron are five fields, six with seconds first, or a descriptor such as @daily.
	Cron string `json:"cron,omitempty"`
	// Timezone is a name such as Europe/Berlin, for Cron and times without an offset. Empty: UTC.
	Timezone string `json:"timezone,omitempty"`
	// Until is a time, written as At is, after which there are no pushes. With Every and Cron only.
	Until string `json:"until,omitempty"`
	// MaxRuns is how many pushes there are at most, 0 for no limit. With Every and Cron only.
	MaxRuns int `json:"max_runs,omitempty"`
	// Late says what happens to a push of At or Delay whose time came while the program did not run, or the schedule was
	// paused: LateFire or empty, or LateSkip.
	Late string `json:"late,omitempty"`
}

// FieldError says which field of a Spec is wrong, and what it has to be.
type FieldError struct{ Field, Want string }

// Error implements error.
func (e *FieldError) Error() string { return e.Field + " " + e.Want }

func wrong(field, want string) error { return &FieldError{field, want} }

// plan is when the runs of a Spec are.
type plan struct {
	zone  *time.Location
	at    time.Time     // of at and delay
	every time.Duration // from made on
	made  time.Time
	clock *clockwork // of cron
	until time.Time  // zero: no end
	skip  bool       // late runs are not made
	max   int        // 0: any number
}

// once reports whether there is one run at most.
func (p *plan) once() bool { return p.clock == nil && p.every == 0 }

// next returns the first run after a time, zero if there is none.
func (p *plan) next(after time.Time) time.Time {
	var run time.Time
	switch {
	case p.clock != nil:
		run = p.clock.next(after)
	case p.every > 0:
		if run = p.made.Add(p.every); !run.After(after) {
			run = run.Add((after.Sub(run)/p.every + 1) * p.every)
		}
	case p.at.After(after):
		run = p.at
	}
	if !p.until.IsZero() && run.After(p.until) {
		return time.Time{}
	}
	return run
}

// zones are time zones by their names. They are read once.
type zones map[string]*time.Location

func (z zones) find(name string) (*time.Location, error) {
	if name == "" {
		return time.UTC, nil
	}
	if zone, known := z[name]; known {
		return zone, nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, wrong("timezone", "has to be a name of the time zone database, such as Europe/Berlin")
	}
	z[name] = zone
	return zone, nil
}

// plan reads a Spec that was made at a time. It checks everything but how far ahead or long ago the runs are. An error is
// a *FieldError.
func (s *Spec) plan(made time.Time, z zones) (*plan, error) {
	zone, err := z.find(s.Timezone)
	if err != nil {
		return nil, err
	}
	p := &plan{zone: zone, made: made, skip: s.Late == LateSkip, max: s.MaxRuns}
	n := 0
	for _, text := range []string{s.At, s.Delay, s.Every, s.Cron} {
		if text != "" {
			n++
		}
	}
	switch {
	case n != 1:
		return nil, wrong("at, delay, every and cron", "are four ways to say when: give exactly one")
	case s.At != "":
		p.at, err = moment("at", s.At, zone)
	case s.Delay != "":
		var delay time.Duration
		delay, err = duration("delay", s.Delay, 0)
		p.at = made.Add(delay)
	case s.Every != "":
		p.every, err = duration("every", s.Every, minEvery)
	default:
		if p.clock, err = newClockwork(s.Cron, zone); err != nil {
			err = wrong("cron", fmt.Sprintf("has to be five fields, six with seconds first, or one like @daily: %s", err))
		}
	}
	if err != nil {
		return nil, err
	}
	return p, s.limits(p)
}

// limits reads what ends a plan, or keeps a run of it from being late.
func (s *Spec) limits(p *plan) (err error) {
	switch {
	case p.once() && s.Until != "":
		return wrong("until", "goes with every and cron only")
	case p.once() && s.MaxRuns != 0:
		return wrong("max_runs", "goes with every and cron only")
	case !p.once() && s.Late != "":
		return wrong("late", "goes with at and delay only: what every and cron have missed is pushed once")
	case s.Late != "" && s.Late != LateFire && s.Late != LateSkip:
		return wrong("late", `has to be "fire" or "skip"`)
	case s.MaxRuns < 0:
		return wrong("max_runs", "has to be a number from 1 on")
	case s.Until != "":
		p.until, err = moment("until", s.Until, p.zone)
	}
	return err
}

// first returns the first run of a plan that is made now.
func (p *plan) first(now time.Time) (time.Time, error) {
	if p.once() {
		switch {
		case p.at.Before(now.Add(-leeway)):
			return time.Time{}, wrong("at", "has passed: give a time to come")
		case p.at.After(now.Add(horizon)):
			return time.Time{}, wrong("at", "has to be within the next 100 years")
		}
		return p.at, nil
	}
	run := p.next(now)
	switch {
	case run.IsZero() && !p.until.IsZero():
		return run, wrong("until", "comes before the first run")
	case run.IsZero():
		return run, wrong("cron", "names a day that does not come")
	}
	return run, nil
}

// duration reads a duration of some least length.
func duration(field, text string, least time.Duration) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < least || d > horizon {
		return 0, wrong(field, fmt.Sprintf("has to be a duration from %s to 876000h, such as 90s or 1h30m", least))
	}
	return d, nil
}

// moment reads a time.
func moment(field, text string, zone *time.Location) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err == nil {
		return t.In(zone), nil
	}
	if shown, err := time.Parse("2006-01-02T15:04:05", strings.Replace(text, " ", "T", 1)); err == nil {
		return instant(shown, zone).In(zone), nil
	}
	return t, wrong(field, "has to be a time such as 2030-12-24T18:00:00Z, or 2030-12-24T18:00:00 with a timezone")
}
