// Ledger proves Crier's callbacks: real clients come, go, refresh and crash while the server is killed, stopped and restarted
// and the receiver of the callbacks fails. Everybody keeps books, and afterwards a checker compares what was told with what
// happened. README.md says what is owed.
//
//	ledger [flags]      a run, whose books are then checked
//	ledger -check DIR   checks the books of an earlier run again
//
// It exits with 1 if the server did something it must not do, or if the run failed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"time"
)

func main() { os.Exit(command(os.Args[1:], os.Stdout, os.Stderr)) }

// command runs the program and returns its exit code.
func command(args []string, stdout, stderr io.Writer) int {
	t := defaults()
	o := options{log: slog.New(slog.NewTextHandler(stderr, nil))}
	flags := flag.NewFlagSet("ledger", flag.ContinueOnError)
	flags.SetOutput(stderr)
	check := flags.String("check", "", "only check the books in this `folder`")
	limit := flags.Duration("limit", time.Hour, "give up after so long")
	without := flags.String("without", "", "faults to leave out, of "+blowNames())
	flags.StringVar(&o.binary, "binary", "bin/crier", "the server")
	flags.StringVar(&o.script, "script", "e2e/ledger/tabs.mjs", "the clients; beside it or above there is node_modules")
	flags.StringVar(&o.dir, "dir", "", "the `folder` for the books; a temporary one unless given")
	flags.Uint64Var(&t.Seed, "seed", t.Seed, "of everything that is random; another one each time unless given")
	flags.IntVar(&t.Transitions, "transitions", t.Transitions, "arrivals and departures that are owed a callback")
	flags.IntVar(&t.Users, "users", t.Users, "how many there are at a time")
	flags.IntVar(&t.Faults, "faults", t.Faults, "of the server, the browsers and the receiver")
	flags.IntVar(&t.Drop, "drop", 0, "steal one callback in so `many` on its way: the checker must notice")
	flags.IntVar(&t.Batch, "batch", 1, "webhook.batch of the server")
	flags.BoolVar(&t.Memory, "memory", false, "the server has no store; without kill, relapse, restart and storm it must be right nevertheless")
	if err := flags.Parse(args); err != nil || flags.NArg() > 0 {
		return 2
	}
	if *without != "" {
		t.Without = strings.Split(*without, ",")
	}
	if *check != "" {
		return finish(*check, stdout, o.log)
	}
	if o.dir == "" {
		dir, err := os.MkdirTemp("", "ledger-")
		if err != nil {
			o.log.Error("making a folder for the books", "error", err)
			return 1
		}
		o.dir = dir
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, *limit, fmt.Errorf("the run took longer than %v", *limit))
	defer cancel()
	o.log.Info("begin", "seed", t.Seed, "transitions", t.Transitions, "books", o.dir)
	if err := perform(ctx, t, o); err != nil {
		o.log.Error("the run failed", "seed", t.Seed, "books", o.dir, "error", err)
		return 1
	}
	return finish(o.dir, stdout, o.log)
}

// finish checks books, prints the summary and returns the exit code.
func finish(dir string, stdout io.Writer, log *slog.Logger) int {
	e, err := gather(dir)
	if err != nil {
		log.Error("the books cannot be read", "error", err)
		return 1
	}
	v := judge(e)
	if err := errors.Join(v.print(stdout, e, dir), v.sound(e)); err != nil {
		log.Error("the run proves nothing", "error", err)
		return 1
	}
	if len(v.violations) > 0 {
		return 1
	}
	return 0
}

func blowNames() string {
	var all []string
	for _, b := range blows {
		all = append(all, b.name)
	}
	return strings.Join(all, ", ")
}
