package schedules

import (
	"fmt"
	"math/rand/v2"
	"time"

	"crier/api/client"
	"crier/e2e/ledger/stage"
)

// A plan is a schedule as its maker orders it. Of At, Delay, Every and Cron one is set.
type plan struct {
	At    stage.Stamp `json:"at,omitempty"`
	Delay stage.Stamp `json:"delay,omitempty"` // ms, as the next one
	Every stage.Stamp `json:"every,omitempty"`
	Cron  int         `json:"cron,omitempty"` // at the seconds of each minute that it divides; it divides 60
	Zone  string      `json:"zone,omitempty"` // any: their offsets are whole minutes
	Skip  bool        `json:"skip,omitempty"` // late: skip
	Runs  int         `json:"runs,omitempty"` // max_runs
	Until stage.Stamp `json:"until,omitempty"`
	// Remove is after how long the schedule is removed, in ms; 0 if it ends by itself.
	Remove stage.Stamp `json:"remove,omitempty"`
	Stored bool        `json:"stored,omitempty"` // its pushes are kept in the inbox
}

// draw returns some plan of something to be done soon.
func draw(random *rand.Rand) plan {
	some := func(least, most time.Duration) stage.Stamp {
		return stage.Span(least + time.Duration(random.Int64N(int64(most-least))))
	}
	p := plan{Stored: random.IntN(2) == 0}
	switch random.IntN(4) {
	case 0:
		p.At = stage.Now() + some(0, 5*time.Second)
		p.Skip = random.IntN(2) == 0
		return p
	case 1:
		p.Delay = 1 + some(0, 5*time.Second)
		p.Skip = random.IntN(2) == 0
		return p
	case 2:
		p.Every = some(time.Second, 3*time.Second)
	default:
		p.Cron = []int{1, 2, 3, 5}[random.IntN(4)]
		p.Zone = []string{"", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns"}[random.IntN(4)]
	}
	switch random.IntN(5) {
	case 0, 1:
		p.Runs = 1 + random.IntN(3)
	case 2, 3:
		p.Until = stage.Now() + some(12*time.Second, 16*time.Second) // long enough for a run of any kind, of a server that has stopped
	default:
		p.Remove = some(time.Second, 6*time.Second)
	}
	return p
}

// once says whether there is one run at most.
func (p plan) once() bool { return p.Every == 0 && p.Cron == 0 }

// first returns the first run if the plan was made at that time.
func (p plan) first(made stage.Stamp) stage.Stamp {
	switch {
	case p.At > 0:
		return p.At
	case p.Delay > 0:
		return made + p.Delay
	}
	return p.next(made, made)
}

// next returns the first run after a time of a plan that was made at another and has several; Never if there is none.
func (p plan) next(made, after stage.Stamp) stage.Stamp {
	base, step := made, p.Every
	if p.Cron > 0 {
		base, step = 0, stage.Span(time.Duration(p.Cron)*time.Second)
	}
	run := base + max(1, (after-base)/step+1)*step
	if p.Until > 0 && run > p.Until {
		return stage.Never
	}
	return run
}

// schedule returns what the server is asked for; the message is the schedule's id.
func (p plan) schedule(id string) client.Schedule {
	at := func(t stage.Stamp) time.Time {
		if t == 0 {
			return time.Time{}
		}
		return time.UnixMilli(int64(t)).UTC()
	}
	s := client.Schedule{
		Push:     client.Push{To: client.Audience{Users: []string{witness}}, Data: id, Store: &p.Stored},
		At:       at(p.At),
		Delay:    time.Duration(p.Delay) * time.Millisecond,
		Every:    time.Duration(p.Every) * time.Millisecond,
		Timezone: p.Zone, Until: at(p.Until), MaxRuns: p.Runs, SkipLate: p.Skip,
	}
	if p.Cron > 0 {
		s.Cron = fmt.Sprintf("*/%d * * * * *", p.Cron)
	}
	return s
}
