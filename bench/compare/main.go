//go:build linux

// Command compare measures Crier and its peers with `crier bench`, in turn and each on a processor of its own, and makes a table of
// the medians. They are figures, not a test: the exit status is 0 unless something broke.
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
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"crier/bench/proc"
)

func main() { os.Exit(run(os.Args[1:])) }

// comparison is one run.
type comparison struct {
	crier    string // the program to measure
	php      string // a checkout of web-msg-sender
	servers  string // that are measured, comma-separated
	only     string // of the figures
	rounds   int
	clients  int
	duration time.Duration
	warmUp   time.Duration
	growth   bool
	doc      string // a page to write the table into

	dir       string // of what is built
	cpu, load int    // processors

	mu    sync.Mutex
	notes []string
}

func run(args []string) int {
	var c comparison
	flags := flag.NewFlagSet("compare", flag.ContinueOnError)
	flags.StringVar(&c.crier, "bin", "", "crier program to measure (default: build it)")
	flags.StringVar(&c.php, "php", os.Getenv("WEB_MSG_SENDER"), "a checkout of web-msg-sender in which composer install has been run (default: $WEB_MSG_SENDER)")
	flags.StringVar(&c.servers, "servers", "", "only these, comma-separated: "+strings.Join(peerNames(), ","))
	flags.StringVar(&c.only, "only", "", "only these figures, comma-separated: "+strings.Join(jobNames(), ","))
	flags.IntVar(&c.rounds, "rounds", 3, "rounds; the median counts")
	flags.IntVar(&c.clients, "clients", 10_000, "clients; a fifth of them poll")
	flags.DurationVar(&c.duration, "duration", 5*time.Second, "of each measurement")
	flags.DurationVar(&c.warmUp, "warm-up", 0, "the same before each of them, without counting, but for idle and those that need none")
	flags.BoolVar(&c.growth, "growth", false, "measure Crier alone with 1,000, 5,000, 10,000 and 18,000 clients, and four of it with 12,500 each")
	flags.StringVar(&c.doc, "doc", "", "page to write the table into, between its markers")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := c.measure(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench/compare:", err)
		return 1
	}
	return 0
}

func (c *comparison) measure(ctx context.Context) (err error) {
	if c.dir, err = os.MkdirTemp("", "crier-bench-"); err != nil {
		return fmt.Errorf("making a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(c.dir)) }()
	if c.cpu, c.load, err = proc.Split(); err != nil {
		return err
	}
	if err := c.build(ctx); err != nil {
		return err
	}
	peers, err := c.peers(ctx)
	if err != nil {
		return err
	}
	marker, text := "table", ""
	if c.growth {
		marker = "growth"
		text, err = c.grow(ctx, peers[0])
	} else {
		text, err = c.table(ctx, peers)
	}
	fmt.Println("\n" + text)
	if err == nil && c.doc != "" {
		err = write(c.doc, marker, text)
	}
	return err
}

// build makes the programs of this module.
func (c *comparison) build(ctx context.Context) error {
	packages := []string{"crier/bench/peers/ceiling", "crier/bench/peers/handler"}
	if c.crier == "" {
		packages = append(packages, "crier")
		c.crier = filepath.Join(c.dir, "crier")
	}
	var err error
	if c.crier, err = filepath.Abs(c.crier); err != nil { // it runs in a folder of its own
		return fmt.Errorf("finding the program: %w", err)
	}
	return command(ctx, ".", "go", append([]string{"build", "-trimpath", "-o", c.dir}, packages...)...)
}

// command runs a program, whose output is of interest only if it fails.
func command(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

// machine says where this was measured.
func (c *comparison) machine() string {
	model := runtime.GOARCH
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(info)) {
			if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	where := fmt.Sprintf("server on processor %d, load on %d", c.cpu, c.load)
	if c.cpu == proc.AnyCPU {
		where = "server and load on one processor, which spoils every figure"
	}
	text := fmt.Sprintf("%d × %s, %s, loopback", runtime.NumCPU(), model, where)
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		text += fmt.Sprintf("; load average at the end %s", strings.Join(strings.Fields(string(load))[:3], " "))
	}
	return text
}

// chosen reports whether a comma-separated list, empty for all, has name.
func chosen(list, name string) bool {
	return list == "" || slices.Contains(strings.Split(list, ","), name)
}
