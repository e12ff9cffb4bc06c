package app

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"
)

// leaveTime is how long the leave of one client may make a stop: a server with few of them stops at once.
const leaveTime = time.Millisecond

// drain takes leave of the clients, while everything else goes on: one after the other in random order, over drain.spread or
// less, so that the servers that they come back to do not have all of them at once. Nobody new is let in any more.
func (a *App) drain(ctx context.Context) {
	var ends []func()
	if a.sockets != nil {
		ends = a.sockets.Retire()
	}
	if a.fallbacks != nil {
		ends = slices.Concat(ends, a.fallbacks.Retire())
	}
	if a.passage != nil {
		ends = slices.Concat(ends, a.passage.passer.Retire())
	}
	over := min(a.cfg.Drain.Spread, time.Duration(len(ends))*a.leaveTime)
	if len(ends) > 0 {
		a.log.Info("taking leave of the clients", "connections", len(ends), "over", over)
	}
	if over <= forwardTimeout { // who waits for the business server hears of it; for longer the others would have to do without that server
		a.closeForwarder(ctx)
	}
	rand.Shuffle(len(ends), func(i, j int) { ends[i], ends[j] = ends[j], ends[i] })
	spread(ctx, ends, over)
}

// spread makes the calls at an even pace over that time; not those that are left when ctx ends.
func spread(ctx context.Context, calls []func(), over time.Duration) {
	begun := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i, call := range calls {
		due := over * time.Duration(i) / time.Duration(len(calls))
		if wait := due - time.Since(begun); wait >= time.Millisecond { // less is no worth a sleep
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				return
			}
		}
		call()
	}
}
