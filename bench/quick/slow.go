//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"crier/bench/load"
)

const (
	readers    = 1800
	sleepers   = 200 // never read
	slowEvery  = 100 * time.Millisecond
	slowBytes  = 8 << 10
	slowPushes = 60 // at least, in each of the three parts
	slowMost   = 300
)

// slow compares clients beside others that never read with the same ones on their own, before and after.
func (b *bench) slow(ctx context.Context) (err error) {
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
	if err := s.login(readers, f); err != nil {
		return err
	}
	alone := func() (time.Duration, error) {
		err := spread(ctx, f, s.publish, slowEvery, slowBytes, func(n int) bool { return n < slowPushes })
		return f.Percentile(0.99), err
	}
	before, err := alone()
	if err != nil {
		return err
	}

	var asleep sleeping
	defer func() { err = errors.Join(err, asleep.close()) }()
	// As over a network: on loopback the kernel alone would hold megabytes for each.
	d := load.Dial{Addr: s.public, Receive: 4 << 10, MaxSegment: 1400}
	err = load.Many(sleepers, func(i int) (*load.Conn, error) { return d.Login(load.UID(readers + i)) }, asleep.add)
	if err != nil {
		return err
	}
	err = spread(ctx, f, s.publish, slowEvery, slowBytes, func(n int) bool {
		return n < slowPushes || s.slow.Load() < sleepers && n < slowMost
	})
	b.table.check(fmt.Sprintf("%d clients beside %d that never read: all came, in order", readers, sleepers), err == nil)
	if err != nil {
		return err
	}
	beside := f.Percentile(0.99)
	after, err := alone()
	if err != nil {
		return err
	}
	b.table.atMost("– 99th percentile to arrive, in that without them", 2, 2*float64(beside)/float64(before+after))
	const round = 100 * time.Microsecond
	b.table.note("– before; with them; after", "%v; %v; %v", before.Round(round), beside.Round(round), after.Round(round))
	b.table.note("– of these, closed and counted as too slow", "%d", s.slow.Load())
	return nil
}

// sleeping are connections that nobody reads.
type sleeping struct {
	mu    sync.Mutex
	conns []*load.Conn
}

func (s *sleeping) add(c *load.Conn) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns = append(s.conns, c)
	return nil
}

func (s *sleeping) close() error {
	var errs []error
	for _, c := range s.conns {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}
