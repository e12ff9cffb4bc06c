package client

import (
	"context"
	"encoding/json"
	"time"
)

// Schedule is a push and when it is made. Of At, Delay, Every and Cron exactly one says that.
type Schedule struct {
	// Push is the message, without ID, Ack and DryRun. Required.
	Push Push
	// At is a time.
	At time.Time
	// Delay is how long from now. It is given if it is not zero.
	Delay time.Duration
	// Every is the time from one push to the next, and to the first: a second or more.
	Every time.Duration
	// Cron are five fields, six with seconds first, or a descriptor such as @daily.
	Cron string
	// Timezone is a name of the time zone database, for Cron. Empty: UTC.
	Timezone string
	// Until is when the pushes of Every and Cron end. Zero: never.
	Until time.Time
	// MaxRuns is how many pushes Every and Cron make at most. Zero: no limit.
	MaxRuns int
	// SkipLate drops a push of At or Delay that could not be made in time, since the server did not run.
	SkipLate bool
}

// MarshalJSON writes what the server reads.
func (s Schedule) MarshalJSON() ([]byte, error) {
	full := struct {
		Push     Push      `json:"push"`
		At       time.Time `json:"at,omitzero"`
		Delay    string    `json:"delay,omitempty"`
		Every    string    `json:"every,omitempty"`
		Cron     string    `json:"cron,omitempty"`
		Timezone string    `json:"timezone,omitempty"`
		Until    time.Time `json:"until,omitzero"`
		MaxRuns  int       `json:"max_runs,omitempty"`
		Late     string    `json:"late,omitempty"`
	}{Push: s.Push, At: s.At, Cron: s.Cron, Timezone: s.Timezone, Until: s.Until, MaxRuns: s.MaxRuns}
	if s.Delay != 0 {
		full.Delay = s.Delay.String()
	}
	if s.Every != 0 {
		full.Every = s.Every.String()
	}
	if s.SkipLate {
		full.Late = "skip"
	}
	return encode(full)
}

// ScheduleState is a schedule on the server. Times and durations are as its maker wrote them.
type ScheduleState struct {
	ID       string          `json:"id"`
	Push     json.RawMessage `json:"push"`
	At       string          `json:"at,omitempty"`
	Delay    string          `json:"delay,omitempty"`
	Every    string          `json:"every,omitempty"`
	Cron     string          `json:"cron,omitempty"`
	Timezone string          `json:"timezone,omitempty"`
	Until    string          `json:"until,omitempty"`
	MaxRuns  int             `json:"max_runs,omitempty"`
	Late     string          `json:"late,omitempty"`
	Made     time.Time       `json:"made"`
	Runs     int             `json:"runs"`            // pushes made
	Last     time.Time       `json:"last,omitzero"`   // the latest
	Error    string          `json:"error,omitempty"` // why the latest was refused
	Paused   bool            `json:"paused"`
	NextRuns []time.Time     `json:"next_runs"` // up to five, in the schedule's time zone
}

// ScheduleList is a page of schedules, by id. Its cursor stays good.
type ScheduleList struct {
	Schedules []ScheduleState `json:"schedules"`
	Next      string          `json:"next,omitempty"`
}

// AddSchedule makes a schedule under a new id. The call is not repeated, since each makes another schedule.
func (c *Client) AddSchedule(ctx context.Context, s Schedule) (ScheduleState, error) {
	return c.schedule(ctx, call{method: "POST", path: []string{"v1", "schedules"}, body: s})
}

// PutSchedule makes a schedule under an id, in the place of the one that has it.
func (c *Client) PutSchedule(ctx context.Context, id string, s Schedule) (ScheduleState, error) {
	return c.schedule(ctx, call{method: "PUT", path: []string{"v1", "schedules", id}, body: s, repeat: true})
}

// Schedules returns a page of the schedules.
func (c *Client) Schedules(ctx context.Context, p Page) (ScheduleList, error) {
	var list ScheduleList
	err := c.read(ctx, &list, p.query(), "v1", "schedules")
	return list, err
}

// Schedule returns one schedule.
func (c *Client) Schedule(ctx context.Context, id string) (ScheduleState, error) {
	return c.schedule(ctx, call{method: "GET", path: []string{"v1", "schedules", id}, repeat: true})
}

// RemoveSchedule ends a schedule and returns what it was.
func (c *Client) RemoveSchedule(ctx context.Context, id string) (ScheduleState, error) {
	return c.schedule(ctx, call{method: "DELETE", path: []string{"v1", "schedules", id}})
}

// PauseSchedule keeps a schedule from pushing.
func (c *Client) PauseSchedule(ctx context.Context, id string) (ScheduleState, error) {
	return c.schedule(ctx, call{method: "POST", path: []string{"v1", "schedules", id, "pause"}, repeat: true})
}

// ResumeSchedule lets a schedule that was paused go on. One that has nothing left to do ends, and has no NextRuns.
func (c *Client) ResumeSchedule(ctx context.Context, id string) (ScheduleState, error) {
	return c.schedule(ctx, call{method: "POST", path: []string{"v1", "schedules", id, "resume"}, repeat: true})
}

func (c *Client) schedule(ctx context.Context, one call) (ScheduleState, error) {
	var s ScheduleState
	err := c.do(ctx, one, &s)
	return s, err
}
