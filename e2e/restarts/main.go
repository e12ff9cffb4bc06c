//go:build linux

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
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"crier/e2e/rig"
)

func main() {
	o := options{patience: 2 * time.Minute}
	os.Exit(rig.Command{
		Name: "restarts",
		Flags: func(f *flag.FlagSet) {
			f.IntVar(&o.restarts, "restarts", 50, "how often it is restarted")
			f.IntVar(&o.users, "users", 90, "who are there, or come and go")
			f.IntVar(&o.callers, "callers", 8, "who push, at a time, half of them on a new connection each time")
			f.IntVar(&o.pushes, "pushes", 500, "how many pushes there are to be between two restarts, at least")
			f.Uint64Var(&o.seed, "seed", rand.Uint64(), "of what is random; another one each time unless given")
		},
		Perform: func(ctx context.Context, p rig.Play) (report string, err error) {
			o.Play = p
			begun := time.Now()
			b, err := o.perform(ctx)
			if err == nil {
				report, err = b.report(time.Since(begun)), b.judge()
			}
			if err != nil {
				err = fmt.Errorf("with -seed %d: %w", o.seed, err)
			}
			return report, err
		},
	}.Main(os.Args[1:]))
}
