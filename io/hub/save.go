package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// savedFormat is the number of the layout of what SaveRecovery returns.
const savedFormat = 1

// errSaved says that what is restored did not come from SaveRecovery.
var errSaved = errors.New("the record is not one of a recovery")

// saved is a record of SaveRecovery: one of its fields is set. The head comes first.
type saved struct {
	Head    *savedHead    `json:"head,omitempty"`
	Trail   *savedTrail   `json:"trail,omitempty"`
	Message *savedMessage `json:"message,omitempty"`
}

type savedHead struct {
	Format   int
	Epoch    string
	At, Lost Position
}

type savedTrail struct {
	PID, ID, UID      string
	Own               []string
	Start, Last, Left Position
	Until             time.Time
	Spans             []Span
}

type savedMessage struct {
	At                Position
	Time              time.Time
	ID, Event         string
	ShowID            bool `json:",omitempty"`
	Args, Attachments [][]byte
	To                Audience
}

// SaveRecovery calls fn with records of the clients that are away, and of the messages that are kept, until fn returns an
// error, which it passes on. [Recovery].Restore brings them into the hub of the next process, for which the windows go on. It is
// called when the connections have ended, and after Close. Without clients it does not call fn.
func (h *Hub) SaveRecovery(fn func(record []byte) error) (err error) {
	r := h.recovery
	if r == nil {
		return nil
	}
	r.baton.with(func() {
		err = r.save(func(record saved) error {
			data, err := json.Marshal(record)
			if err != nil {
				return err
			}
			return fn(data)
		})
	})
	if err != nil {
		return fmt.Errorf("saving what clients can get replayed: %w", err)
	}
	return nil
}

// waiting returns the trails of the clients that are away, by the ends of their times. They do not change after close.
func (r *recovery) waiting() []*trail {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.SortedFunc(maps.Values(r.away.byPID), func(a, b *trail) int { return a.until.Compare(b.until) })
}

// save is SaveRecovery. Called with the baton.
func (r *recovery) save(put func(saved) error) error {
	trails := r.waiting()
	if len(trails) == 0 {
		return nil
	}
	l := r.memory
	if err := put(saved{Head: &savedHead{Format: savedFormat, Epoch: l.epoch, At: r.taken(), Lost: l.lost}}); err != nil {
		return err
	}
	for _, t := range trails {
		if t.mail.owing() { // what it was given could be confirmed here only
			continue
		}
		err := put(saved{Trail: &savedTrail{
			PID: t.pid, ID: t.id, UID: t.uid, Own: t.own, Start: t.start, Last: Position(t.last.Load()), Left: t.left,
			Until: t.until, Spans: t.spans,
		}})
		if err != nil {
			return err
		}
	}
	for i := range l.records {
		one := &l.records[i]
		m := &savedMessage{
			At: one.At, Time: one.time, ID: one.Message.ID, Event: one.Message.Event,
			ShowID: one.Message.ShowID, Attachments: one.Message.Attachments, To: one.To,
		}
		for _, arg := range one.Message.Args {
			m.Args = append(m.Args, arg)
		}
		if err := put(saved{Message: m}); err != nil {
			return err
		}
	}
	return nil
}

// restore takes up what has been saved. Nobody else has the hub yet. After an error it is as if there had been nothing.
func (r *recovery) restore() error {
	if r.Restore == nil {
		return nil
	}
	now := time.Now()
	err := r.Restore(func(record []byte) error {
		var one saved
		if err := json.Unmarshal(record, &one); err != nil {
			return err
		}
		switch {
		case one.Head != nil && one.Head.Format == savedFormat:
			r.memory.epoch, r.memory.lost = one.Head.Epoch, one.Head.Lost
			r.begun.Store(uint64(one.Head.At))
			r.ended.Store(uint64(one.Head.At))
		case one.Trail != nil:
			r.takeUp(one.Trail, now)
		case one.Message != nil:
			r.memory.takeUp(one.Message, now)
		default:
			return errSaved
		}
		return nil
	})
	if err != nil {
		r.empty()
		return fmt.Errorf("reading what clients can get replayed: %w", err)
	}
	if next, some := r.away.next(); some {
		r.wake(next.Sub(now))
	}
	r.outdate()
	return nil
}

// takeUp files a client that was away, unless its time is up.
func (r *recovery) takeUp(s *savedTrail, now time.Time) {
	left := s.Until.Sub(now)
	if left <= 0 {
		return
	}
	// Counted on by the clock of this process, which nobody sets; and not longer than a window, if that has become shorter.
	t := &trail{
		pid: s.PID, start: s.Start, spans: s.Spans, id: s.ID, uid: s.UID, own: s.Own, left: s.Left,
		until: now.Add(min(left, r.Window)),
	}
	t.last.Store(uint64(s.Last))
	r.tracked.Add(1 - int64(r.away.add(t, r.MaxBytes)))
}

// takeUp files a message, unless it is too old.
func (l *memoryLog) takeUp(s *savedMessage, now time.Time) {
	age := max(now.Sub(s.Time), 0)
	if age > l.keep {
		l.lost = max(l.lost, s.At)
		return
	}
	m := &Message{ID: s.ID, Event: s.Event, ShowID: s.ShowID, Attachments: s.Attachments}
	for _, arg := range s.Args {
		m.Args = append(m.Args, arg)
	}
	l.add(record{Logged{s.At, m, s.To}, now.Add(-age), costOf(m, &s.To)})
	l.bound()
}
