//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"crier/bench/load"
	"crier/bench/proc"
)

const (
	callers   = 32
	pushBytes = 100
	pushFor   = 2 * time.Second // in a round
)

// sender pushes for a while, and returns how many pushes were answered.
type sender func(users []*load.Users) (pushes int, err error)

// v1 compares the ways to push to random users with a bare handler, and with one another.
func (b *bench) v1(ctx context.Context, s *server, f *load.Fleet) (err error) {
	bare, err := b.startCeiling(ctx, "pushes")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bare.Stop()) }()

	var handler, push, bareOnce, once, lines, stream rates
	for range b.rounds {
		for _, way := range []struct {
			rates  *rates
			server *proc.Child
			shares int
			send   sender
		}{
			{&handler, bare.Child, callers, func(users []*load.Users) (int, error) { return call(ctx, bare.addr, users, false) }},
			{&push, s.Child, callers, func(users []*load.Users) (int, error) { return call(ctx, s.push, users, false) }},
			{&bareOnce, bare.Child, callers, func(users []*load.Users) (int, error) { return call(ctx, bare.addr, users, true) }},
			{&once, s.Child, callers, func(users []*load.Users) (int, error) { return call(ctx, s.push, users, true) }},
			{&lines, s.Child, 1, func(users []*load.Users) (int, error) { return overLink(load.DialLines(s.push, users[0])) }},
			{&stream, s.Child, 1, func(users []*load.Users) (int, error) { return overLink(load.DialStream(s.push, users[0])) }},
		} {
			if err := way.rates.add(f, way.server, way.shares, way.send, way.server == s.Child); err != nil {
				return err
			}
		}
	}
	b.table.atLeast(fmt.Sprintf("/v1/push over %d connections, in bare handlers", callers), 0.6, push.over(handler))
	b.table.note("– if only the server's processor counted", "%.2f", median(ratios(handler.each, push.each)))
	b.table.note("– with a new connection for each push", "%.2f", once.over(bareOnce))
	b.table.atLeast("/v1/push/batch, one link of lines, in /v1/push", 2.5, lines.over(push))
	b.table.atLeast("/v1/stream, one WebSocket, in /v1/push", 2.5, stream.over(push))
	b.table.note("one link of lines, in bare handlers; one WebSocket", "%.2f; %.2f", lines.over(handler), stream.over(handler))
	b.table.note("– a second, and µs of processor: bare; /v1/push", "%v; %v", handler, push)
	b.table.note("– the same with new connections", "%v; %v", bareOnce, once)
	b.table.note("– the same of lines; of /v1/stream", "%v; %v", lines, stream)
	return nil
}

// rates are what one way to push has come to, round by round.
type rates struct {
	pushes []float64 // a second
	each   []float64 // microseconds of the server's processor
}

// String gives the medians.
func (r rates) String() string { return fmt.Sprintf("%.0f, %.1f", median(r.pushes), median(r.each)) }

// add counts the answers or, with arrive, the deliveries, all of which have to come.
func (r *rates) add(f *load.Fleet, server *proc.Child, shares int, send sender, arrive bool) error {
	f.Reset()
	before, err := server.CPU()
	if err != nil {
		return err
	}
	began := time.Now()
	pushes, err := send(load.Share(f.Len(), shares, pushBytes, f.Now))
	if err != nil {
		return err
	}
	last := time.Now()
	if arrive {
		if last, err = f.Await(pushes, awaitTimeout); err != nil {
			return err
		}
	}
	after, err := server.CPU()
	if err != nil {
		return err
	}
	r.pushes = append(r.pushes, float64(pushes)/last.Sub(began).Seconds())
	r.each = append(r.each, float64(after.Since(before).Total().Microseconds())/float64(pushes))
	return nil
}

// over is the median, over the rounds, of the rate as a multiple of another.
func (r rates) over(other rates) float64 { return median(ratios(r.pushes, other.pushes)) }

func call(ctx context.Context, addr netip.AddrPort, users []*load.Users, fresh bool) (pushes int, err error) {
	c, err := load.NewCallers(addr, "/v1/push", users)
	if err != nil {
		return 0, err
	}
	c.Fresh = fresh
	defer func() { err = errors.Join(err, c.Close()) }()
	return c.Run(ctx, pushFor)
}

func overLink(l *load.Link, err error) (int, error) {
	if err != nil {
		return 0, err
	}
	pushes, err := l.Run(pushFor)
	return pushes, errors.Join(err, l.Close())
}
