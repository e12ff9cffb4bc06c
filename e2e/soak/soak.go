//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"crier/e2e/rig"
)

// options say how much there is to be.
type options struct {
	rig.Play
	cycles, round, workers int
	patience               time.Duration // for one client, and for what it leaves to go
}

// settings of a server on which what is left of a client ends soon, but not while a busy machine lets the client wait.
func settings(callbacks string) map[string]string {
	return map[string]string{
		"webhook.url": callbacks, "webhook.batch": "100", "presence.offline_delay": "100ms",
		"inbox.open": "true", "socketio.ping_interval": "10s", "socketio.ping_timeout": "20s", "recovery.window": "2s",
		"store.path": "crier.db", "limits.connections": "0", "log.level": "warn", "drain.spread": "0s",
	}
}

// soak is a run.
type soak struct {
	o       options
	server  *rig.Server
	told    *receiver
	pushing *pushing
	visits  atomic.Int64 // begun
}

// perform makes a run.
func (o options) perform(ctx context.Context) (result *result, err error) {
	told := &receiver{}
	calls, err := rig.Receive(told.take)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, calls.Close()) }()
	server, err := rig.New(rig.Options{Binary: o.Binary, Dir: o.Dir, Settings: settings(calls.URL())})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	if err := server.Start(ctx); err != nil {
		return nil, err
	}
	s := &soak{o: o, server: server, told: told, pushing: newPushing(server.Push)}
	result, err = s.run(ctx)
	if err != nil {
		return nil, errors.Join(err, errors.New(server.Tail()))
	}
	stopping, cancel := context.WithTimeout(ctx, o.patience)
	defer cancel()
	return result, server.Stop(stopping)
}

func (s *soak) run(ctx context.Context) (*result, error) {
	r := &result{}
	for {
		if err := s.round(ctx); err != nil {
			return nil, err
		}
		one, err := s.look(ctx, r.samples)
		if err != nil {
			return nil, err
		}
		r.samples = append(r.samples, one)
		s.o.Note(one.String())
		if s.over() {
			break
		}
	}
	r.online, r.offline = s.told.counts()
	r.pushed, r.stored, r.toAll = s.pushing.counts()
	r.ways = maps.Collect(s.ways())
	return r, nil
}

// over reports whether everybody has been there. The first round is the warm-up.
func (s *soak) over() bool { return int(s.visits.Load()) >= s.o.cycles+s.o.round }

// round has some clients come and go, and everybody pushed to all the while.
func (s *soak) round(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	last := s.visits.Load() + int64(s.o.round)
	var crew, crier sync.WaitGroup
	for range s.o.workers {
		crew.Go(func() {
			for ctx.Err() == nil {
				n := s.visits.Add(1)
				if n > last {
					s.visits.Add(-1)
					return
				}
				if err := s.visit(ctx, int(n)); err != nil {
					cancel(fmt.Errorf("client %d: %w", n, err))
				}
			}
		})
	}
	everybody, stop := context.WithCancel(ctx)
	crier.Go(func() {
		if err := s.pushing.everybody(everybody); err != nil {
			cancel(err)
		}
	})
	crew.Wait()
	stop()
	crier.Wait()
	return context.Cause(ctx)
}

// look waits until the last clients are gone for the server too, and looks at what it holds. What is more than after the first
// round gets time to go.
func (s *soak) look(ctx context.Context, before []sample) (sample, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.o.patience, errors.New("patience is at an end"))
	defer cancel()
	s.pushing.rest()
	left := []string{"crier_sockets", "crier_users", `crier_callbacks{state="waiting"}`}
	if s.over() { // before that nobody waits until what was not confirmed has expired
		left = append(left, "crier_inbox_messages")
	}
	err := s.server.Await(ctx, left...)
	for begun := time.Now(); err == nil; {
		one := sample{cycles: int(s.visits.Load())}
		if one.Vitals, err = s.server.Vitals(ctx); err != nil {
			break
		}
		if len(before) == 0 && time.Since(begun) > time.Second || len(before) > 0 && !one.more(before[0]) || time.Since(begun) > s.o.patience/4 {
			return one, nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return sample{}, err
}
