//go:build linux

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// grow measures Crier with more and more clients: what a connection and a delivery cost must stay the same.
func (c *comparison) grow(ctx context.Context, crier peer) (string, error) {
	sizes := []int{1000, 5000, 10_000, 18_000}
	cols := slices.DeleteFunc(columns(), func(col column) bool {
		return !slices.Contains([]string{"idle", "broadcast", "paced", "push"}, col.job) || !chosen(c.only, col.job)
	})
	var b strings.Builder
	b.WriteString("| clients |")
	for _, n := range sizes {
		fmt.Fprintf(&b, " %s |", number(float64(n)))
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(sizes)) + "\n")
	all := make([][][]float64, len(cols)) // by column, size and round
	for i := range all {
		all[i] = make([][]float64, len(sizes))
	}
	for range c.rounds {
		for s, n := range sizes {
			for _, j := range jobs() {
				if !slices.ContainsFunc(cols, func(col column) bool { return col.job == j.name }) {
					continue
				}
				r, err := c.once(ctx, crier, j, n)
				if err != nil {
					return "", err
				}
				for i, col := range cols {
					if col.job == j.name {
						all[i][s] = append(all[i][s], col.value(r))
						fmt.Printf("%d clients: %s %s\n", n, col.title, number(col.value(r)))
					}
				}
			}
		}
	}
	for i, col := range cols {
		fmt.Fprintf(&b, "| %s |", col.title)
		for s := range sizes {
			fmt.Fprintf(&b, " %s |", number(median(all[i][s])))
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "\nMedians of %d, %s each. %s. %s, %s.\n", c.rounds, c.duration, crier.version, c.machine(), time.Now().Format(time.DateOnly))
	return b.String(), nil
}
