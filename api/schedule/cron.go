package schedule

import (
	"errors"
	"strings"
	"time"

	cron "github.com/netresearch/go-cron"
)

const (
	// searchYears is how far a cron expression is followed: February 29th comes after 8 years at most.
	searchYears = 9
	// everyHour are the bits of an hour field that names every hour.
	everyHour = 1<<24 - 1
)

// errCronMore says what a cron expression is not for.
var errCronMore = errors.New("a time zone goes into timezone, and an interval into every")

// clockwork is a cron expression in a time zone.
//
// The expression is followed on a calendar without offsets, and the zone's periods of one offset are laid over it. So
// every transition is handled in one way, also those at midnight or by half an hour: a run whose hour is skipped is made
// late, by what was skipped, and one whose hour comes twice is made the first time. A run of every hour follows the time
// that passes instead: nothing of it is late, and it is made in both hours.
type clockwork struct {
	spec   *cron.SpecSchedule // in UTC
	zone   *time.Location
	hourly bool // in every hour
}

// newClockwork reads five fields, or six with seconds first, or a descriptor such as @daily.
func newClockwork(text string, zone *time.Location) (*clockwork, error) {
	if strings.HasPrefix(text, "TZ=") || strings.HasPrefix(text, "CRON_TZ=") || strings.HasPrefix(text, "@every") {
		return nil, errCronMore
	}
	parser, err := cron.TryNewParser(cron.SecondOptional | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow |
		cron.Descriptor | cron.DowOrDom)
	if err != nil {
		return nil, err
	}
	parsed, err := parser.WithMaxSearchYears(searchYears).Parse(text)
	if err != nil {
		return nil, err
	}
	spec, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return nil, errCronMore
	}
	spec.Location = time.UTC
	return &clockwork{spec: spec, zone: zone, hourly: spec.Hour&everyHour == everyHour}, nil
}

// next returns the first run after a time, zero if there is none within searchYears.
func (c *clockwork) next(after time.Time) time.Time {
	from := after.Truncate(time.Second).Add(time.Second) // runs are at whole seconds
	limit := from.AddDate(searchYears, 0, 0)
	for !from.After(limit) {
		p := periodOf(from, c.zone)
		run := c.regular(from, p)
		if late := c.late(from, p); !late.IsZero() && (run.IsZero() || late.Before(run)) {
			run = late
		}
		switch {
		case !run.IsZero() && (p.end.IsZero() || run.Before(p.end)):
			return run
		case p.end.IsZero():
			return time.Time{}
		}
		from = p.end
	}
	return time.Time{}
}

// regular returns the first run from a time on, by the offset of its period. It may be behind the period's end.
func (c *clockwork) regular(from time.Time, p period) time.Time {
	if first := p.start.Add(p.before - p.offset); !c.hourly && p.before > p.offset && from.Before(first) {
		from = first // until then the clock shows what it has shown before
	}
	return c.on(from, p.offset)
}

// late returns the first run from a time on whose hour was skipped at the beginning of the period, or zero.
func (c *clockwork) late(from time.Time, p period) time.Time {
	if c.hourly || p.before >= p.offset {
		return time.Time{}
	}
	if run := c.on(from, p.before); !run.IsZero() && run.Before(p.start.Add(p.offset-p.before)) {
		return run
	}
	return time.Time{}
}

// on returns the first run from a time on, by a clock of that offset.
func (c *clockwork) on(from time.Time, offset time.Duration) time.Time {
	shown := c.spec.Next(from.UTC().Add(offset - time.Second))
	if shown.IsZero() {
		return shown
	}
	return shown.Add(-offset)
}

// period is the time in which a zone has one offset.
type period struct {
	start, end     time.Time // zero: without; end does not belong to it, and may be earlier than the next change
	offset, before time.Duration
}

// periodOf returns the period of a zone that has t in it.
func periodOf(t time.Time, zone *time.Location) period {
	t = t.In(zone)
	p := period{offset: offsetOf(t)}
	p.start, p.end = t.ZoneBounds()
	if !p.end.IsZero() && !p.end.After(t) { // on the last day of leap years that are beyond the zone's table
		p.end = t.Add(24 * time.Hour)
	}
	p.before = p.offset
	if !p.start.IsZero() {
		p.before = offsetOf(p.start.Add(-1))
	}
	return p
}

func offsetOf(t time.Time) time.Duration {
	_, seconds := t.Zone()
	return time.Duration(seconds) * time.Second
}

// instant returns when the clocks of a zone show what shown, a time in UTC, does: the first time if they do twice, and
// late, by what is skipped, if they never do.
func instant(shown time.Time, zone *time.Location) time.Time {
	before := offsetOf(shown.Add(-24 * time.Hour).In(zone))
	first := shown.Add(-before)
	if offsetOf(first.In(zone)) == before {
		return first
	}
	after := offsetOf(shown.Add(24 * time.Hour).In(zone))
	if second := shown.Add(-after); offsetOf(second.In(zone)) == after {
		return second
	}
	return first
}
