// Restarts stops Crier and starts it again, many times, on ports that somebody else keeps open, while business servers push and
// clients of every way come and go. Nobody may be refused a connection, no push may fail that is tried twice, and what was stored
// has to arrive.
//
//	go run ./e2e/restarts -binary bin/crier [-restarts 50] [-users 90] [-callers 8] [-pushes 500]
//
// It exits with 1 if that is not so.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	o := options{patience: 2 * time.Minute}
	flags := flag.NewFlagSet("restarts", flag.ContinueOnError)
	flags.StringVar(&o.binary, "binary", "bin/crier", "Crier's `program`")
	flags.IntVar(&o.restarts, "restarts", 50, "how often it is restarted")
	flags.IntVar(&o.users, "users", 90, "who are there, or come and go")
	flags.IntVar(&o.callers, "callers", 8, "who push, at a time, half of them on a new connection each time")
	flags.IntVar(&o.pushes, "pushes", 500, "how many pushes there are to be between two restarts, at least")
	flags.Uint64Var(&o.seed, "seed", rand.Uint64(), "of what is random; another one each time unless given")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if o.dir, err = os.MkdirTemp("", "crier-restarts-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(o.dir)) }()
	o.note = func(line string) { fmt.Fprintln(os.Stderr, line) }
	begun := time.Now()
	b, err := o.perform(ctx)
	if err != nil {
		return fmt.Errorf("with -seed %d: %w", o.seed, err)
	}
	fmt.Fprint(out, b.report(time.Since(begun)))
	if err := b.judge(); err != nil {
		return fmt.Errorf("with -seed %d: %w", o.seed, err)
	}
	return nil
}
