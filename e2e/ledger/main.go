// Ledger proves Crier: real clients come, go, refresh and crash while the server is killed, stopped and restarted. Everybody keeps
// books, and afterwards a checker compares what came with what had to. README.md of e2e says what is owed.
//
//	ledger BOOK [flags]      a run, whose books are then checked; BOOK is one of callbacks, schedules, messages
//	ledger BOOK -check DIR   checks the books of an earlier run with -dir DIR again
//	ledger all [flags]       all of them, one after the other
//
// It exits with 1 if the server did something it must not do, or if the run failed.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"crier/e2e/ledger/callbacks"
	"crier/e2e/ledger/messages"
	"crier/e2e/ledger/schedules"
	"crier/e2e/ledger/stage"
)

func main() { os.Exit(command(os.Args[1:], os.Stdout, os.Stderr)) }

// A ledger is one of the books that the program can keep.
type ledger struct {
	name    string
	unit    string       // what there are many of
	terms   *stage.Terms // what flags may change
	flags   func(*flag.FlagSet)
	perform func(context.Context, stage.Options) error
	check   func(dir string, w io.Writer) (violations int, err error)
}

func ledgers() []ledger {
	c, s, m := callbacks.Defaults(), schedules.Defaults(), messages.Defaults()
	return []ledger{
		{
			name: "callbacks", unit: "arrivals and departures", terms: &c.Terms, check: callbacks.Check,
			flags: func(f *flag.FlagSet) {
				f.IntVar(&c.Batch, "batch", 1, "webhook.batch of the server")
				f.BoolVar(&c.Memory, "memory", false, "the server has no store; without kill, relapse, restart and storm it must be right nevertheless")
			},
			perform: func(ctx context.Context, o stage.Options) error { return callbacks.Perform(ctx, c, o) },
		},
		{
			name: "schedules", unit: "schedules", terms: &s, check: schedules.Check,
			perform: func(ctx context.Context, o stage.Options) error { return schedules.Perform(ctx, s, o) },
		},
		{
			name: "messages", unit: "messages", terms: &m, check: messages.Check,
			perform: func(ctx context.Context, o stage.Options) error { return messages.Perform(ctx, m, o) },
		},
	}
}

// command runs the program and returns its exit code.
func command(args []string, stdout, stderr io.Writer) int {
	all := ledgers()
	var names []string
	for _, l := range all {
		names = append(names, l.name)
		if len(args) > 0 && args[0] == l.name {
			return l.command(args[1:], stdout, stderr)
		}
	}
	if len(args) == 0 || args[0] != "all" {
		fmt.Fprintf(stderr, "usage: ledger %s|all [flags]; -h has the flags of each\n", strings.Join(names, "|"))
		return 2
	}
	code := 0
	for _, l := range all {
		code = max(code, l.command(args[1:], stdout, stderr))
	}
	return code
}

// command makes a run, or checks one, as the flags say.
func (l ledger) command(args []string, stdout, stderr io.Writer) int {
	o := stage.Options{Log: slog.New(slog.NewTextHandler(stderr, nil)).With("book", l.name)}
	flags := flag.NewFlagSet("ledger "+l.name, flag.ContinueOnError)
	flags.SetOutput(stderr)
	check := flags.String("check", "", "only check the books that are in this `folder`, as -dir names it")
	limit := flags.Duration("limit", time.Hour, "give up after so long")
	without := flags.String("without", "", "faults to leave out, separated by commas; a wrong name lists them")
	flags.StringVar(&o.Binary, "binary", "bin/crier", "the server")
	flags.StringVar(&o.Script, "script", "e2e/ledger/stage/tabs.mjs", "the clients; beside it or above there is node_modules")
	flags.StringVar(&o.Dir, "dir", "", "the `folder` for the books of all kinds; a temporary one unless given")
	t := l.terms
	flags.Uint64Var(&t.Seed, "seed", t.Seed, "of everything that is random; another one each time unless given")
	flags.IntVar(&t.Owed, "owed", t.Owed, "how many "+l.unit+" there are to be")
	flags.IntVar(&t.Users, "users", t.Users, "how many there are at a time")
	flags.IntVar(&t.Nodes, "nodes", t.Nodes, "how many servers there are that share a Redis; 0: one, without")
	flags.IntVar(&t.Faults, "faults", t.Faults, "of the server and whatever else may fail")
	flags.IntVar(&t.Drop, "drop", 0, "steal one in so `many` on its way: the checker must notice")
	if l.flags != nil {
		l.flags(flags)
	}
	if err := flags.Parse(args); err != nil || flags.NArg() > 0 {
		return 2
	}
	if *without != "" {
		t.Without = strings.Split(*without, ",")
	}
	if *check != "" {
		return l.finish(filepath.Join(*check, l.name), stdout, o.Log)
	}
	dir, err := folder(o.Dir, l.name)
	if err != nil {
		o.Log.Error("making a folder for the books", "error", err)
		return 1
	}
	o.Dir = dir
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, *limit, fmt.Errorf("the run took longer than %v", *limit))
	defer cancel()
	o.Log.Info("begin", "seed", t.Seed, "owed", t.Owed, "books", o.Dir)
	if err := l.perform(ctx, o); err != nil {
		o.Log.Error("the run failed", "seed", t.Seed, "books", o.Dir, "error", err)
		return 1
	}
	return l.finish(o.Dir, stdout, o.Log)
}

// folder returns the folder for a ledger's books.
func folder(given, name string) (string, error) {
	if given != "" {
		return filepath.Join(given, name), nil
	}
	dir, err := os.MkdirTemp("", "ledger-")
	return filepath.Join(dir, name), err
}

// finish checks books, prints the summary and returns the exit code.
func (l ledger) finish(dir string, stdout io.Writer, log *slog.Logger) int {
	violations, err := l.check(dir, stdout)
	if err != nil {
		log.Error("the run proves nothing", "error", err)
		return 1
	}
	if violations > 0 {
		return 1
	}
	return 0
}
