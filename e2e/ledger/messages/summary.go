package messages

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
	case v.letters+v.plain < e.terms.Owed*9/10:
		return fmt.Errorf("only %d messages were accepted of %d", v.letters+v.plain, e.terms.Owed)
	case v.letters < e.terms.Owed/2:
		return fmt.Errorf("only %d messages were to be stored", v.letters)
	}
	return nil
}

// noticed says how many owed deliveries were stolen, and how many of them were found to be lost.
func (v *verdict) noticed(e *evidence) (noticed, all int) {
	for d := range e.stolen {
		if l := e.letters[d.id]; l != nil && l.accepted && !l.plain {
			all++
		}
	}
	for _, one := range v.violations {
		if one.Kind == "lost" && e.stolen[delivery{one.ID, one.UID}] {
			noticed++
		}
	}
	return noticed, all
}

// count returns how many violations there are of a kind.
func (v *verdict) count(kind string) (n int) {
	for _, one := range v.violations {
		if one.Kind == kind {
			n++
		}
	}
	return n
}

// print writes the summary of a run.
func (v *verdict) print(w io.Writer, e *evidence, dir string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "messages    seed %d: %d accepted to be stored, %d others, from %d publishers to %d users in %v\n",
		e.terms.Seed, v.letters, v.plain, publishers, e.terms.Users, e.Lasted().Round(time.Second))
	fmt.Fprintf(&b, "server      %s\n", e.Troubles())
	fmt.Fprintf(&b, "browsers    %d tabs, %d browsers killed, %d stopped\n", e.Count[stage.TabOrdered], e.Count[stage.BrowserGone], e.Count[stage.BrowserStop])
	fmt.Fprintf(&b, "deliveries  %d owed, %d lost; %d had come to a client that ended, or its connection, before it handed them on\n",
		v.owed, v.owed-v.delivered-v.discarded, v.discarded)
	fmt.Fprintf(&b, "wire        %d arrivals, of which %d in a tab that had the message already\n", v.arrivals, v.again)
	fmt.Fprintf(&b, "live        %d messages that are not stored were owed to tabs with a connection that was never lost, or recovered, as %d were; %d gaps\n",
		v.owedLive, v.recoveries, v.count("gap"))
	fmt.Fprintf(&b, "indeterminate %d deliveries, whose push was not answered, and given up; %d of them came\n", v.open, v.openCame)
	if e.terms.Drop > 0 {
		noticed, all := v.noticed(e)
		fmt.Fprintf(&b, "stolen      %d deliveries on purpose, of which %d were noticed\n", all, noticed)
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("printing the summary: %w", err)
	}
	return stage.Print(w, v.violations, dir)
}
