package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// chaos makes the faults, one after the other, each when the users have come so far.
type chaos struct {
	terms    terms
	random   *rand.Rand
	server   *server
	browsers *browsers
	receiver *receiver
	progress *progress
}

// A blow is a kind of fault.
type blow struct {
	name   string
	weight int
	strike func(*chaos, context.Context) error
}

var blows = []blow{
	{"kill", 3, (*chaos).kill},
	{"relapse", 1, (*chaos).relapse},
	{"stop", 3, (*chaos).stop},
	{"restart", 2, (*chaos).restart},
	{"browser", 2, (*chaos).killBrowser},
	{"outage", 1, (*chaos).outage},
	{"hang", 1, (*chaos).hang},
	{"storm", 1, (*chaos).storm},
}

// plan returns the faults in their order: each kind as often as its weight says, shuffled, and that again.
func (c *chaos) plan() ([]blow, error) {
	var deck []blow
	for _, b := range blows {
		if !slices.Contains(c.terms.Without, b.name) {
			deck = append(deck, slices.Repeat([]blow{b}, b.weight)...)
		}
	}
	for _, name := range c.terms.Without {
		if !slices.ContainsFunc(blows, func(b blow) bool { return b.name == name }) {
			return nil, fmt.Errorf("there is no fault %q", name)
		}
	}
	var all []blow
	for len(deck) > 0 && len(all) < c.terms.Faults {
		c.random.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
		all = append(all, deck...)
	}
	return all[:min(len(all), c.terms.Faults)], nil
}

// rage makes all faults.
func (c *chaos) rage(ctx context.Context) error {
	all, err := c.plan()
	if err != nil {
		return err
	}
	for i, b := range all {
		if err := c.progress.reach(ctx, (i+1)*c.terms.Transitions/(len(all)+1)); err != nil {
			return err
		}
		if err := b.strike(c, ctx); err != nil {
			return fmt.Errorf("%s: %w", b.name, err)
		}
	}
	return nil
}

// some returns a time of at most d.
func (c *chaos) some(d time.Duration) time.Duration { return time.Duration(c.random.Int64N(int64(d))) }

// kill kills the server and starts it again after a while.
func (c *chaos) kill(ctx context.Context) error {
	if err := c.server.kill(); err != nil {
		return err
	}
	if err := sleep(ctx, c.some(1500*time.Millisecond)); err != nil {
		return err
	}
	return c.server.start(ctx)
}

// relapse kills the server again before it has recovered.
func (c *chaos) relapse(ctx context.Context) error {
	if err := c.kill(ctx); err != nil {
		return err
	}
	if err := sleep(ctx, c.some(c.terms.Grace)); err != nil {
		return err
	}
	return c.kill(ctx)
}

// stop has the server do nothing for a while.
func (c *chaos) stop(ctx context.Context) error {
	return c.server.pause(ctx, 100*time.Millisecond+c.some(3*time.Second))
}

// restart has the server stop well, and starts it again.
func (c *chaos) restart(ctx context.Context) error {
	if err := c.server.stop(); err != nil {
		return err
	}
	if err := sleep(ctx, c.some(500*time.Millisecond)); err != nil {
		return err
	}
	return c.server.start(ctx)
}

func (c *chaos) killBrowser(context.Context) error { return c.browsers.kill(c.random) }

// outage has the receiver refuse connections for a while.
func (c *chaos) outage(ctx context.Context) error {
	return c.without(ctx, func() error { return sleep(ctx, c.some(3*time.Second)) })
}

// storm kills the server while the receiver is away.
func (c *chaos) storm(ctx context.Context) error {
	return c.without(ctx, func() error {
		if err := sleep(ctx, c.some(2*time.Second)); err != nil {
			return err
		}
		return c.kill(ctx)
	})
}

// without does something while the receiver is away.
func (c *chaos) without(ctx context.Context, do func() error) error {
	if err := c.server.diary.note(driverLine{On: receiverDown}); err != nil {
		return err
	}
	if err := c.receiver.down(); err != nil {
		return err
	}
	return errors.Join(do(), c.receiver.up())
}

// hang has the receiver answer nobody for a while.
func (c *chaos) hang(ctx context.Context) error {
	if err := c.server.diary.note(driverLine{On: receiverHang}); err != nil {
		return err
	}
	return c.receiver.hang(ctx, c.some(3*time.Second))
}
