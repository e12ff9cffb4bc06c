package cluster

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// firstWait and lastWait are how long is waited before a lost connection is made again: twice as long each time. Half of
	// that is chance, so that the servers that have lost one Redis do not return to it together. With the last wait
	// everything is back within two seconds of Redis.
	firstWait = 100 * time.Millisecond
	lastWait  = time.Second
	// awayInterval is how often the log says that Redis is still away.
	awayInterval = time.Minute
)

// Status is how a connection to Redis is.
type Status struct {
	Up    bool
	Since time.Time // when it became so; at first, when it was begun
	Lost  uint64    // how many connections ended, of those that were made
}

// lifeline is a connection to Redis that is made again whenever it is lost.
type lifeline struct {
	// static
	log  *slog.Logger
	back string // what the log says when there is a connection
	away string // and when there is none

	warned time.Time // when the log last said that Redis is away; of run's goroutine

	mu     sync.Mutex
	status Status // guarded by mu
}

// run calls serve until ctx ends. serve connects once, says so with up, and works until the connection ends; it reports
// whether there was one, and why there is none any more.
func (l *lifeline) run(ctx context.Context, serve func(context.Context) (wasUp bool, err error)) {
	wait := firstWait
	for {
		wasUp, err := serve(ctx)
		if ctx.Err() != nil {
			return
		}
		if lasted := l.down(wasUp, err); lasted > lastWait {
			wait = firstWait // else Redis itself ends it again and again
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait/2 + rand.N(wait/2)):
		}
		wait = min(2*wait, lastWait)
	}
}

func (l *lifeline) up(address string) {
	l.mu.Lock()
	l.status.Up, l.status.Since = true, time.Now()
	l.mu.Unlock()
	l.warned = time.Time{}
	l.log.Info(l.back, "addr", address)
}

// down notes that there is no connection, says so in the log – at once, and then every minute – and returns for how long
// there was one.
func (l *lifeline) down(wasUp bool, err error) (lasted time.Duration) {
	now := time.Now()
	l.mu.Lock()
	if wasUp {
		lasted = now.Sub(l.status.Since)
		l.status.Up, l.status.Since = false, now
		l.status.Lost++
	}
	since := l.status.Since
	l.mu.Unlock()
	if l.warned.IsZero() || now.Sub(l.warned) >= awayInterval {
		l.warned = now
		l.log.Warn(l.away, "since", since.Format(time.RFC3339), "error", err)
	}
	return lasted
}

func (l *lifeline) state() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.status
}
