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
	slowPushes = 80 // at least, in each of the two parts
	slowMost   = 300
)

// slow compares clients on their own with the same ones beside others that never read.
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
	if err := spread(ctx, f, s.publish, slowEvery, slowBytes, func(n int) bool { return n < slowPushes }); err != nil {
		return err
	}
	alone := f.Percentile(0.99)

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
	got := 1.0
	if err != nil {
		b.table.note("  "+err.Error(), "")
		got = 0
	}
	beside := f.Percentile(0.99)
	what := fmt.Sprintf("%d clients beside %d that never read: ", readers, sleepers)
	b.table.atLeast(what+"all of it came, in order (1: yes)", 1, got)
	b.table.note("  99th percentile to arrive, alone; beside them", "%v; %v", alone.Round(100*time.Microsecond), beside.Round(100*time.Microsecond))
	b.table.atMost(what+"99th percentile to arrive, as a multiple of that alone", 2, float64(beside)/float64(alone))
	b.table.note("  closed and counted as too slow", "%d of %d", s.slow.Load(), sleepers)
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
