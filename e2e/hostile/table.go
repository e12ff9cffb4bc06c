//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"time"
)

// table is what became of all families, in Markdown.
func table(crier, official []verdict) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", sum("Crier", crier))
	if official != nil {
		fmt.Fprintf(&b, "%s\n\n", sum("The official server", official))
	}
	b.WriteString("| | known from | cases | Crier: slowest push | official: cases | slowest push | |\n|---|---|--:|--:|--:|--:|---|\n")
	for n, v := range crier {
		if v.cases == 0 {
			continue
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %s | ", v.family.Name, v.family.Source, v.cases, v.state())
		if official == nil || official[n].cases == 0 {
			b.WriteString("– | | |\n")
			continue
		}
		fmt.Fprintf(&b, "%d | %s | %s |\n", official[n].cases, milliseconds(official[n].slowest), official[n].trouble())
	}
	return b.String()
}

// sum says what became of all together.
func sum(name string, verdicts []verdict) string {
	var families, cases, crashed, lost, kept int
	var slowest time.Duration
	for _, v := range verdicts {
		if v.cases == 0 {
			continue
		}
		families, cases, crashed, lost, kept = families+1, cases+v.cases, crashed+v.crashed, lost+v.lost, kept+v.kept
		slowest = max(slowest, v.slowest)
	}
	return fmt.Sprintf("%s: %d families, %d cases; the process ended in %d, a bystander lost a push or his connection in %d, memory or descriptors did not come back in %d; slowest push %s.",
		name, families, cases, crashed, lost, kept, milliseconds(slowest))
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%d ms", d.Milliseconds()) }

// state is the slowest push, or what was wrong.
func (v verdict) state() string {
	if trouble := v.trouble(); trouble != "" {
		return trouble
	}
	return milliseconds(v.slowest)
}

// trouble says what was wrong.
func (v verdict) trouble() string {
	var all []string
	for _, one := range []struct {
		n    int
		what string
	}{{v.crashed, "the process ended in %d"}, {v.lost, "bystanders lost in %d"}, {v.kept, "not come back in %d"}, {v.lenient, "not refused in %d"}} {
		if one.n > 0 {
			all = append(all, fmt.Sprintf(one.what, one.n))
		}
	}
	return strings.Join(all, ", ")
}

// publish replaces what is between the marks of a command in a document.
func publish(path, command, text string) error {
	opening, closing := "<!-- "+command+" -->\n", "<!-- end of "+command+" -->\n"
	old, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("publishing: %w", err)
	}
	before, rest, found := bytes.Cut(old, []byte(opening))
	_, after, closed := bytes.Cut(rest, []byte(closing))
	if !found || !closed {
		return fmt.Errorf("publishing: %s has no %q and %q", path, opening, closing)
	}
	return os.WriteFile(path, []byte(string(before)+opening+text+closing+string(after)), 0o644)
}
