package schedules

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"crier/api/client"
	"crier/e2e/ledger/stage"
)

const (
	callLimit = 10 * time.Second
	pollEvery = 500 * time.Millisecond
)

// A maker makes one schedule after the other, and the next when one has ended.
type maker struct {
	name     string
	random   *rand.Rand
	clients  []*client.Client // of all servers
	book     *stage.Book
	timeline *stage.Timeline
	progress *stage.Progress
	made     int
}

// play makes schedules until there are enough.
func (m *maker) play(ctx context.Context) error {
	for m.progress.Claim(1) {
		m.made++
		if err := m.make(ctx, fmt.Sprintf("%s.%d", m.name, m.made), draw(m.random)); err != nil {
			return err
		}
		m.progress.Done()
	}
	return nil
}

// client returns that of some server.
func (m *maker) client() *client.Client { return m.clients[m.random.IntN(len(m.clients))] }

func (m *maker) note(l line) error {
	l.At = stage.Now()
	return m.book.Note(l)
}

// make makes a schedule and returns when it has ended.
func (m *maker) make(ctx context.Context, id string, p plan) error {
	if err := m.note(line{On: asked, ID: id, Plan: &p}); err != nil {
		return err
	}
	call, cancel := context.WithTimeout(ctx, callLimit)
	state, err := m.client().PutSchedule(call, id, p.schedule(id))
	cancel()
	if err != nil {
		if !passing(err) && !(p.Until > 0 && invalid(err)) { // by then the first run may come after the end
			return fmt.Errorf("making %s: %w", id, err)
		}
		return errors.Join(m.note(line{On: open, ID: id}), m.remove(ctx, id))
	}
	l := line{On: made, ID: id, Made: stage.StampOf(state.Made)}
	if len(state.NextRuns) > 0 {
		l.First = stage.StampOf(state.NextRuns[0])
	}
	if err := m.note(l); err != nil {
		return err
	}
	if p.Remove > 0 {
		return errors.Join(stage.Sleep(ctx, time.Duration(p.Remove)*time.Millisecond), m.remove(ctx, id))
	}
	return m.await(ctx, id, l.First)
}

// passing says whether a call failed because the server was not there, or about to stop.
func passing(err error) bool {
	var problem *client.Problem
	return !errors.As(err, &problem) || problem.Status >= 500
}

// invalid says whether the server would not have a schedule.
func invalid(err error) bool {
	var problem *client.Problem
	return errors.As(err, &problem) && problem.Code == "invalid_field"
}

// remove removes a schedule.
func (m *maker) remove(ctx context.Context, id string) error {
	if err := m.note(line{On: removes, ID: id}); err != nil {
		return err
	}
	err := m.again(ctx, func(call context.Context) error {
		_, err := m.client().RemoveSchedule(call, id)
		if gone(err) {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("removing %s: %w", id, err)
	}
	return m.note(line{On: removed, ID: id})
}

// gone says whether a schedule is not there.
func gone(err error) bool {
	var problem *client.Problem
	return errors.As(err, &problem) && problem.Code == "schedule_not_found"
}

// again makes a call until it does not fail, or fails for good.
func (m *maker) again(ctx context.Context, do func(context.Context) error) error {
	for {
		call, cancel := context.WithTimeout(ctx, callLimit)
		err := do(call)
		cancel()
		if err == nil || !passing(err) {
			return err
		}
		select {
		case <-m.timeline.Wait():
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// await waits until a schedule is not there any more, but no longer than until it is certain that it ought not to be.
func (m *maker) await(ctx context.Context, id string, first stage.Stamp) error {
	const most = 20 * stage.Lag // answered probes, without a restart in between that puts off what is due
	wait := time.Duration(max(0, first-stage.Now())) * time.Millisecond
	for begun := stage.Now(); ; {
		if err := stage.Sleep(ctx, wait+pollEvery/2+time.Duration(m.random.Int64N(int64(pollEvery)))); err != nil {
			return err
		}
		wait = 0
		ended := false
		err := m.again(ctx, func(call context.Context) error {
			_, err := m.client().Schedule(call, id)
			if ended = gone(err); ended {
				return nil
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("asking for %s: %w", id, err)
		}
		if l, _, ok := m.timeline.At(stage.Now()); ok {
			begun = max(begun, l.Start)
		}
		for _, o := range m.timeline.Outages(begun-stage.Span(settling), stage.Now()) {
			begun = max(begun, min(o.To, stage.Now())+stage.Span(settling))
		}
		if _, late := m.timeline.Tick(max(begun, first), most); ended || late {
			return nil
		}
	}
}
