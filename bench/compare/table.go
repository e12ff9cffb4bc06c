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
	bounds     []bound
}

// bound is what Crier must reach: a multiple of another figure of the same kind, or of 1.
type bound struct {
	of     string // the server whose figure that is; "" if job is too: it is 1
	job    string // the job of Crier's whose figure it is, instead
	atMost bool
	target float64
}

// than names what the target is a multiple of.
func (b bound) than() string {
	switch {
	case b.job != "":
		return " × " + b.job
	case b.of != "":
		return " × " + b.of
	}
	return ""
}

func atLeast(of string, target float64) bound { return bound{of: of, target: target} }
func atMost(of string, target float64) bound  { return bound{of: of, target: target, atMost: true} }

// overPush is what a link must reach.
func overPush() bound { return bound{job: "push", target: 2.5} }

// Most figures of rates are for a second of the server's processor: what a server does that has one, whatever else the machine
// does. Those by the clock are what the load saw, which may be its own limit.
func work(r *bench.Result) float64    { return r.Work.CPU.PerSecond }
func byClock(r *bench.Result) float64 { return r.Work.PerSecond }
func held(r *bench.Result) float64    { return r.Memory.PerClient }

// left is the memory after all clients have gone, in that before they came.
func left(r *bench.Result) float64 { return float64(r.Memory.Left) / float64(r.Memory.Before) }

// lastP99 is 0 if no broadcast has reached everybody.
func lastP99(r *bench.Result) float64 {
	if r.Last == nil {
		return 0
	}
	return r.Last.P99
}

func columns() []column {
	return []column{
		{"idle", "bytes a client", held, []bound{atMost("", 5000)}},
		{"idle", "memory once they have left, in that before", left, []bound{atMost("", 1.3)}},
		{"idle", "logins/s", func(r *bench.Result) float64 { return r.Connect.CPU.PerSecond }, []bound{atLeast("ceiling", 0.65)}},
		{"broadcast", "deliveries/s", work, []bound{atLeast("ceiling", 0.9)}},
		{"paced", "CPU s per million at 5/s", func(r *bench.Result) float64 { return r.Work.CPU.PerMillion }, []bound{atMost("ceiling", 1.15)}},
		{"paced", "p99 of the last client, ms", lastP99, []bound{atMost("ceiling", 1.2)}},
		{"burst", "deliveries/s, 16 at once", work, []bound{atLeast("", 1_500_000)}},
		{"push", "pushes/s, kept connections", work, []bound{atLeast("ceiling", 0.65), atLeast("handler", 0.6)}},
		{"push", "– by the clock", byClock, []bound{atLeast("handler", 0.6)}},
		{"new", "pushes/s, new connections", work, []bound{atLeast("ceiling", 0.75)}},
		{"lines", "pushes/s, link of lines", work, []bound{overPush(), atLeast("", 150_000)}},
		{"lines", "– by the clock", byClock, []bound{overPush()}},
		{"stream", "pushes/s, link of WebSocket", work, []bound{overPush(), atLeast("", 150_000)}},
		{"stream", "– by the clock", byClock, []bound{overPush()}},
		{"events", "events acknowledged/s", work, []bound{atLeast("ceiling", 0.68)}},
		{"churn", "clients come and gone/s", work, []bound{atLeast("ceiling", 0.7)}},
		{"polling", "polling: deliveries/s", work, []bound{atLeast("node", 3.4)}},
		{"polling", "polling: bytes a client", held, []bound{atMost("", 8000)}},
		{"polling", "polling: memory once they have left, in that before", left, []bound{atMost("", 1.3)}},
		{"sse", "SSE: deliveries/s", work, []bound{atLeast("", 150_000)}},
		{"sse", "SSE: bytes a client", held, []bound{atMost("", 8000)}},
	}
}

// results are those of one job: by server, and by round.
type results map[string][]*bench.Result

// figures are a column's, of one server in a job.
func (c column) figures(of []*bench.Result) []float64 {
	var list []float64
	for _, r := range of {
		list = append(list, c.value(r))
	}
	return list
}

// table measures everything in turn, so that all meet the same machine, and returns the table.
func (c *comparison) table(ctx context.Context, peers []peer) (string, error) {
	all := make(map[string]results)
	for round := range c.rounds {
		for _, j := range jobs() {
			for _, p := range peers {
				if !chosen(c.only, j.name) || !p.does(j) {
					continue
				}
				began := time.Now()
				r, err := c.once(ctx, p, j, c.clients)
				if ctx.Err() != nil {
					return c.markdown(peers, columns(), all), context.Cause(ctx)
				}
				if err != nil {
					c.note("%v", err)
					continue
				}
				if all[j.name] == nil {
					all[j.name] = results{}
				}
				all[j.name][p.name] = append(all[j.name][p.name], r)
				text := ""
				for _, col := range columns() {
					if col.job == j.name {
						text += fmt.Sprintf("; %s %s", col.title, number(col.value(r)))
					}
				}
				fmt.Printf("round %d, %s, %s (%.0f s, load %.2f processors)%s\n", round+1, j.name, p.name, time.Since(began).Seconds(), r.Work.LoadCores, text)
			}
		}
	}
	return c.markdown(peers, columns(), all), nil
}

// markdown writes the table of all jobs: a row for a figure, since there are more of these than servers.
func (c *comparison) markdown(peers []peer, cols []column, all map[string]results) string {
	var b strings.Builder
	b.WriteString("| |")
	for _, p := range peers {
		fmt.Fprintf(&b, " %s |", p.name)
	}
	b.WriteString(" Crier ÷ ceiling | Crier ÷ Node | must be | is | met |\n|---|" + strings.Repeat("---|", len(peers)+5) + "\n")
	for _, col := range cols {
		row := all[col.job]
		if len(row) == 0 {
			continue
		}
		fmt.Fprintf(&b, "| %s |", col.title)
		for _, p := range peers {
			fmt.Fprintf(&b, " %s |", number(median(col.figures(row[p.name]))))
		}
		over := func(other string) string { return number(ratio(col.figures(row["crier"]), col.figures(row[other]))) }
		fmt.Fprintf(&b, " %s | %s | %s |\n", over("ceiling"), over("node"), col.judge(all))
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

// judge says what must be, what is, and whether that is met, of each bound.
func (c column) judge(all map[string]results) string {
	var must, is, met []string
	for _, b := range c.bounds {
		crier := c.figures(all[c.job]["crier"])
		v := median(crier)
		switch {
		case b.job != "":
			v = ratio(crier, c.figures(all[b.job]["crier"]))
		case b.of != "":
			v = ratio(crier, c.figures(all[c.job][b.of]))
		}
		sign, fine := "≥", v >= b.target
		if b.atMost {
			sign, fine = "≤", v <= b.target
		}
		answer := map[bool]string{true: "yes", false: "no"}[fine]
		if v == 0 {
			answer = "–"
		}
		must, is, met = append(must, sign+" "+number(b.target)+b.than()), append(is, number(v)), append(met, answer)
	}
	return strings.Join(must, "; ") + " | " + strings.Join(is, "; ") + " | " + strings.Join(met, "; ")
}

// ratio is the median of figures in others, round by round; 0 if there are none.
func ratio(figures, others []float64) float64 {
	var list []float64
	for i := range min(len(figures), len(others)) {
		if others[i] > 0 {
			list = append(list, figures[i]/others[i])
		}
	}
	return median(list)
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
