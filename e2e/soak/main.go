//go:build linux

// Soak has very many clients come, log in, be pushed to and leave, in every way that there is, and looks whether anything of them
// stays behind in the server: memory, goroutines, descriptors, sessions, stored messages, callbacks.
//
//	go run ./e2e/soak -binary bin/crier [-cycles 1000000] [-round 50000] [-workers 32]
//
// It takes as long as the machine needs, and says how long that was. It exits with 1 if something stays behind, or went wrong.
package main

import (
	"context"
	"flag"
	"os"
	"time"

	"crier/e2e/rig"
)

func main() {
	o := options{patience: 2 * time.Minute}
	os.Exit(rig.Command{
		Name: "soak",
		Flags: func(f *flag.FlagSet) {
			f.IntVar(&o.cycles, "cycles", 1_000_000, "clients in all, after a round to warm up")
			f.IntVar(&o.round, "round", 50_000, "clients between two looks at what is left")
			f.IntVar(&o.workers, "workers", 32, "clients at a time")
		},
		Perform: func(ctx context.Context, p rig.Play) (report string, err error) {
			o.Play = p
			begun := time.Now()
			result, err := o.perform(ctx)
			if err != nil {
				return "", err
			}
			return result.report(time.Since(begun)), result.judge()
		},
	}.Main(os.Args[1:]))
}
