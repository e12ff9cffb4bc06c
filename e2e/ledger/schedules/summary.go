package schedules

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"crier/e2e/ledger/stage"
)

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

// sound says why a verdict without violations would mean little, if so.
func (v *verdict) sound(e *evidence) error {
	switch {
	case v.runs < v.schedules/2:
		return fmt.Errorf("only %d runs came of %d schedules", v.runs, v.schedules)
	case v.open > e.terms.Owed/5+e.terms.Users || v.unseen > v.runs/5+e.terms.Users:
		return fmt.Errorf("too much is open: whether %d schedules were made, and %d runs pushed", v.open, v.unseen)
	}
	return nil
}

// noticed says how many runs were stolen, and how many of them of schedules that violations tell of.
func (v *verdict) noticed(stolen map[string]int) (noticed, all int) {
	accused := map[string]bool{}
	for _, one := range v.violations {
		accused[one.ID] = true
	}
	for id, n := range stolen {
		all += n
		if accused[id] {
			noticed += n
		}
	}
	return noticed, all
}

// print writes the summary of a run.
func (v *verdict) print(w io.Writer, e *evidence, dir string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "schedules   seed %d: %d made, by %d makers in %v; of %d more it is open, and nothing was looked at\n",
		e.terms.Seed, v.schedules, e.terms.Users, e.Lasted().Round(time.Second), v.open)
	fmt.Fprintf(&b, "server      %s; %d browsers killed\n", e.Troubles(), e.Count[stage.BrowserGone])
	fmt.Fprintf(&b, "runs        %d came; %d were pushed again, since the server was killed in the act; %d late ones were skipped, as they had to be\n", v.runs, v.repeats, v.skipped)
	fmt.Fprintf(&b, "receivers   %d tabs, %d messages; %d came again that had not been confirmed\n", e.Count[stage.TabOrdered], e.arrivals, v.again)
	fmt.Fprintf(&b, "indeterminate %d: runs that are not stored, with nobody there for certain\n", v.unseen)
	if e.terms.Drop > 0 {
		noticed, all := v.noticed(e.stolen)
		fmt.Fprintf(&b, "stolen      %d runs on purpose, of which %d were noticed\n", all, noticed)
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("printing the summary: %w", err)
	}
	return stage.Print(w, v.violations, dir)
}
