//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"crier/bench"
)

// column is a figure of the table.
type column struct {
	job, title string
	value      func(*bench.Result) float64
	bound      *bound // nil: none is asked for
}

// bound is what Crier must reach.
type bound struct {
	of     string // server whose figure it is a multiple of; "": it is absolute
	atMost bool
	target float64
}

func atLeast(of string, target float64) *bound { return &bound{of: of, target: target} }
func atMost(of string, target float64) *bound  { return &bound{of: of, target: target, atMost: true} }

// The figures of rates are for a second of the server's processor: what a server does that has one, whatever else the machine does.
func work(r *bench.Result) float64 { return r.Work.CPU.PerSecond }
func held(r *bench.Result) float64 { return r.Memory.PerClient }

// lastP99 is 0 if no broadcast has reached everybody.
func lastP99(r *bench.Result) float64 {
	if r.Last == nil {
		return 0
	}
	return r.Last.P99
}

func columns() []column {
	return []column{
		{"idle", "bytes a client", held, atMost("", 5000)},
		{"idle", "logins/s", func(r *bench.Result) float64 { return r.Connect.CPU.PerSecond }, atLeast("ceiling", 0.65)},
		{"broadcast", "deliveries/s", work, atLeast("ceiling", 0.9)},
		{"paced", "CPU s per million at 5/s", func(r *bench.Result) float64 { return r.Work.CPU.PerMillion }, atMost("ceiling", 1.15)},
		{"paced", "p99 of the last client, ms", lastP99, atMost("ceiling", 1.2)},
		{"burst", "deliveries/s, 16 at once", work, atLeast("", 1_500_000)},
		{"push", "pushes/s, kept connections", work, atLeast("ceiling", 0.65)},
		{"new", "pushes/s, new connections", work, atLeast("ceiling", 0.75)},
		{"lines", "pushes/s, link of lines", work, atLeast("", 150_000)},
		{"stream", "pushes/s, link of WebSocket", work, atLeast("", 150_000)},
		{"events", "events acknowledged/s", work, atLeast("ceiling", 0.68)},
		{"churn", "clients come and gone/s", work, atLeast("ceiling", 0.7)},
		{"polling", "polling: deliveries/s", work, atLeast("node", 3.4)},
		{"polling", "polling: bytes a client", held, atMost("", 8000)},
		{"sse", "SSE: deliveries/s", work, atLeast("", 150_000)},
		{"sse", "SSE: bytes a client", held, atMost("", 8000)},
	}
}

// figures are those of one column: by server, and by round.
type figures map[string][]float64

// table measures everything in turn, so that all meet the same machine, and returns the table.
func (c *comparison) table(ctx context.Context, peers []peer) (string, error) {
	cols := columns()
	all := make([]figures, len(cols))
	for i := range all {
		all[i] = figures{}
	}
	for round := range c.rounds {
		for _, j := range jobs() {
			for _, p := range peers {
				if !chosen(c.only, j.name) || j.servers != nil && !slices.Contains(j.servers, p.name) {
					continue
				}
				began := time.Now()
				r, err := c.once(ctx, p, j, c.clients)
				if ctx.Err() != nil {
					return c.markdown(peers, cols, all), context.Cause(ctx)
				}
				if err != nil {
					c.note("%v", err)
					continue
				}
				text := ""
				for i, col := range cols {
					if col.job == j.name {
						all[i][p.name] = append(all[i][p.name], col.value(r))
						text += fmt.Sprintf("; %s %s", col.title, number(col.value(r)))
					}
				}
				fmt.Printf("round %d, %s, %s (%.0f s)%s\n", round+1, j.name, p.name, time.Since(began).Seconds(), text)
			}
		}
	}
	return c.markdown(peers, cols, all), nil
}

// markdown writes the table: a row for a figure, since there are more of these than servers.
func (c *comparison) markdown(peers []peer, cols []column, all []figures) string {
	var b strings.Builder
	b.WriteString("| |")
	for _, p := range peers {
		fmt.Fprintf(&b, " %s |", p.name)
	}
	b.WriteString(" Crier ÷ ceiling | Crier ÷ Node | must be | met |\n|---|" + strings.Repeat("---|", len(peers)+4) + "\n")
	for i, col := range cols {
		if len(all[i]) == 0 {
			continue
		}
		fmt.Fprintf(&b, "| %s |", col.title)
		for _, p := range peers {
			fmt.Fprintf(&b, " %s |", number(median(all[i][p.name])))
		}
		fmt.Fprintf(&b, " %s | %s | %s |\n", ratio(all[i], "ceiling"), ratio(all[i], "node"), col.bound.judge(all[i]))
	}
	fmt.Fprintf(&b, "\n%d clients, medians of %d, %s each. %s, %s.\n", c.clients, c.rounds, c.duration, c.machine(), time.Now().Format(time.DateOnly))
	for _, p := range peers {
		fmt.Fprintf(&b, "- %s: %s\n", p.name, p.version)
	}
	slices.Sort(c.notes)
	for _, n := range slices.Compact(c.notes) {
		fmt.Fprintf(&b, "- %s\n", n)
	}
	return b.String()
}

// judge says what must be, and whether it is.
func (b *bound) judge(f figures) string {
	crier, other := median(f["crier"]), 1.0
	unit := ""
	if b.of != "" {
		other, unit = median(f[b.of]), " × "+b.of
	}
	sign, met := "≥", crier >= b.target*other
	if b.atMost {
		sign, met = "≤", crier <= b.target*other
	}
	answer := map[bool]string{true: "yes", false: "no"}[met]
	if crier == 0 || other == 0 {
		answer = ""
	}
	return fmt.Sprintf("%s %s%s | %s", sign, number(b.target), unit, answer)
}

// ratio is the median of Crier's figures in those of another, round by round.
func ratio(f figures, other string) string {
	a, b := f["crier"], f[other]
	var list []float64
	for i := range min(len(a), len(b)) {
		list = append(list, a[i]/b[i])
	}
	return number(median(list))
}

// number writes a figure; 0 is one that there is not.
func number(v float64) string {
	switch {
	case v == 0:
		return "–"
	case v < 100:
		return strings.TrimSuffix(strings.TrimSuffix(fmt.Sprintf("%.2f", v), "0"), ".0")
	case v < 10_000:
		return fmt.Sprintf("%.0f", v)
	}
	digits := fmt.Sprintf("%.0f", v)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// median is 0 for none.
func median(list []float64) float64 {
	if len(list) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(list))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// write puts text between the markers of that name in a page.
func write(page, name, text string) error {
	data, err := os.ReadFile(page)
	if err != nil {
		return fmt.Errorf("reading the page: %w", err)
	}
	begin, end := "<!-- "+name+" -->\n", "<!-- /"+name+" -->"
	before, rest, ok := strings.Cut(string(data), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return fmt.Errorf("%s has no %s… %s", page, begin, end)
	}
	if err := os.WriteFile(page, []byte(before+begin+text+end+after), 0o644); err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	return nil
}
