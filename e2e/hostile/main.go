//go:build linux

// Hostile attacks Crier, and the official Socket.IO server beside it, with everything that package attack has, and tells what
// became of each: whether the process lived, its other clients went on getting pushes, and how soon, and whether memory, descriptors
// and goroutines came back to where they were.
//
//	go run ./e2e/hostile -binary bin/crier [-node bench/peers/node] [-long] [-only TEXT] [-doc docs/SECURITY.md]
//
// With -slow it has a thousand clients beside a thousand that never read, all of them flooded, and tells how soon those that read
// get their messages, and what memory the process takes:
//
//	go run ./e2e/hostile -binary bin/crier -slow [-last 2m] [-doc docs/RELIABILITY.md]
//
// With -storm it kills Crier while very many clients are there, who all come back at once, and has one address come faster than it
// may:
//
//	go run ./e2e/hostile -binary bin/crier -storm [-clients 15000] [-doc docs/RELIABILITY.md]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"crier/e2e/hostile/attack"
	"crier/e2e/hostile/stage"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	binary, node, only, doc string
	long, slow, storm       bool
	lanes, clients          int
	last                    time.Duration
}

func run(ctx context.Context, args []string) (err error) {
	var o options
	flags := flag.NewFlagSet("hostile", flag.ContinueOnError)
	flags.StringVar(&o.binary, "binary", "bin/crier", "Crier's `program`")
	flags.StringVar(&o.node, "node", "", "the `folder` of the official server; none: only Crier is attacked")
	flags.StringVar(&o.only, "only", "", "only families with this `text` in their names, or one of several with | between them")
	flags.StringVar(&o.doc, "doc", "", "a `file` that gets the table")
	flags.BoolVar(&o.long, "long", false, "do as much as was ever reported, in an hour or so")
	flags.BoolVar(&o.slow, "slow", false, "clients that never read, in place of the attacks")
	flags.DurationVar(&o.last, "last", 2*time.Minute, "how long each flood lasts, with -slow")
	flags.BoolVar(&o.storm, "storm", false, "clients that all come back at once, in place of the attacks")
	flags.IntVar(&o.clients, "clients", 15_000, "how many these are")
	flags.IntVar(&o.lanes, "lanes", 1, "servers that are attacked at the same time; with more than one the times are those of a busy machine")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if o.binary, err = filepath.Abs(o.binary); err != nil { // it runs in another folder
		return fmt.Errorf("finding Crier: %w", err)
	}
	dir, err := os.MkdirTemp("", "crier-hostile-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	switch {
	case o.slow:
		text, wrong := o.besiege(ctx, dir)
		return errors.Join(wrong, o.show("make hostile", text))
	case o.storm:
		text, wrong := o.raise(ctx, dir)
		return errors.Join(wrong, o.show("make hostile: storm", text))
	}
	crier, err := o.trial(criers(o.binary, dir), false).run(ctx)
	if err != nil {
		return err
	}
	var official []verdict
	if o.node != "" {
		official, err = o.trial(func(ctx context.Context, _ bool) (*stage.Server, error) { return stage.Node(ctx, o.node) }, true).run(ctx)
		if err != nil {
			return err
		}
	}
	place := "make hostile"
	if o.long {
		place = "make hostile: in full"
	}
	if err := o.show(place, table(crier, official)); err != nil {
		return err
	}
	return judge(crier)
}

// show prints figures, and puts them into the document between the marks of a command. There are none after an error.
func (o options) show(command, text string) error {
	fmt.Print(text)
	if o.doc == "" || text == "" {
		return nil
	}
	return publish(o.doc, command, text)
}

// criers starts Crier, with a certificate or without.
func criers(binary, dir string) func(ctx context.Context, secure bool) (*stage.Server, error) {
	return func(ctx context.Context, secure bool) (*stage.Server, error) {
		if secure {
			return stage.SecureCrier(ctx, binary, dir)
		}
		return stage.Crier(ctx, binary, dir)
	}
}

func (o options) trial(start func(ctx context.Context, secure bool) (*stage.Server, error), official bool) *trial {
	waits := 30 * time.Second
	if official {
		waits = 3 * time.Second // it need not answer everything
	}
	return &trial{
		start: start, official: official, long: o.long, lanes: o.lanes, patience: 30 * time.Second, waits: waits,
		only: o.wants,
		note: func(line string) { fmt.Fprintln(os.Stderr, line) },
	}
}

// wants reports whether a family is to be tried.
func (o options) wants(f attack.Family) bool {
	for text := range strings.SplitSeq(o.only, "|") {
		if strings.Contains(f.Name, text) {
			return true
		}
	}
	return false
}

// judge returns what is wrong with Crier.
func judge(verdicts []verdict) error {
	var err error
	for _, v := range verdicts {
		for _, wrong := range v.wrong {
			err = errors.Join(err, fmt.Errorf("%s: %s", v.family.Name, wrong))
		}
	}
	return err
}
