package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// options say what a run needs besides its terms.
type options struct {
	binary string // Crier
	script string // tabs.mjs
	dir    string // for the books; it must be empty or not there
	log    *slog.Logger
}

// When all is done, the last callbacks are waited for: no more have come while the server answered so many probes, and each
// user's last one is the right one; or it never comes.
const (
	calm     = 60
	patience = 500
)

// A run is one performance: a server, a receiver, browsers with users, and what troubles them.
type run struct {
	options  options
	terms    terms
	diary    *diary
	receiver *receiver
	server   *server
	browsers *browsers
	progress *progress
	users    []*user
	fail     context.CancelCauseFunc
}

// perform leads all lives and leaves the books in o.dir. Its error says that there was no proper run to judge.
func perform(ctx context.Context, t terms, o options) (err error) {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	r := &run{options: o, terms: t, progress: newProgress(t.Transitions), fail: fail}
	var closers []func() error
	defer func() {
		for i := len(closers) - 1; i >= 0; i-- {
			err = errors.Join(err, closers[i]())
		}
	}()
	closers, err = r.build(ctx)
	if err != nil {
		return err
	}
	begun := time.Now()
	if err := r.live(ctx); err != nil {
		return err
	}
	if err := r.server.inspect(); err != nil {
		return err
	}
	if step := time.Now().Round(0).Sub(begun.Round(0)) - time.Since(begun); step.Abs() > 20*time.Millisecond {
		return fmt.Errorf("the clock of this machine was changed by %v during the run, whose books are worth nothing", step)
	}
	return nil
}

// source returns the random numbers of a part of the run.
func (r *run) source(part string, n int) *rand.Rand {
	var seed [32]byte
	copy(seed[:], fmt.Sprintf("%d %s %d", r.terms.Seed, part, n))
	return rand.New(rand.NewChaCha8(seed))
}

// build starts the parts and returns what ends them, in the order of the starts.
func (r *run) build(ctx context.Context) (closers []func() error, err error) {
	dir, err := filepath.Abs(r.options.dir)
	if err != nil {
		return nil, fmt.Errorf("finding the folder of the books: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "store"), 0o755); err != nil {
		return nil, fmt.Errorf("making the folder of the books: %w", err)
	}
	if err := r.terms.save(dir); err != nil {
		return nil, err
	}
	if closers, err = r.openBooks(dir); err != nil {
		return closers, err
	}
	if err := r.receiver.up(); err != nil {
		return closers, err
	}
	closers = append(closers, r.receiver.close)
	if r.server, err = r.newServer(dir); err != nil {
		return closers, err
	}
	closers = append(closers, r.endServer)
	if err := r.server.start(ctx); err != nil {
		return closers, err
	}
	node, err := exec.LookPath("node")
	if err != nil {
		return closers, fmt.Errorf("the clients run in Node 20 or later: %w", err)
	}
	r.browsers = &browsers{node: node, script: r.options.script, dir: dir, diary: r.diary, fail: r.fail}
	closers = append(closers, r.browsers.close)
	const processes = 4
	if err := r.browsers.start(processes); err != nil {
		return closers, err
	}
	for i := range r.terms.Users {
		r.users = append(r.users, &user{
			uid: fmt.Sprintf("user-%d", i+1), place: i % processes, random: r.source("user", i), url: "http://" + r.server.public,
			terms: r.terms, browsers: r.browsers, timeline: r.diary.timeline, progress: r.progress,
		})
	}
	return closers, nil
}

// openBooks makes the driver's book, the receiver and its book, and the thief's.
func (r *run) openBooks(dir string) (closers []func() error, err error) {
	driver, err := newBook(filepath.Join(dir, "driver.jsonl"))
	if err != nil {
		return nil, err
	}
	closers = append(closers, driver.close)
	r.diary = &diary{book: driver, timeline: newTimeline(r.terms)}
	callbacks, err := newBook(filepath.Join(dir, "receiver.jsonl"))
	if err != nil {
		return closers, err
	}
	closers = append(closers, callbacks.close)
	thefts, err := newBook(filepath.Join(dir, "thief.jsonl"))
	if err != nil {
		return closers, err
	}
	closers = append(closers, thefts.close)
	ports := r.source("ports", os.Getpid())
	address, err := freeAddress(ports.IntN)
	if err != nil {
		return closers, err
	}
	wrap := func(h http.Handler) http.Handler { return h }
	if r.terms.Drop > 0 {
		wrap = func(h http.Handler) http.Handler {
			return &thief{next: h, book: thefts, oneIn: r.terms.Drop, fail: r.fail, seen: map[string]bool{}}
		}
	}
	r.receiver = newReceiver(address, callbacks, r.source("receiver", 0), r.fail, wrap)
	r.receiver.batches = r.terms.Batch > 1
	return closers, nil
}

func (r *run) newServer(dir string) (*server, error) {
	binary, err := filepath.Abs(r.options.binary)
	if err != nil {
		return nil, fmt.Errorf("finding the server: %w", err)
	}
	ports := r.source("more ports", os.Getpid())
	public, err := freeAddress(ports.IntN)
	if err != nil {
		return nil, err
	}
	push, err := freeAddress(ports.IntN)
	if err != nil {
		return nil, err
	}
	return &server{
		binary: binary, dir: dir, env: r.terms.environment(dir, public, push, r.receiver.url()),
		public: public, push: push, diary: r.diary, fail: r.fail,
		http: &http.Client{Transport: &http.Transport{}},
	}, nil
}

// endServer stops the server if it runs.
func (r *run) endServer() error {
	r.server.http.CloseIdleConnections()
	if r.server.process == nil {
		return nil
	}
	return r.server.stop()
}

// live has everybody do what they do, until all of it is done and told.
func (r *run) live(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	var watch sync.WaitGroup
	defer watch.Wait()
	defer stop()
	watch.Go(func() {
		if err := r.server.probe(ctx); err != nil {
			r.fail(err)
		}
	})
	watch.Go(func() { r.report(ctx) })

	r.receiver.infect()
	var work sync.WaitGroup
	c := &chaos{
		terms: r.terms, random: r.source("chaos", 0), server: r.server, browsers: r.browsers, receiver: r.receiver, progress: r.progress,
	}
	work.Go(func() {
		if err := c.rage(ctx); err != nil {
			r.fail(err)
		}
	})
	for i, u := range r.users {
		work.Go(func() {
			if err := u.live(ctx, i%2 == 1); err != nil {
				r.fail(fmt.Errorf("%s: %w", u.uid, err))
			}
		})
	}
	work.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	r.receiver.heal()
	if err := r.settle(ctx); err != nil {
		return err
	}
	return r.diary.note(driverLine{On: runEnd})
}

// settle waits until the receiver has got what every user's last callback must be, and no more comes; or for so long that
// something must be missing, as the checker will find.
func (r *run) settle(ctx context.Context) error {
	for before, quiet := -1, 0; ; quiet++ {
		settled, all := true, 0
		for _, u := range r.users {
			var c callback
			c, all = r.receiver.latest(u.uid)
			if c.online() != u.online || u.since > 0 && c.at() < u.since {
				settled = false
			}
		}
		if all != before {
			before, quiet = all, 0
		}
		if settled && quiet > calm || quiet > patience {
			return nil
		}
		select {
		case <-r.diary.timeline.wait():
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// report logs now and then how far the run is, and ends one in which nothing happens any more.
func (r *run) report(ctx context.Context) {
	const every, most = 15 * time.Second, 5 * time.Minute
	before, idle := -1, time.Duration(0)
	for sleep(ctx, every) == nil {
		_, told := r.receiver.latest("")
		done := r.progress.sofar()
		r.options.log.Info("so far", "transitions", done, "requests", told)
		if idle += every; done+told != before {
			before, idle = done+told, 0
		}
		if idle >= most {
			r.fail(fmt.Errorf("nothing has happened for %v", most))
		}
	}
}
