//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"crier/e2e/rig"
	"crier/e2e/visit"
)

// options say how much there is to be.
type options struct {
	rig.Play
	restarts, users, callers, pushes int
	seed                             uint64
	patience                         time.Duration // for anything
}

// settings of the server: those that a shop would have, but that nothing is signed.
func settings() map[string]string {
	return map[string]string{"store.path": "crier.db", "inbox.open": "true", "log.level": "warn"}
}

// stage is a run.
type stage struct {
	o      options
	server *rig.Server
	book   *book
	users  []*user

	settling atomic.Bool // nobody pushes any more
}

// perform makes a run, and returns what was noted.
func (o options) perform(ctx context.Context) (b *book, err error) {
	server, err := rig.New(rig.Options{Binary: o.Binary, Dir: o.Dir, Settings: settings()})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	if err := server.Start(ctx); err != nil {
		return nil, err
	}
	s := &stage{o: o, server: server, book: newBook()}
	for i := range o.users {
		way := visit.Ways()[i%len(visit.Ways())]
		s.users = append(s.users, &user{
			stage: s, uid: fmt.Sprint("user-", i), way: way, wanders: i/len(visit.Ways())%2 == 1,
			dice: rand.New(rand.NewPCG(o.seed, uint64(i))),
		})
	}
	if err := s.run(ctx); err != nil {
		return nil, errors.Join(err, errors.New(server.Tail()))
	}
	stopping, cancel := context.WithTimeout(ctx, o.patience)
	defer cancel()
	return s.book, server.Stop(stopping)
}

func (s *stage) run(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	staying, leave := context.WithCancel(ctx)
	pushing, rest := context.WithCancel(ctx)
	var users, callers sync.WaitGroup
	defer users.Wait()
	defer callers.Wait()
	defer leave()
	defer rest()
	for _, u := range s.users {
		users.Go(func() {
			if err := u.live(staying); err != nil {
				fail(fmt.Errorf("%s by %s: %w", u.uid, u.way, err))
			}
		})
	}
	if err := s.await(ctx, "everybody has come", func() bool { return s.visited(0) }); err != nil {
		return err
	}
	for i := range s.o.callers {
		c := &caller{stage: s, number: i, fresh: i%2 == 1, dice: rand.New(rand.NewPCG(s.o.seed, uint64(1<<20+i)))}
		callers.Go(func() { c.live(pushing) })
	}
	for n := range s.o.restarts {
		if err := s.restart(ctx, n); err != nil {
			return fmt.Errorf("restart %d: %w", n+1, err)
		}
	}
	rest()
	callers.Wait()
	s.settling.Store(true)
	err := s.await(ctx, "all that was accepted has arrived", func() bool { return s.book.settled() })
	if err != nil && context.Cause(ctx) == nil {
		return nil // judge says what has not
	}
	return err
}

// await waits until something is so.
func (s *stage) await(ctx context.Context, what string, so func() bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.o.patience, fmt.Errorf("it is not so that %s", what))
	defer cancel()
	for !so() {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// visited reports whether everybody has been there since the server has started so many times again.
func (s *stage) visited(restarts int) bool {
	for _, u := range s.users {
		if int(u.seen.Load()) < restarts+1 {
			return false
		}
	}
	return true
}

// A restart is done in one of these ways, in turn.
const (
	atOnce  = iota // the next process starts when the one before has ended
	later          // so much later that many callers and clients wait
	overlap        // the next one starts while the one before stops, and again until that has let go of the store
	ways
)

// restart has the load go on for a while, and then stops the server and starts it again.
func (s *stage) restart(ctx context.Context, n int) error {
	before := s.book.answers()
	err := s.await(ctx, "everybody has come back and pushes were answered", func() bool {
		return s.visited(n) && s.book.answers() >= before+s.o.pushes
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.o.patience, errors.New("the server does not stop, or does not start"))
	defer cancel()
	s.book.restarts.Add(1)
	if n%ways == overlap {
		return s.overlap(ctx)
	}
	if err := s.server.Stop(ctx); err != nil {
		return err
	}
	if n%ways == later {
		err := s.await(ctx, "all callers wait in the port", func() bool { return int(s.book.calling.Load()) == s.o.callers })
		if err != nil {
			return err
		}
	}
	return s.server.Start(ctx)
}

// overlap tells the process to stop and starts the next one at once, again and again until it stays, and is ready.
func (s *stage) overlap(ctx context.Context) error {
	former, err := s.server.Term()
	if err != nil {
		return err
	}
	for {
		next, err := s.server.Begin()
		if err != nil {
			return err
		}
		select {
		case <-former.Gone(): // so the next one gets the store
			return errors.Join(former.Ended(ctx), s.succeed(ctx, next))
		case <-next.Gone(): // it did not wait for so long; systemd would start it again
			next.Excuse()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// succeed waits until the process that was begun while there was another one is ready. If it gave the store up in the moment in which
// that one let go of it, it is started once more.
func (s *stage) succeed(ctx context.Context, next *rig.Life) error {
	err := s.server.Ready(ctx)
	if !errors.Is(err, rig.ErrEnded) {
		return err
	}
	next.Excuse()
	return s.server.Start(ctx)
}
