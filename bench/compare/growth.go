//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"crier/bench"
)

// size is how many clients there are: as many at each of the processes, which all work at the same time.
type size struct{ processes, clients int }

func (s size) String() string {
	if s.processes == 1 {
		return number(float64(s.clients))
	}
	return fmt.Sprintf("%d × %s", s.processes, number(float64(s.clients)))
}

// sizes are those that are measured. The last is more than one process may have descriptors for.
func sizes() []size { return []size{{1, 1000}, {1, 5000}, {1, 10_000}, {1, 18_000}, {4, 12_500}} }

// grow measures Crier with more and more clients: what a connection and a delivery cost must stay the same.
func (c *comparison) grow(ctx context.Context, crier peer) (string, error) {
	cols := slices.DeleteFunc(columns(), func(col column) bool {
		return !slices.Contains([]string{"idle", "broadcast", "paced", "push"}, col.job) || !chosen(c.only, col.job)
	})
	all := make([][][]float64, len(cols)) // by column, size and round
	for i := range all {
		all[i] = make([][]float64, len(sizes()))
	}
	for range c.rounds {
		for at, s := range sizes() {
			for _, j := range jobs() {
				if !slices.ContainsFunc(cols, func(col column) bool { return col.job == j.name }) {
					continue
				}
				results, err := c.together(ctx, crier, j, s)
				if err != nil {
					return "", err
				}
				for i, col := range cols {
					if col.job == j.name {
						v := mean(col.figures(results))
						all[i][at] = append(all[i][at], v)
						fmt.Printf("%v clients: %s %s\n", s, col.title, number(v))
					}
				}
			}
		}
	}
	var b strings.Builder
	b.WriteString("| clients |")
	for _, s := range sizes() {
		fmt.Fprintf(&b, " %v |", s)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(sizes())) + "\n")
	for i, col := range cols {
		fmt.Fprintf(&b, "| %s |", col.title)
		for at := range sizes() {
			fmt.Fprintf(&b, " %s |", number(median(all[i][at])))
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "\nMedians of %d, %s each; of several processes at once, which share the processor, their mean. %s. %s, %s.\n", c.rounds, c.duration, crier.version, c.machine(), time.Now().Format(time.DateOnly))
	return b.String(), nil
}

// together measures several processes at once, each with clients of its own.
func (c *comparison) together(ctx context.Context, p peer, j job, s size) ([]*bench.Result, error) {
	results, errs := make([]*bench.Result, s.processes), make([]error, s.processes)
	var all sync.WaitGroup
	for i := range s.processes {
		all.Go(func() { results[i], errs[i] = c.once(ctx, p, j, s.clients) })
	}
	all.Wait()
	return results, errors.Join(errs...)
}

// mean is that of one or more.
func mean(list []float64) float64 {
	sum := 0.0
	for _, v := range list {
		sum += v
	}
	return sum / float64(len(list))
}
