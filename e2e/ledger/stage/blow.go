package stage

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// A Blow is a kind of fault.
type Blow struct {
	Name   string
	Weight int // how often it is there, compared with others
	Strike func(context.Context) error
}

// maxRest is how long after a start a relapse comes at most, which is to be in the middle of what the server has to recover.
const maxRest = 2 * time.Second

// plan returns the faults in their order: each kind as often as its weight says, shuffled, and that again.
func plan(t Terms, all []Blow, random *rand.Rand) ([]Blow, error) {
	var deck []Blow
	for _, b := range all {
		if !slices.Contains(t.Without, b.Name) {
			deck = append(deck, slices.Repeat([]Blow{b}, b.Weight)...)
		}
	}
	for _, name := range t.Without {
		if !slices.ContainsFunc(all, func(b Blow) bool { return b.Name == name }) {
			return nil, fmt.Errorf("there is no fault %q, but %s", name, blowNames(all))
		}
	}
	var order []Blow
	for len(deck) > 0 && len(order) < t.Faults {
		random.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
		order = append(order, deck...)
	}
	return order[:min(len(order), t.Faults)], nil
}

func blowNames(all []Blow) (names []string) {
	for _, b := range all {
		names = append(names, b.Name)
	}
	return names
}

// rage makes all faults, one after the other, each when so much is done.
func (r *Run) rage(ctx context.Context, all []Blow) error {
	order, err := plan(r.Terms, all, r.random)
	if err != nil {
		return err
	}
	for i, b := range order {
		if err := r.Progress.Reach(ctx, (i+1)*r.Terms.Owed/(len(order)+1)); err != nil {
			return err
		}
		if err := b.Strike(ctx); err != nil {
			return fmt.Errorf("%s: %w", b.Name, err)
		}
	}
	return nil
}

// Some returns a time of at most d. It is for blows.
func (r *Run) Some(d time.Duration) time.Duration { return time.Duration(r.random.Int64N(int64(d))) }

// Kill kills the server and starts it again after a while.
func (r *Run) Kill(ctx context.Context) error {
	if err := r.Servers[0].Kill(); err != nil {
		return err
	}
	if err := Sleep(ctx, r.Some(1500*time.Millisecond)); err != nil {
		return err
	}
	return r.Servers[0].Start(ctx)
}

// Relapse kills the server again before it has recovered.
func (r *Run) Relapse(ctx context.Context) error {
	if err := r.Kill(ctx); err != nil {
		return err
	}
	if err := Sleep(ctx, r.Some(maxRest)); err != nil {
		return err
	}
	return r.Kill(ctx)
}

// Pause has the server do nothing for a while.
func (r *Run) Pause(ctx context.Context) error {
	return r.Servers[0].Pause(ctx, 100*time.Millisecond+r.Some(3*time.Second))
}

// Restart has the server stop well, and starts it again.
func (r *Run) Restart(ctx context.Context) error {
	if err := r.Servers[0].Stop(); err != nil {
		return err
	}
	if err := Sleep(ctx, r.Some(500*time.Millisecond)); err != nil {
		return err
	}
	return r.Servers[0].Start(ctx)
}

// KillBrowser kills a browser, and another takes its place.
func (r *Run) KillBrowser(context.Context) error { return r.Browsers.kill(r.random) }

// FreezeBrowser has a browser do nothing for a while.
func (r *Run) FreezeBrowser(ctx context.Context) error {
	return r.Browsers.freeze(ctx, r.random, 100*time.Millisecond+r.Some(3*r.Terms.Ping))
}
