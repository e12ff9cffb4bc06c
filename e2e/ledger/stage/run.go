package stage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// Options say what a run needs besides its terms.
type Options struct {
	Binary string // Crier
	Script string // tabs.mjs
	Dir    string // for the books; it must be empty or not there
	Log    *slog.Logger
}

// A Piece is what one kind of book is about.
type Piece interface {
	// Prepare opens the books of the piece and starts whom the server needs. It returns the server's settings, by the names of
	// their environment variables without CRIER_.
	Prepare(*Run) (map[string]string, error)
	// Blows are the faults to choose from.
	Blows(*Run) []Blow
	// Cast returns who plays, when server and browsers are there.
	Cast(*Run) ([]Part, error)
	// Settle waits, when all of them are through, until everything that is owed has come, or for so long that something must
	// be missing, as the checker will find.
	Settle(context.Context, *Run) error
	// Came is how much has come so far, of whatever shows that the run goes on.
	Came() int
}

// A Part is played by somebody, on a goroutine of its own.
type Part struct {
	Name string
	Play func(context.Context) error
}

// processes is how many browsers there are.
const processes = 4

// A Run is one performance: a server, browsers with users, and what troubles them.
type Run struct {
	Terms    Terms
	Dir      string // of the books
	Diary    *Diary
	Servers  []*Server // one, or several that are one
	Browsers *Browsers
	Progress *Progress
	Hear     func(TabLine) // gets what tabs note, on several goroutines; Prepare may set it

	// Static.
	options Options
	piece   Piece
	random  *rand.Rand // of the faults
	redis   *Redis     // of several servers
	way     *Way       // from clients to several servers
	fail    context.CancelCauseFunc

	closers []func() error
}

// Perform has everybody play and leaves the books in o.Dir. Its error says that there was no proper run to judge.
func Perform(ctx context.Context, t Terms, o Options, p Piece) (err error) {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	r := &Run{Terms: t, Progress: newProgress(t.Owed), options: o, piece: p, fail: fail}
	r.random = r.Source("chaos", 0)
	defer func() {
		for i := len(r.closers) - 1; i >= 0; i-- {
			err = errors.Join(err, r.closers[i]())
		}
	}()
	if err := r.build(ctx); err != nil {
		return err
	}
	begun := time.Now()
	if err := r.live(ctx); err != nil {
		return err
	}
	for _, s := range r.Servers {
		if err := s.inspect(); err != nil {
			return err
		}
	}
	if step := time.Now().Round(0).Sub(begun.Round(0)) - time.Since(begun); step.Abs() > 20*time.Millisecond {
		return fmt.Errorf("the clock of this machine was changed by %v during the run, whose books are worth nothing", step)
	}
	return nil
}

// Source returns the random numbers of a part of the run.
func (r *Run) Source(part string, n int) *rand.Rand {
	var seed [32]byte
	copy(seed[:], fmt.Sprintf("%d %s %d", r.Terms.Seed, part, n))
	return rand.New(rand.NewChaCha8(seed))
}

// Fail ends the run, which is worth nothing.
func (r *Run) Fail(err error) { r.fail(err) }

// Defer has something done when the run is over, before what was deferred earlier.
func (r *Run) Defer(do func() error) { r.closers = append(r.closers, do) }

// Book makes a book of that name, which is closed when the run is over.
func (r *Run) Book(name string) (*Book, error) {
	b, err := newBook(filepath.Join(r.Dir, name))
	if err != nil {
		return nil, err
	}
	r.Defer(b.close)
	return b, nil
}

// build starts the parts.
func (r *Run) build(ctx context.Context) error {
	var err error
	if r.Dir, err = filepath.Abs(r.options.Dir); err != nil {
		return fmt.Errorf("finding the folder of the books: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(r.Dir, "store"), 0o755); err != nil {
		return fmt.Errorf("making the folder of the books: %w", err)
	}
	driver, err := newBook(driverFile(r.Dir))
	if err != nil {
		return err
	}
	r.Defer(driver.close)
	r.Diary = &Diary{book: driver, Timeline: NewTimeline()}
	settings, err := r.piece.Prepare(r)
	if err != nil {
		return err
	}
	if err := r.startServers(ctx, settings); err != nil {
		return err
	}
	node, err := exec.LookPath("node")
	if err != nil {
		return fmt.Errorf("the clients run in Node 20 or later: %w", err)
	}
	r.Browsers = &Browsers{node: node, script: r.options.Script, dir: r.Dir, url: r.public(), diary: r.Diary, fail: r.fail, hear: r.Hear}
	r.Defer(r.Browsers.close)
	return r.Browsers.start(processes)
}

// live has everybody do what they do, until all of it is done and what is owed has come.
func (r *Run) live(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	var watch sync.WaitGroup
	defer watch.Wait()
	defer stop()
	watch.Go(func() {
		if err := r.probe(ctx); err != nil {
			r.fail(err)
		}
	})
	watch.Go(func() { r.report(ctx) })

	cast, err := r.piece.Cast(r)
	if err != nil {
		return err
	}
	var work sync.WaitGroup
	work.Go(func() {
		if err := r.rage(ctx, r.piece.Blows(r)); err != nil {
			r.fail(err)
		}
	})
	for _, p := range cast {
		work.Go(func() {
			if err := p.Play(ctx); err != nil {
				r.fail(fmt.Errorf("%s: %w", p.Name, err))
			}
		})
	}
	work.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if err := r.piece.Settle(ctx, r); err != nil {
		return err
	}
	return r.Diary.Note(Line{On: RunEnd})
}

// When all is done, the last that is owed is waited for: it is there, and no more has come while the server answered so many
// probes; or it never comes.
const (
	calm     = 60
	patience = 500
)

// Quiet waits until nothing more comes: for a while if everything that is owed is there, else for much longer.
func (r *Run) Quiet(ctx context.Context, settled func() bool) error {
	for before, quiet := -1, 0; ; quiet++ {
		changed := r.Diary.Timeline.Wait()
		there := settled()
		if came := r.piece.Came(); came != before {
			before, quiet = came, 0
		}
		if there && quiet > calm || quiet > patience {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// report logs now and then how far the run is, and ends one in which nothing happens any more.
func (r *Run) report(ctx context.Context) {
	const every, most = 15 * time.Second, 5 * time.Minute
	before, idle := -1, time.Duration(0)
	for Sleep(ctx, every) == nil {
		done, came := r.Progress.SoFar(), r.piece.Came()
		r.options.Log.Info("so far", "done", done, "came", came)
		if idle += every; done+came != before {
			before, idle = done+came, 0
		}
		if idle >= most {
			r.fail(fmt.Errorf("nothing has happened for %v", most))
		}
	}
}
