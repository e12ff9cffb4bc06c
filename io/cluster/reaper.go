package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gomodule/redigo/redis"

	"crier/io/hub"
)

// reapCount is how many users are looked at in one step: others wait while it lasts.
const reapCount = 200

// reap looks, until ctx ends, for nodes that have gone, takes their users from them, and has those go offline who do not
// come back. Every node does it; each step is one that only the first can take.
func (a *Attendance) reap(ctx context.Context) {
	ticker := time.NewTicker(a.options.Interval)
	defer ticker.Stop()
	var s steadiness
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		err := a.sweep(ctx, s.lasts(time.Now(), a.node.client.Status(), a.node.options.Lease))
		if err != nil && ctx.Err() == nil && !errors.Is(err, ErrAway) && !errors.Is(err, ErrFenced) {
			a.log.Error("the users of servers that have gone could not be seen to; it is tried again", "error", err)
		}
	}
}

// steadiness is for how long this node has been there, and Redis for it. When Redis has been away, or this node has stood still,
// as when a whole machine does, then so it was for the other nodes: they are given the time of a lease to say that they are there.
type steadiness struct{ since, last time.Time }

// lasts tells whether it has been so for a while.
func (s *steadiness) lasts(now time.Time, link Status, lease time.Duration) bool {
	switch {
	case !link.Up, now.Sub(s.last) > lease/2:
		s.since = now
	case link.Since.After(s.since):
		s.since = link.Since
	}
	s.last = now
	return now.Sub(s.since) > lease
}

// sweep does once what reap does; without steadiness it only counts.
func (a *Attendance) sweep(ctx context.Context, steady bool) error {
	do := 0
	if steady {
		do = 1
	}
	reply, err := a.node.Run(ctx, fenceScript, a.node.options.Lease.Microseconds(), a.options.Grace.Microseconds(), do)
	figures, err := redis.Int64s(reply, err)
	if err != nil || len(figures) != 4 {
		return fmt.Errorf("looking for servers that have gone: %w", err)
	}
	a.counted(figures[2], figures[3])
	if !steady {
		return nil
	}
	if figures[0] > 0 {
		a.log.Warn("servers have not said for a while that they are there: their users go offline unless they are elsewhere", "servers", figures[0])
	}
	for more := figures[1]; more > 0; {
		reply, err := a.node.Run(ctx, releaseScript, a.options.Window.Microseconds(), reapCount)
		if more, err = redis.Int64(reply, err); err != nil {
			return fmt.Errorf("taking users from servers that have gone: %w", err)
		}
	}
	for {
		n, err := a.lapse(ctx)
		if err != nil || n < reapCount {
			return err
		}
	}
}

// lapse has users go offline who are due, and returns how many there were.
func (a *Attendance) lapse(ctx context.Context) (int, error) {
	reply, err := a.node.Run(ctx, dueScript, reapCount)
	due, err := redis.Strings(reply, err)
	if err != nil || len(due) == 0 {
		return 0, err
	}
	args := make([]any, 0, len(due)/2*3)
	for i := 0; i+1 < len(due); i += 2 {
		head, tail, err := a.callback(hub.PresenceChange{UID: due[i], Cause: due[i+1], Time: time.Now()})
		if err != nil {
			return 0, err
		}
		args = append(args, due[i], head, tail)
	}
	reply, err = a.node.Run(ctx, lapseScript, args...)
	n, err := redis.Int64(reply, err)
	if err != nil {
		return 0, fmt.Errorf("having users go offline: %w", err)
	}
	if n > 0 {
		a.log.Info("users of servers that have gone are offline", "users", n)
	}
	return len(due) / 2, nil
}
