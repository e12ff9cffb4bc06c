package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/gomodule/redigo/redis"
)

const (
	// pingInterval is how often a subscription is asked whether it is alive. It may miss two answers.
	pingInterval = 5 * time.Second
	// firstWait and lastWait are how long a link waits before it tries to connect again: twice as long each time. Half of
	// that is chance, so that the servers that have lost one Redis do not return to it together. With the last wait
	// everything is back within two seconds of Redis.
	firstWait = 100 * time.Millisecond
	lastWait  = time.Second
	// awayInterval is how often the log says that Redis is still away.
	awayInterval = time.Minute
)

// Status is how a link to Redis is.
type Status struct {
	Up    bool
	Since time.Time // when it became so; at first, when it was begun
	Lost  uint64    // how many connections ended, of those that were made
}

// link keeps a subscription to patterns of channels alive.
type link struct {
	// static
	redis    *Redis
	patterns []string
	receive  func(ctx context.Context, channel string, body []byte) // called by one goroutine, in the order of arrival; the body is the callee's
	log      *slog.Logger
	interval time.Duration // pingInterval

	warned time.Time // when the log last said that Redis is away; of run's goroutine

	mu     sync.Mutex
	status Status // guarded by mu
}

// run keeps the link up until ctx ends.
func (l *link) run(ctx context.Context) {
	wait := firstWait
	for {
		up, err := l.serve(ctx)
		if ctx.Err() != nil {
			return
		}
		if lasted := l.down(up, err); lasted > lastWait {
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

// serve connects once and receives until the connection ends. It reports whether it was up, and why it is not any more.
func (l *link) serve(ctx context.Context) (up bool, err error) {
	c, address, err := l.redis.dial(ctx)
	if err != nil {
		return false, err
	}
	subscription := redis.PubSubConn{Conn: c.Conn}
	done := make(chan struct{})
	var pinging sync.WaitGroup
	defer func() { // the connection first, so that a ping under way ends
		c.close()
		close(done)
		pinging.Wait()
	}()
	patterns := make([]any, len(l.patterns))
	for i, pattern := range l.patterns {
		patterns[i] = pattern
	}
	if err := subscription.PSubscribe(patterns...); err != nil {
		return false, fmt.Errorf("subscribing: %w", err)
	}
	for {
		switch got := subscription.ReceiveWithTimeout(3 * l.interval).(type) {
		case redis.Message:
			l.receive(ctx, got.Channel, got.Data)
		case redis.Subscription:
			if got.Count == len(l.patterns) { // the last of them
				up = true
				l.up(address)
				pinging.Go(func() { ping(subscription, l.interval, done) })
			}
		case redis.Error:
			return up, fmt.Errorf("subscribing to %q: Redis says %q", l.patterns, string(got))
		case error:
			return up, fmt.Errorf("reading what is published: %w", got)
		}
	}
}

// ping has a subscription answered every now and then, so that one that leads nowhere is noticed. An error shows where the
// answers are read.
func ping(subscription redis.PubSubConn, interval time.Duration, done <-chan struct{}) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return
		case <-ticker.C:
			if err := subscription.Ping(""); err != nil {
				return
			}
		}
	}
}

func (l *link) up(address string) {
	l.mu.Lock()
	l.status.Up, l.status.Since = true, time.Now()
	l.mu.Unlock()
	l.warned = time.Time{}
	l.log.Info("connected to Redis", "addr", address)
}

// down notes that there is no connection, says so in the log – at once, and then every minute – and returns for how long
// there was one.
func (l *link) down(wasUp bool, err error) (lasted time.Duration) {
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
		l.log.Warn("Redis is away: what emitters send meanwhile is lost; trying again", "since", since.Format(time.RFC3339), "error", err)
	}
	return lasted
}

func (l *link) state() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.status
}
