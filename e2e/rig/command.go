//go:build linux

package rig

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// Play is what a program that plays something through is given.
type Play struct {
	Binary string            // Crier's program
	Dir    string            // a temporary folder
	Note   func(line string) // tells how far it has come
}

// Command is a program that plays something through with a Server.
type Command struct {
	Name  string
	Flags func(*flag.FlagSet) // its own flags
	// Perform returns what is to be told, and what was wrong. It ends with ctx.
	Perform func(ctx context.Context, p Play) (report string, err error)
}

// Main runs the program until it is done or interrupted, with these arguments, and returns its exit code.
func (c Command) Main(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := c.run(ctx, args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func (c Command) run(ctx context.Context, args []string) (err error) {
	p := Play{Note: func(line string) { fmt.Fprintln(os.Stderr, line) }}
	flags := flag.NewFlagSet(c.Name, flag.ContinueOnError)
	flags.StringVar(&p.Binary, "binary", "bin/crier", "Crier's `program`")
	c.Flags(flags)
	if err := flags.Parse(args); err != nil {
		return err
	}
	if p.Dir, err = os.MkdirTemp("", "crier-"+c.Name+"-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(p.Dir)) }()
	report, err := c.Perform(ctx, p)
	fmt.Print(report)
	return err
}
