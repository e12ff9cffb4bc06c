package callbacks

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"crier/e2e/ledger/stage"
)

// indeterminate is how much was neither owed nor excluded.
func (v *verdict) indeterminate() int { return v.open + v.cut }

// sound says why a verdict without violations would mean little, if so.
func (v *verdict) sound(e *evidence) error {
	owed, least := v.arrivals+v.departures, e.terms.Owed
	if e.terms.Nodes > 0 { // less is certain then
		least = least * 3 / 4
	}
	switch most := e.terms.Owed/5 + 2*e.terms.Users; {
	case owed < least:
		return fmt.Errorf("only %d of %d transitions were owed for certain", owed, e.terms.Owed)
	case v.indeterminate() > most:
		return fmt.Errorf("%d times it is open what was owed, which is more than %d", v.indeterminate(), most)
	}
	return nil
}

// robbed says of which users callbacks were stolen, and how many. One that came again is not lost: the server was killed
// before it had kept in mind what the thief had answered.
func (e *evidence) robbed() map[string]int {
	arrived := map[string]bool{}
	for _, line := range e.lines {
		for _, c := range line.callbacks() {
			arrived[c.ID] = true
		}
	}
	robbed := map[string]int{}
	for _, line := range e.stolen {
		for _, c := range line.callbacks() {
			if !arrived[c.ID] {
				robbed[c.Data.UID]++
			}
		}
	}
	return robbed
}

// callbacks returns what a request brought, nothing if it was refused.
func (l callbackLine) callbacks() []callback {
	all, err := readCallbacks([]byte(l.Body))
	if err != nil {
		return nil
	}
	return all
}

// noticed says how many callbacks were stolen, and how many of them of users whom violations tell of.
func (v *verdict) noticed(robbed map[string]int) (noticed, all int) {
	accused := map[string]bool{}
	for _, one := range v.violations {
		accused[one.UID] = true
	}
	for uid, n := range robbed {
		all += n
		if accused[uid] {
			noticed += n
		}
	}
	return noticed, all
}

// Check judges the books in a folder, prints a summary and returns how many violations there are. Its error says that the
// books prove nothing.
func Check(dir string, w io.Writer) (violations int, err error) {
	e, err := gather(dir)
	if err != nil {
		return 0, err
	}
	v := judge(e)
	return len(v.violations), errors.Join(v.print(w, e, dir), v.sound(e))
}

// print writes the summary of a run, one line for each party, and the first violations.
func (v *verdict) print(w io.Writer, e *evidence, dir string) error {
	var b strings.Builder
	t := e.terms
	fmt.Fprintf(&b, "ledger      seed %d: %d arrivals and %d departures owed, of %d users in %v\n",
		t.Seed, v.arrivals, v.departures, t.Users, e.Lasted().Round(time.Second))
	fmt.Fprintf(&b, "server      %s\n", e.Troubles())
	fmt.Fprintf(&b, "browsers    %d tabs, %d browsers killed\n", e.Count[stage.TabOrdered], e.Count[stage.BrowserGone])
	fmt.Fprintf(&b, "receiver    %d requests, %d tries again of what had failed, %d outages, %d hangs; faults: %s\n",
		len(e.lines), e.retries(), e.Count[receiverDown], e.Count[receiverHang], e.faults())
	fmt.Fprintf(&b, "callbacks   %d noted, and %d of them again, under the same webhook-id\n", v.told, v.repeats)
	fmt.Fprintf(&b, "not owed    %d absences too short to be told\n", v.short)
	fmt.Fprintf(&b, "indeterminate %d: %d absences of a length between, %d connections cut off right after their login\n", v.indeterminate(), v.open, v.cut)
	if t.Drop > 0 {
		noticed, all := v.noticed(e.robbed())
		fmt.Fprintf(&b, "stolen      %d callbacks on purpose, of which %d were noticed\n", all, noticed)
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("printing the summary: %w", err)
	}
	return stage.Print(w, v.violations, dir)
}

// retries counts the requests whose callback had been tried before.
func (e *evidence) retries() int {
	ids := map[string]bool{}
	for _, line := range e.lines {
		ids[line.ID] = true
	}
	return len(e.lines) - len(ids)
}

// faults lists what the receiver did wrong, and how often.
func (e *evidence) faults() string {
	count := map[string]int{}
	for _, line := range e.lines {
		if line.Fault != "" {
			count[line.Fault]++
		}
	}
	var all []string
	for name, n := range count {
		all = append(all, fmt.Sprintf("%d %s", n, name))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}
