package app

import (
	"testing"
	"time"
)

// hasty is a test of something that has a limited time, as long as it is in a hurry.
type hasty struct {
	testing.TB
	until time.Time // what fails later than this may fail because the machine is busy; zero: nothing does
}

// errTooSlow is what hasty panics with.
type errTooSlow struct{}

// Fatal and Fatalf implement [testing.TB].
func (h *hasty) Fatal(args ...any) {
	h.Helper()
	h.giveUp()
	h.TB.Fatal(args...)
}

func (h *hasty) Fatalf(format string, args ...any) {
	h.Helper()
	h.giveUp()
	h.TB.Fatalf(format, args...)
}

// giveUp ends the run of the test if the time is over.
func (h *hasty) giveUp() {
	if !h.until.IsZero() && time.Now().After(h.until) {
		panic(errTooSlow{})
	}
}

// done says that all is done that had to be done within the limit.
func (h *hasty) done() { h.until = time.Time{} }

// inTime runs a test with a limit for what a server gives its clients so much time for. When they do not make it, since the machine
// is busy, it begins anew with twice the limit.
func inTime(t *testing.T, limit time.Duration, run func(h *hasty, limit time.Duration)) {
	t.Helper()
	for ; !inHaste(t, limit, run); limit *= 2 {
		t.Logf("the machine was too slow for %v", limit)
	}
}

// inHaste says whether the test made it within the limit.
func inHaste(t *testing.T, limit time.Duration, run func(h *hasty, limit time.Duration)) (made bool) {
	t.Helper()
	h := &hasty{TB: t, until: time.Now().Add(limit)}
	if limit > patience {
		h.done()
	}
	defer func() {
		switch e := recover().(type) {
		case nil:
		case errTooSlow:
			made = false
		default:
			panic(e)
		}
	}()
	run(h, limit)
	return true
}
