//go:build linux

// Command quick measures what Crier's design rests on, in less than three minutes: the memory of an
// idle connection, the processor time of a broadcast against a bare loop of write(2), what clients
// that do not read do to those that do, and the rates of /v1 against a bare handler. It starts the
// real program, with default settings, as a process of its own on one processor, and loads it from
// another one over the loopback interface.
//
// They are figures, not a test: the exit status is 0 unless something broke.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"crier/bench/proc"
)

// timeout ends a run on a machine that is too busy.
const timeout = 10 * time.Minute

func main() { os.Exit(run(os.Args[1:])) }

// bench is one run.
type bench struct {
	bin    string // crier
	only   string // which figures
	conns  int    // for all but the slow readers
	rounds int    // of broadcasts, and of each rate

	dir   string // of the programs built
	cpu   int    // for what is measured
	limit int    // of descriptors
	table table
}

func run(args []string) int {
	var b bench
	flags := flag.NewFlagSet("quick", flag.ContinueOnError)
	flags.StringVar(&b.bin, "bin", "", "crier program to measure (default: build it)")
	flags.IntVar(&b.conns, "conns", 10_000, "connections")
	flags.StringVar(&b.only, "only", "memory,broadcast,v1,slow", "which figures")
	flags.IntVar(&b.rounds, "rounds", 3, "rounds of each figure that is a ratio; the median counts")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	ctx, cancel = context.WithTimeout(ctx, timeout) // kills the children
	defer cancel()
	if err := b.measure(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench/quick:", err)
		return 1
	}
	return 0
}

func (b *bench) measure(ctx context.Context) error {
	if err := b.prepare(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "crier-bench-")
	if err != nil {
		return fmt.Errorf("making a folder: %w", err)
	}
	defer os.RemoveAll(dir)
	b.dir = dir
	if err := b.build(ctx); err != nil {
		return err
	}
	var loadCPU int
	if b.cpu, loadCPU, err = proc.Split(); err != nil {
		return err
	}
	if err := proc.Pin(loadCPU); err != nil {
		return err
	}
	where := fmt.Sprintf("server on processor %d of %d, load on %d", b.cpu, runtime.NumCPU(), loadCPU)
	if b.cpu == proc.AnyCPU {
		where = "server and load share one processor, which spoils every ratio"
	}
	fmt.Printf("crier with default settings, %d connections over loopback; %s; %s\n\n", b.conns, where, runtime.Version())
	err = b.crowd(ctx)
	if err == nil && b.wants("slow") {
		err = b.slow(ctx)
	}
	return errors.Join(err, b.table.print(os.Stdout))
}

func (b *bench) wants(figure string) bool { return strings.Contains(b.only, figure) }

// prepare makes the number of descriptors as large as it may be.
func (b *bench) prepare() error {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return fmt.Errorf("reading the limit of descriptors: %w", err)
	}
	l.Cur = min(l.Max, 1<<20)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return fmt.Errorf("raising the limit of descriptors: %w", err)
	}
	b.limit = int(l.Cur)
	if most := b.limit - spare; b.conns > most {
		fmt.Printf("only %d connections, as a process may have %d descriptors here (ulimit -n)\n", most, b.limit)
		b.conns = most
	}
	return nil
}

// spare is how many descriptors are left for what is no client connection.
const spare = 500

// build makes the programs that are measured.
func (b *bench) build(ctx context.Context) error {
	packages := []string{"crier/bench/peers/ceiling"}
	if b.bin == "" {
		packages = append(packages, "crier")
		b.bin = filepath.Join(b.dir, "crier")
	}
	cmd := exec.CommandContext(ctx, "go", append([]string{"build", "-trimpath", "-o", b.dir}, packages...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building: %w\n%s", err, out)
	}
	return nil
}
