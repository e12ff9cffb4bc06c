//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"crier/bench/load"
	"crier/bench/proc"
)

const (
	broadcastEvery = 200 * time.Millisecond
	broadcastBytes = 100
	broadcasts     = 20 // in a round
)

// crowd measures memory, broadcasts and /v1 on one server with many clients.
func (b *bench) crowd(ctx context.Context) (err error) {
	if !b.wants("memory") && !b.wants("broadcast") && !b.wants("v1") {
		return nil
	}
	s, err := b.startServer(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	f, err := load.NewFleet()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()

	before, err := s.Resident()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := s.login(b.conns, f); err != nil {
		return err
	}
	b.table.note("connections and logins a second", "%.0f", float64(b.conns)/time.Since(began).Seconds())
	if b.wants("memory") {
		if err := b.memory(ctx, s, f, before); err != nil {
			return err
		}
	}
	if b.wants("broadcast") {
		if err := b.broadcast(ctx, s, f); err != nil {
			return err
		}
	}
	if b.wants("v1") {
		return b.v1(ctx, s, f)
	}
	return nil
}

// memory reads it when the last client has logged in, and again when each has had a heartbeat.
func (b *bench) memory(ctx context.Context, s *server, f *load.Fleet, before int) error {
	const target = 6000
	row := func(what string) error {
		now, err := s.Resident()
		b.table.atMost("resident bytes a connection, "+what, target, float64(now-before)/float64(f.Len()))
		return err
	}
	if err := row("right after the logins"); err != nil {
		return err
	}
	for f.Pongs() < f.Len() {
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return row("after a heartbeat (25 s)")
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// side is one of the two that broadcast.
type side struct {
	fleet   *load.Fleet
	process *proc.Child
	publish func(content []byte) error

	// by round
	user, system, total []float64 // processor seconds for a million deliveries
	last                []float64 // 99th percentile to arrive, in milliseconds
}

// String gives the medians.
func (s *side) String() string { return fmt.Sprintf("%.2f + %.2f", median(s.user), median(s.system)) }

// broadcast lets crier and the write loop take turns, so that both meet the same machine.
func (b *bench) broadcast(ctx context.Context, s *server, f *load.Fleet) (err error) {
	conns := min(b.conns, b.limit-spare-b.conns)
	if conns < 1 {
		return errors.New("not enough descriptors for the write loop")
	}
	loop, err := b.startCeiling(ctx, "writes", strconv.Itoa(conns))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, loop.Stop()) }()
	bare, err := load.NewFleet()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bare.Close()) }()
	if err := loop.fill(conns, bare); err != nil {
		return err
	}
	crier := side{fleet: f, process: s.Child, publish: s.publish}
	writes := side{fleet: bare, process: loop.Child, publish: loop.publish}
	for range b.rounds {
		for _, who := range []*side{&crier, &writes} {
			if err := who.round(ctx); err != nil {
				return err
			}
		}
	}
	b.table.atMost("broadcast: processor time, in write(2)s alone", 1.25, median(ratios(crier.total, writes.total)))
	b.table.note("– seconds for 1 M deliveries (user + system)", "%v", &crier)
	b.table.note("– the same of write(2) alone", "%v", &writes)
	b.table.note("– 99th percentile to arrive; of write(2) alone", "%.0f ms; %.0f ms", median(crier.last), median(writes.last))
	return nil
}

// round broadcasts for four seconds.
func (s *side) round(ctx context.Context) error {
	before, err := s.process.CPU()
	if err != nil {
		return err
	}
	if err := spread(ctx, s.fleet, s.publish, broadcastEvery, broadcastBytes, func(n int) bool { return n < broadcasts }); err != nil {
		return err
	}
	after, err := s.process.CPU()
	if err != nil {
		return err
	}
	used, millions := after.Since(before), float64(broadcasts*s.fleet.Len())/1e6
	s.user = append(s.user, used.User.Seconds()/millions)
	s.system = append(s.system, used.System.Seconds()/millions)
	s.total = append(s.total, used.Total().Seconds()/millions)
	s.last = append(s.last, s.fleet.Percentile(0.99).Seconds()*1e3)
	return nil
}

// spread sends broadcasts at a pace while more says so, and waits until all clients have got all of them.
func spread(ctx context.Context, f *load.Fleet, publish func([]byte) error, pace time.Duration, size int, more func(sent int) bool) error {
	f.Reset()
	begin := time.Now()
	sent := 0
	for ; more(sent); sent++ {
		if err := sleep(ctx, time.Until(begin.Add(time.Duration(sent)*pace))); err != nil {
			return err
		}
		if err := publish(load.AppendContent(nil, f.Now(), sent+1, size)); err != nil {
			return err
		}
	}
	_, err := f.Await(sent*f.Len(), awaitTimeout)
	return err
}

// awaitTimeout is when a delivery that has not come is taken for lost.
const awaitTimeout = 30 * time.Second
