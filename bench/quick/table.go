//go:build linux

package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// table collects the figures; each with its target, if it has one.
type table struct {
	rows []row
}

type row struct {
	what, figure, target, met string
}

// note adds a figure without a target.
func (t *table) note(what, format string, args ...any) {
	t.rows = append(t.rows, row{what: what, figure: fmt.Sprintf(format, args...)})
}

// atMost and atLeast add a figure with one.
func (t *table) atMost(what string, target, figure float64) {
	t.add(what, fmt.Sprintf("≤ %.5g", target), figure, figure <= target)
}

func (t *table) atLeast(what string, target, figure float64) {
	t.add(what, fmt.Sprintf("≥ %.5g", target), figure, figure >= target)
}

// check adds what is true or not.
func (t *table) check(what string, met bool) {
	answer := map[bool]string{true: "yes", false: "no"}[met]
	t.rows = append(t.rows, row{what: what, figure: answer, target: "yes", met: answer})
}

func (t *table) add(what, target string, figure float64, met bool) {
	r := row{what: what, target: target, met: "no", figure: fmt.Sprintf("%.2f", figure)}
	if figure >= 100 {
		r.figure = fmt.Sprintf("%.0f", figure)
	}
	if met {
		r.met = "yes"
	}
	t.rows = append(t.rows, r)
}

// print writes the table, which is one of Markdown as well.
func (t *table) print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	fmt.Fprintln(tw, "|\t| measured\t| target\t| met\t|")
	fmt.Fprintln(tw, "|---\t|---\t|---\t|---\t|")
	for _, r := range t.rows {
		fmt.Fprintf(tw, "| %s\t| %s\t| %s\t| %s\t|\n", r.what, r.figure, r.target, r.met)
	}
	return tw.Flush()
}

func median(list []float64) float64 {
	sorted := slices.Sorted(slices.Values(list))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// ratios are those of two lists, element by element.
func ratios(a, b []float64) []float64 {
	list := make([]float64, len(a))
	for i := range a {
		list[i] = a[i] / b[i]
	}
	return list
}
