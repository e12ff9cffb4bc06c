// Soak has very many clients come, log in, be pushed to and leave, in every way that there is, and looks whether anything of them
// stays behind in the server: memory, goroutines, descriptors, sessions, stored messages, callbacks.
//
//	go run ./e2e/soak -binary bin/crier [-cycles 1000000] [-round 50000] [-workers 32]
//
// It takes as long as the machine needs, and says how long that was. It exits with 1 if something stays behind, or went wrong.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
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
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.StringVar(&o.binary, "binary", "bin/crier", "Crier's `program`")
	flags.IntVar(&o.cycles, "cycles", 1_000_000, "clients in all, after a round to warm up")
	flags.IntVar(&o.round, "round", 50_000, "clients between two looks at what is left")
	flags.IntVar(&o.workers, "workers", 32, "clients at a time")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if o.dir, err = os.MkdirTemp("", "crier-soak-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(o.dir)) }()
	o.note = func(line string) { fmt.Fprintln(os.Stderr, line) }
	begun := time.Now()
	result, err := o.perform(ctx)
	if err != nil {
		return err
	}
	fmt.Fprint(out, result.report(time.Since(begun)))
	return result.judge()
}
