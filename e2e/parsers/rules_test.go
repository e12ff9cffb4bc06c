package parsers

import (
	"os"
	"strconv"
	"testing"
)

// rule is a difference that is meant. C is a comparison of one input.
type rule[C any] struct {
	name   string
	reason string
	covers func(C) bool
}

// rulebook counts how often each rule was needed.
type rulebook[C any] struct {
	rules   []rule[C]
	hits    map[string]int
	reports int
}

func newRulebook[C any](rules []rule[C]) *rulebook[C] {
	return &rulebook[C]{rules: rules, hits: make(map[string]int)}
}

// covers says whether a rule explains the difference.
func (b *rulebook[C]) covers(c C) bool {
	for _, r := range b.rules {
		if r.covers(c) {
			b.hits[r.name]++
			return true
		}
	}
	return false
}

// check fails the test for every rule that no input needed.
func (b *rulebook[C]) check(t *testing.T) {
	t.Helper()
	for _, r := range b.rules {
		if r.reason == "" {
			t.Errorf("rule %q has no reason", r.name)
		}
		if b.hits[r.name] == 0 {
			t.Errorf("rule %q explains nothing: remove it, or fix what it should see", r.name)
		}
		t.Logf("%6d × %s", b.hits[r.name], r.name)
	}
}

// report fails the test; it describes the first differences only.
func (b *rulebook[C]) report(t *testing.T, format string, args ...any) {
	t.Helper()
	if b.reports++; b.reports > maxReports {
		t.Fail()
		return
	}
	t.Errorf(format, args...)
}

// tally counts verdicts of a decoder and one official parser.
type tally struct{ accepted, refused, excused int }

const (
	inputsVariable = "CRIER_E2E_INPUTS" // generated inputs per decoder
	seedVariable   = "CRIER_E2E_SEED"
	batch          = 1000 // inputs per question
	maxReports     = 10   // failures that are described
)

func setting(t *testing.T, variable string, otherwise int) int {
	t.Helper()
	given := os.Getenv(variable)
	if given == "" {
		return otherwise
	}
	n, err := strconv.Atoi(given)
	if err != nil || n < 1 {
		t.Fatalf("%s is %q, want a number of at least 1", variable, given)
	}
	return n
}

// count counts one input, on which a difference that no rule explains is bad news.
func (n *tally) count(difference string, weAccept, theyAccept bool) {
	switch {
	case difference != "":
	case weAccept != theyAccept:
		n.excused++
	case weAccept:
		n.accepted++
	default:
		n.refused++
	}
}

// checkTallies fails the test if an official parser was not asked, or if the inputs were all of one kind.
func checkTallies(t *testing.T, parsers map[string]*tally, inputs int, refusesNothing bool, names []string) {
	t.Helper()
	for _, name := range names {
		n := parsers[name]
		if n == nil {
			t.Errorf("%s has not been asked", name)
			continue
		}
		t.Logf("%s: %d accepted and %d refused by both, %d by one", name, n.accepted, n.refused, n.excused)
		if t.Failed() {
			continue
		}
		if n.accepted < inputs/10 || n.refused < inputs/20 && !refusesNothing {
			t.Errorf("%s: %d accepted, %d refused by both, of more than %d: the inputs are too much alike", name, n.accepted, n.refused, inputs)
		}
	}
	if len(parsers) != len(names) {
		t.Errorf("%d parsers have been asked, want %d", len(parsers), len(names))
	}
}
