//go:build linux

package main

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"crier/e2e/rig"
	"crier/e2e/visit"
)

// sample is what the server holds after so many clients have come and gone.
type sample struct {
	cycles int
	rig.Vitals
}

func (s sample) String() string { return fmt.Sprintf("%d clients: %s", s.cycles, s.Vitals) }

// more reports whether there is more of what has to be the same.
func (s sample) more(before sample) bool {
	return s.Goroutines > before.Goroutines+kept || s.Descriptors > before.Descriptors
}

// result is what came out.
type result struct {
	samples               []sample // the first one is that of the warm-up
	online, offline       int      // callbacks
	pushed, stored, toAll int      // pushes
	ways                  map[visit.Way]int
}

const (
	// kept is how many goroutines the server keeps for what comes next, at most, so that they may or may not be there (netpoll's crew).
	kept = 64
	// grown is how many bytes more the heap may have at the end than after the warm-up.
	grown = 8 << 20
	// flat is how many bytes of the heap may be left of a client: less than anything that one could forget.
	flat = 1.0
	// enough is for how many clients the slope of the heap is told from chance.
	enough = 100_000
)

// judge returns what is wrong.
func (r *result) judge() error {
	first, last := r.samples[0], r.samples[len(r.samples)-1]
	var errs []error
	if last.Goroutines > first.Goroutines+kept {
		errs = append(errs, fmt.Errorf("goroutines are left: there were %d after the warm-up, and are %d", first.Goroutines, last.Goroutines))
	}
	if last.Descriptors > first.Descriptors {
		errs = append(errs, fmt.Errorf("descriptors are left: there were %d after the warm-up, and are %d", first.Descriptors, last.Descriptors))
	}
	if last.Heap > first.Heap+grown {
		errs = append(errs, fmt.Errorf("memory is left: the heap had %d bytes after the warm-up, and has %d", first.Heap, last.Heap))
	}
	if slope, deviation := r.slope(); last.cycles-first.cycles >= enough && slope-3*deviation > flat {
		errs = append(errs, fmt.Errorf("memory is left: each client leaves %.2f ± %.2f bytes of the heap", slope, deviation))
	}
	if r.online != last.cycles || r.offline != last.cycles {
		errs = append(errs, fmt.Errorf("%d users came and went, and the callbacks are of %d who came and %d who went", last.cycles, r.online, r.offline))
	}
	return errors.Join(errs...)
}

// slope is by how many bytes the heap grows for each client, with its standard deviation: the least squares over the second half of
// the samples. Until then pools, buffers and the pages of the store have become as large as they get.
func (r *result) slope() (slope, deviation float64) {
	half := r.samples[len(r.samples)/2:]
	n := float64(len(half))
	if n < 3 {
		return 0, math.Inf(1)
	}
	var x, y float64
	for _, s := range half {
		x += float64(s.cycles) / n
		y += float64(s.Heap) / n
	}
	var xx, xy float64
	for _, s := range half {
		xx += (float64(s.cycles) - x) * (float64(s.cycles) - x)
		xy += (float64(s.cycles) - x) * (float64(s.Heap) - y)
	}
	slope = xy / xx
	var rest float64
	for _, s := range half {
		off := float64(s.Heap) - y - slope*(float64(s.cycles)-x)
		rest += off * off
	}
	return slope, math.Sqrt(rest / (n - 2) / xx)
}

// report tells about the run.
func (r *result) report(took time.Duration) string {
	first, last := r.samples[0], r.samples[len(r.samples)-1]
	slope, deviation := r.slope()
	var b strings.Builder
	fmt.Fprintf(&b, "%d clients in %s, %.0f/s; the server took %.0f µs of a processor for each\n", last.cycles, took.Round(time.Second),
		float64(last.cycles)/took.Seconds(), float64((last.CPU-first.CPU).Microseconds())/float64(last.cycles-first.cycles))
	fmt.Fprintf(&b, "%d pushes to a user, %d to one who had not come yet, %d to all\n", r.pushed, r.stored, r.toAll)
	fmt.Fprintf(&b, "%d callbacks of users who came, %d of users who went\n", r.online, r.offline)
	for _, way := range visit.Ways() {
		fmt.Fprintf(&b, "%s: %d; ", way, r.ways[way])
	}
	fmt.Fprintf(&b, "\nafter the warm-up: %s\nat the end:        %s\n", first, last)
	fmt.Fprintf(&b, "heap left of each client, in the second half: %.2f ± %.2f bytes\n", slope, deviation)
	return b.String()
}
