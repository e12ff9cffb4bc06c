// Package intime runs tests of what a server gives its clients a limited time for.
package intime

import (
	"testing"
	"time"
)

// patience is longer than any machine needs: within it, nothing fails because a machine is busy.
const patience = time.Minute

// Test is a test that is in a hurry until Done.
type Test struct {
	testing.TB
	until time.Time // what fails later than this may fail because the machine is busy; zero: nothing does
}

// tooSlow is what a Test panics with.
type tooSlow struct{}

// Fatal implements [testing.TB].
func (t *Test) Fatal(args ...any) {
	t.Helper()
	t.giveUp()
	t.TB.Fatal(args...)
}

// Fatalf implements [testing.TB].
func (t *Test) Fatalf(format string, args ...any) {
	t.Helper()
	t.giveUp()
	t.TB.Fatalf(format, args...)
}

// giveUp ends the run of the test if the time is over.
func (t *Test) giveUp() {
	if !t.until.IsZero() && time.Now().After(t.until) {
		panic(tooSlow{})
	}
}

// Done says that all is done that had to be done within the limit.
func (t *Test) Done() { t.until = time.Time{} }

// Run runs a test with a limit, which the server is to be given. When something fails after the limit is over and before the test
// says that all is done which had to be done within it, that is the machine's fault: the test begins anew with twice the limit.
func Run(t testing.TB, limit time.Duration, run func(t *Test, limit time.Duration)) {
	t.Helper()
	for ; !try(t, limit, run); limit *= 2 {
		t.Logf("the machine was too slow for %v", limit)
	}
}

// try says whether the test made it within the limit.
func try(t testing.TB, limit time.Duration, run func(t *Test, limit time.Duration)) (made bool) {
	t.Helper()
	one := &Test{TB: t, until: time.Now().Add(limit)}
	if limit > patience {
		one.Done()
	}
	defer func() {
		switch e := recover().(type) {
		case nil:
		case tooSlow:
			made = false
		default:
			panic(e)
		}
	}()
	run(one, limit)
	return true
}
