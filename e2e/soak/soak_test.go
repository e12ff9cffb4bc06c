//go:build linux

package main

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"crier/e2e/rig"
	"crier/e2e/rig/rigtest"
	"crier/e2e/visit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestSoak is the short form: some two thousand clients, of which nothing stays behind.
func TestSoak(t *testing.T) {
	dir := t.TempDir()
	binary := rigtest.Build(t)
	o := options{Play: rig.Play{Binary: binary, Dir: dir, Note: func(line string) { t.Log(line) }}, cycles: 1000, round: 1000, workers: 16, patience: 2 * time.Minute}
	begun := time.Now()
	result, err := o.perform(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Log(result.report(time.Since(begun)))
	if err := result.judge(); err != nil {
		t.Error(err)
	}
}

// TestPlans: every way has clients that leave well and that do not, with and without something stored, by both calls.
func TestPlans(t *testing.T) {
	seen := map[plan]int{}
	const clients = 1152 // 9 ways, 2 ends, 2 calls, 8 turns of stored, 4 times
	for n := range clients {
		p := planned(n)
		p.from = plan{}.from
		seen[p]++
	}
	if want := len(visit.Ways()) * 8; len(seen) != want {
		t.Errorf("%d plans, want %d", len(seen), want)
	}
}

// TestJudge: what stays behind is found, and chance is not taken for it.
func TestJudge(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	run := func(samples int, left float64) *result {
		r := &result{}
		for i := range samples {
			n := 20_000 * (i + 1)
			heap := 5<<20 + int(left*float64(n)) + dice.IntN(400_000) - 200_000
			r.samples = append(r.samples, sample{n, rig.Vitals{Heap: heap, Goroutines: 70, Descriptors: 30}})
			r.online, r.offline = n, n
		}
		return r
	}
	last := func(r *result) *sample { return &r.samples[len(r.samples)-1] }
	for _, c := range []struct {
		name  string
		spoil func(*result)
		left  float64
		want  string // in the error; empty: none
	}{
		{"nothing", func(*result) {}, 0, ""},
		{"8 bytes of each client", func(*result) {}, 8, "each client leaves"},
		{"a goroutine of each 10,000th client", func(r *result) { last(r).Goroutines += 100 }, 0, "goroutines are left"},
		{"a descriptor", func(r *result) { last(r).Descriptors++ }, 0, "descriptors are left"},
		{"ten megabytes at once", func(r *result) { last(r).Heap += 10 << 20 }, 0, "the heap had"},
		{"a callback", func(r *result) { r.offline-- }, 0, "callbacks are of"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := run(51, c.left)
			c.spoil(r)
			err := r.judge()
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
