package rfc6455

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
)

// wsDiffers are the cases that npm's ws does not pass, and why that is no fault of the case.
var wsDiffers = map[string]string{
	"4 handshake: HTTP/1.0":                "Node hands over requests of HTTP/1.0 too, and ws does not look (§4.2.1: HTTP/1.1 or higher)",
	"4 handshake: HTTP/0.9":                "the same",
	"4 handshake: no Host":                 "Node requires a Host of other requests only (§4.2.1)",
	"4 handshake: space around the values": "Node leaves white space behind a value (RFC 9110 §5.5: it is no part of it)",
	"4 handshake: version 013":             "ws reads the version as a number (§4.2.1: 13)",
	"4 handshake: version 13.0":            "the same",

	"5.5 control frames: a hundred pings, each answered": "ws ends who has sent more pings than it has written pongs for (maxPendingAutoPongs), even one that reads; a client may send any number",
}

// perform runs all cases against a target, each in one segment and byte by byte, and returns what was wrong with each, by its
// name, and the number of those that its envelope has no room for.
func perform(t *testing.T, target Target) (failed map[string]error, unfit int) {
	t.Helper()
	failed = map[string]error{}
	run := func(name string, one func(ctx context.Context, pieces bool) error) {
		for _, pieces := range []bool{false, true} {
			ctx, cancel := context.WithTimeout(context.Background(), Patience)
			err := one(ctx, pieces)
			cancel()
			if errors.Is(err, ErrUnfit) {
				unfit++
				return
			}
			if err != nil {
				failed[name] = fmt.Errorf("in pieces %t: %w", pieces, err)
				return
			}
		}
	}
	for _, c := range Cases() {
		run(c.Chapter+": "+c.Name, func(ctx context.Context, pieces bool) error { return Run(ctx, target, c, pieces) })
	}
	for _, h := range Handshakes() {
		run("4 handshake: "+h.Name, func(ctx context.Context, pieces bool) error { return RunHandshake(ctx, target, h, pieces) })
	}
	return failed, unfit
}

// TestCrier: every WebSocket of Crier passes every case.
func TestCrier(t *testing.T) {
	total := len(Cases()) + len(Handshakes())
	if total < 250 {
		t.Errorf("the suite has %d cases, want 250 or more", total)
	}
	for name, target := range crier(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			failed, unfit := perform(t, target)
			for _, one := range slices.Sorted(maps.Keys(failed)) {
				t.Errorf("%s: %v", one, failed[one])
			}
			if unfit > total/3 {
				t.Errorf("%d of %d cases do not fit the server's messages", unfit, total)
			}
			t.Logf("%d cases passed, %d failed, %d do not fit", total-unfit-len(failed), len(failed), unfit)
		})
	}
}

// TestNPM has the suite itself tried by npm's ws, which is known to be right: where it fails a case, there is a reason.
func TestNPM(t *testing.T) {
	failed, unfit := perform(t, npmWS(t))
	if unfit > 0 {
		t.Errorf("%d cases do not fit a server without an envelope", unfit)
	}
	for _, one := range slices.Sorted(maps.Keys(failed)) {
		if wsDiffers[one] == "" {
			t.Errorf("%s: %v", one, failed[one])
		}
	}
	for one, reason := range wsDiffers {
		if failed[one] == nil {
			t.Errorf("%s: passed, so that it is no exception any more (%s)", one, reason)
		}
	}
}

// TestNames: a case is known by its name.
func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range Cases() {
		if seen[c.Chapter+c.Name] {
			t.Errorf("two cases are called %s: %s", c.Chapter, c.Name)
		}
		seen[c.Chapter+c.Name] = true
	}
}
