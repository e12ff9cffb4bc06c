package cluster

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/gomodule/redigo/redis"
)

// pingInterval is how often a connection is asked whether it is alive. A subscription may miss two answers.
const pingInterval = 5 * time.Second

// link keeps a subscription to patterns of channels alive.
type link struct {
	// static
	redis    *Redis
	patterns []string
	receive  func(ctx context.Context, channel string, body []byte) // called by one goroutine, in the order of arrival; the body is the callee's
	interval time.Duration                                          // pingInterval

	lifeline
}

// run keeps the link up until ctx ends.
func (l *link) run(ctx context.Context) { l.lifeline.run(ctx, l.serve) }

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
				pinging.Go(func() { keepAsking(subscription, l.interval, done) })
			}
		case redis.Error:
			return up, fmt.Errorf("subscribing to %q: Redis says %q", l.patterns, string(got))
		case error:
			return up, fmt.Errorf("reading what is published: %w", got)
		}
	}
}

// keepAsking has a subscription answered every now and then, so that one that leads nowhere is noticed. An error shows where the
// answers are read.
func keepAsking(subscription redis.PubSubConn, interval time.Duration, done <-chan struct{}) {
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
