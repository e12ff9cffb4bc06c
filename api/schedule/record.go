package schedule

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// record is what is kept of a schedule, as JSON.
type record struct {
	Spec   Spec      `json:"spec"`
	Made   time.Time `json:"made"`
	Next   time.Time `json:"next"` // the run that is due; while paused, the one that would have been
	Runs   int       `json:"runs,omitempty"`
	Last   time.Time `json:"last,omitzero"`
	Error  string    `json:"error,omitempty"`
	Paused bool      `json:"paused,omitempty"`
}

// entry is a schedule. It never changes: another one takes its place.
type entry struct {
	record
	id   string
	plan *plan
}

// size is how many bytes count for an entry.
func (e *entry) size() int64 {
	s := &e.Spec
	return int64(len(e.id) + len(s.Push) + len(s.At) + len(s.Delay) + len(s.Every) + len(s.Cron) + len(s.Until))
}

// encode returns what is kept of e; nil says that nothing is.
func (e *entry) encode() ([]byte, error) {
	if e == nil {
		return nil, nil
	}
	var b bytes.Buffer
	w := json.NewEncoder(&b)
	w.SetEscapeHTML(false) // the push stays as it was written
	if err := w.Encode(e.record); err != nil {
		return nil, fmt.Errorf("encoding the schedule %q: %w", e.id, err)
	}
	return b.Bytes(), nil
}

// decode undoes encode. It keeps nothing of data.
func decode(id string, data []byte, z zones) (*entry, error) {
	e := &entry{id: id}
	if err := json.Unmarshal(data, &e.record); err != nil {
		return nil, fmt.Errorf("the stored schedule %q cannot be read: %w", id, err)
	}
	var err error
	if e.plan, err = e.Spec.plan(e.Made, z); err != nil {
		return nil, fmt.Errorf("the stored schedule %q cannot be understood: %w", id, err)
	}
	return e, nil
}

// runID is the id of the push that is due: the same whenever it is made again.
func (e *entry) runID() string { return e.id + "@" + e.Next.UTC().Format(time.RFC3339Nano) }

// after returns what is left of e when its run has been made, or has failed for good; nil if it was the last one.
func (e *entry) after(now time.Time, failure error) *entry {
	done := *e
	done.Runs++
	done.Last, done.Error = now, ""
	if failure != nil {
		done.Error = failure.Error()
	}
	from := e.Next
	if now.After(from) {
		from = now
	}
	done.Next = e.plan.next(from)
	if done.Next.IsZero() || e.plan.once() || e.plan.max > 0 && done.Runs >= e.plan.max {
		return nil
	}
	return &done
}

// resumed returns e going on; nil if there is nothing left to do.
func (e *entry) resumed(now time.Time) *entry {
	going := *e
	going.Paused = false
	switch {
	case !e.plan.once():
		if e.Next.Before(now) {
			going.Next = e.plan.next(now)
		}
	case e.plan.skip && e.Next.Before(now):
		return nil
	}
	if going.Next.IsZero() {
		return nil
	}
	return &going
}

// state is e for others to see.
func (e *entry) state(runs int) State {
	s := State{
		ID: e.id, Spec: e.Spec, Made: e.Made, Runs: e.Runs, Last: e.Last, Error: e.Error, Paused: e.Paused, Next: []time.Time{},
	}
	left := runs
	if e.plan.max > 0 {
		left = min(runs, e.plan.max-e.Runs)
	}
	if e.Paused {
		left = 0
	}
	for run := e.Next; left > 0 && !run.IsZero(); left-- {
		s.Next = append(s.Next, run.In(e.plan.zone))
		if e.plan.once() {
			break
		}
		run = e.plan.next(run)
	}
	return s
}

// State is a schedule and how far it has come.
type State struct {
	ID string
	Spec
	Made   time.Time
	Runs   int         // pushes made
	Last   time.Time   // when the latest was made; zero if none was
	Error  string      // why the latest run pushed nothing; empty if it did
	Paused bool        // nothing is pushed
	Next   []time.Time // some of the next runs, in the zone of the schedule; none while paused
}
