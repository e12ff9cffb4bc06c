//go:build linux

package rig

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"crier/bench/proc"
)

// Vitals are what a process holds.
type Vitals struct {
	Heap        int           // bytes in use after a collection
	Resident    int           // bytes of memory
	Goroutines  int           // those that the question itself makes included
	Descriptors int           // but for the files of the store's journal
	Pause       time.Duration // the longest of the collector's, so far
	CPU         time.Duration // used so far
}

func (v Vitals) String() string {
	return fmt.Sprintf("heap %.2f MiB, resident %.1f MiB, %d goroutines, %d descriptors, pause %s",
		mib(v.Heap), mib(v.Resident), v.Goroutines, v.Descriptors, v.Pause.Round(time.Microsecond))
}

func mib(n int) float64 { return float64(n) / (1 << 20) }

// Vitals takes them, after two collections: what pools hold goes with the second one.
func (s *Server) Vitals(ctx context.Context) (Vitals, error) {
	for range 2 {
		if _, err := s.get(ctx, "/debug/pprof/heap?gc=1"); err != nil {
			return Vitals{}, fmt.Errorf("collecting garbage: %w", err)
		}
	}
	m, err := s.Metrics(ctx)
	if err != nil {
		return Vitals{}, err
	}
	v := Vitals{
		Heap: int(m["go_memstats_heap_alloc_bytes"]), Goroutines: int(m["go_goroutines"]),
		Pause: time.Duration(m[`go_gc_duration_seconds{quantile="1"}`] * float64(time.Second)),
	}
	process := proc.Process(s.PID())
	if v.Resident, err = process.Resident(); err != nil {
		return v, err
	}
	used, err := process.CPU()
	if err != nil {
		return v, err
	}
	v.CPU = used.Total()
	v.Descriptors, err = s.descriptors()
	return v, err
}

// descriptors counts those of the process, but for one of each file of the store's journal: the second file is opened when the first
// is full for the first time, and both stay open from then on.
func (s *Server) descriptors() (int, error) {
	dir := fmt.Sprintf("/proc/%d/fd", s.PID())
	files, err := os.ReadDir(dir)
	if err != nil {
		return 0, fmt.Errorf("counting descriptors: %w", err)
	}
	n, journal := 0, map[string]bool{}
	for _, f := range files {
		name, err := os.Readlink(filepath.Join(dir, f.Name()))
		if err == nil && strings.Contains(filepath.Base(name), ".journal-") && !journal[name] { // else it has just been closed
			journal[name] = true
			continue
		}
		n++
	}
	return n, nil
}

// Metrics returns what /metrics says, by name and labels.
func (s *Server) Metrics(ctx context.Context) (map[string]float64, error) {
	text, err := s.get(ctx, "/metrics")
	if err != nil {
		return nil, fmt.Errorf("reading the metrics: %w", err)
	}
	m := map[string]float64{}
	for line := range strings.Lines(text) {
		i := strings.LastIndexByte(line, ' ')
		if n, err := strconv.ParseFloat(strings.TrimSpace(line[i+1:]), 64); err == nil && i > 0 {
			m[line[:i]] = n
		}
	}
	return m, nil
}

// Await waits until what is counted under these names, with whatever labels, is nothing.
func (s *Server) Await(ctx context.Context, names ...string) error {
	for {
		m, err := s.Metrics(ctx)
		if err != nil {
			return err
		}
		left := map[string]float64{}
		for full, n := range m {
			name, _, _ := strings.Cut(full, "{")
			if n > 0 && (slices.Contains(names, name) || slices.Contains(names, full)) {
				left[full] = n
			}
		}
		if len(left) == 0 {
			return nil
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			var there []string
			for _, name := range slices.Sorted(maps.Keys(left)) {
				there = append(there, fmt.Sprintf("%s %g", name, left[name]))
			}
			return fmt.Errorf("there is still %s: %w", strings.Join(there, ", "), context.Cause(ctx))
		}
	}
}
