//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"crier/bench/load"
	"crier/bench/proc"
)

const (
	callers   = 32
	pushBytes = 100
	pushFor   = 2 * time.Second // in a round
	writes    = 150_000         // of deliveries alone, likewise
)

// linkOver is how many times as fast as /v1/push a link is to be, and pushOver how fast that is in bare handlers: so a link
// is to be as fast as linkOver×pushOver of these.
const (
	linkOver = 2.5
	pushOver = 0.6
)

// sender pushes for a while, and returns how many pushes were answered.
type sender func(users []*load.Users) (pushes int, err error)

// way is one way to push.
type way struct {
	server *proc.Child
	fleet  *load.Fleet // to which all have to come; nil: nothing is delivered
	shares int
	send   sender
	rates  rates
}

// v1 compares the ways to push to random users with a bare handler, with one another, and with what the deliveries alone
// take.
func (b *bench) v1(ctx context.Context, s *server, f *load.Fleet) (err error) {
	bare, err := b.startCeiling(ctx, "pushes")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bare.Stop()) }()
	loop, sockets, err := b.startLoop(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sockets.Close(), loop.Stop()) }()

	calls := func(addr netip.AddrPort, fresh bool) sender {
		return func(users []*load.Users) (int, error) { return call(ctx, addr, users, fresh) }
	}
	handler := &way{server: bare.Child, shares: callers, send: calls(bare.addr, false)}
	push := &way{server: s.Child, fleet: f, shares: callers, send: calls(s.push, false)}
	bareOnce := &way{server: bare.Child, shares: callers, send: calls(bare.addr, true)}
	once := &way{server: s.Child, fleet: f, shares: callers, send: calls(s.push, true)}
	lines := &way{server: s.Child, fleet: f, shares: 1, send: func(users []*load.Users) (int, error) { return overLink(load.DialLines(s.push, users[0])) }}
	stream := &way{server: s.Child, fleet: f, shares: 1, send: func(users []*load.Users) (int, error) { return overLink(load.DialStream(s.push, users[0])) }}
	floor := &way{server: loop.Child, fleet: sockets, send: func([]*load.Users) (int, error) { return writes, loop.unicast(writes) }}
	for range b.rounds {
		for _, w := range []*way{handler, push, bareOnce, once, lines, stream, floor} {
			if err := w.round(f.Len(), f.Now); err != nil {
				return err
			}
		}
	}
	b.table.atLeast(fmt.Sprintf("/v1/push over %d connections, in bare handlers", callers), pushOver, push.over(handler))
	b.table.note("– if only the server's processor counted", "%.2f", push.cheaper(handler))
	b.table.note("– with a new connection for each push", "%.2f", once.over(bareOnce))
	b.compare("/v1/push/batch, one link of lines", lines, push, handler, floor)
	b.compare("/v1/stream, one WebSocket", stream, push, handler, floor)
	b.table.note("a second; µs of the server's processor, of the load's: bare handler", "%v", handler.rates)
	b.table.note("– /v1/push", "%v", push.rates)
	b.table.note("– bare handler, new connections", "%v", bareOnce.rates)
	b.table.note("– /v1/push, new connections", "%v", once.rates)
	b.table.note("– lines", "%v", lines.rates)
	b.table.note("– /v1/stream", "%v", stream.rates)
	b.table.note("– deliveries alone", "%v", floor.rates)
	return nil
}

// startLoop starts a loop of deliveries alone, and connects what they go to. The caller must close both.
func (b *bench) startLoop(ctx context.Context) (loop *ceiling, sockets *load.Fleet, err error) {
	conns := min(b.conns, b.limit-spare-b.conns)
	if conns < 1 {
		return nil, nil, errors.New("not enough descriptors for the write loop")
	}
	loop, err = b.startCeiling(ctx, "unicasts", strconv.Itoa(conns), strconv.Itoa(pushBytes))
	if err != nil {
		return nil, nil, err
	}
	if sockets, err = load.NewFleet(); err != nil {
		return nil, nil, errors.Join(err, loop.Stop())
	}
	if err := loop.fill(conns, sockets); err != nil {
		return nil, nil, errors.Join(err, sockets.Close(), loop.Stop())
	}
	return loop, sockets, nil
}

// compare adds the rows of a link.
func (b *bench) compare(name string, link, push, handler, floor *way) {
	b.table.atLeast(name+", in /v1/push", linkOver, link.over(push))
	b.table.atLeast("– in bare handlers", linkOver*pushOver, link.over(handler))
	b.table.note("– in /v1/push and bare handlers, if only the server's processor counted", "%.2f; %.2f", link.cheaper(push), link.cheaper(handler))
	b.table.note("– in deliveries alone, which are a write(2) each", "%.2f", link.cheaper(floor))
}

// rates are what one way to push has come to, round by round.
type rates struct {
	pushes []float64 // a second
	each   []float64 // microseconds of the server's processor
	load   []float64 // and of the load's
}

// String gives the medians.
func (r rates) String() string {
	return fmt.Sprintf("%.0f; %.1f, %.1f", median(r.pushes), median(r.each), median(r.load))
}

// round pushes for a while to so many users. What is delivered counts when it arrives, and all has to.
func (w *way) round(users int, now func() time.Duration) error {
	if w.fleet != nil {
		w.fleet.Reset()
	}
	before, err := w.server.CPU()
	if err != nil {
		return err
	}
	began, busy := time.Now(), proc.Own()
	pushes, err := w.send(load.Share(users, w.shares, pushBytes, now))
	if err != nil {
		return err
	}
	last := time.Now()
	if w.fleet != nil {
		if last, err = w.fleet.Await(pushes, awaitTimeout); err != nil {
			return err
		}
	}
	after, err := w.server.CPU()
	if err != nil {
		return err
	}
	n := float64(pushes)
	w.rates.pushes = append(w.rates.pushes, n/last.Sub(began).Seconds())
	w.rates.each = append(w.rates.each, float64(after.Since(before).Total().Microseconds())/n)
	w.rates.load = append(w.rates.load, float64((proc.Own()-busy).Microseconds())/n)
	return nil
}

// over is the median, over the rounds, of the rate as a multiple of another.
func (w *way) over(other *way) float64 {
	return median(ratios(w.rates.pushes, other.rates.pushes))
}

// cheaper is the same if only the server's processor counted.
func (w *way) cheaper(other *way) float64 {
	return median(ratios(other.rates.each, w.rates.each))
}

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
