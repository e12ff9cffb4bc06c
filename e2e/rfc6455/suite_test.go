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

// deflateDiffers are those of RFC 7692.
func deflateDiffers() map[string]string {
	differs := map[string]string{
		"4 handshake: behind one to be declined":                            "ws refuses the handshake for a parameter that it does not know (§7.1: that offer is declined, and the next one looked at)",
		"4 handshake: the parameter client_max_window_bits=08":              "ws reads numbers with a zero in front (§7.1.2: without)",
		"4 handshake: the parameter server_max_window_bits=09":              "the same",
		"7692 limits: text of the largest size that cannot be compressed":   "ws holds the compressed bytes to the limit of the message as well, which has some more of them then",
		"7692 limits: binary of the largest size that cannot be compressed": "the same",
	}
	for _, param := range []string{
		"x", "x=1", "server_no_context_takeover=1", "client_no_context_takeover=true", "server_max_window_bits", "server_max_window_bits=7", "server_max_window_bits=16",
		"server_max_window_bits=x", "client_max_window_bits=7", "client_max_window_bits=16", "client_max_window_bits=-9",
		"client_max_window_bits; client_max_window_bits", "server_no_context_takeover; server_no_context_takeover", "server_max_window_bits=10; server_max_window_bits=15",
	} {
		differs["4 handshake: the parameter "+param] = "ws refuses the handshake (§7.1: the offer is declined)"
	}
	for _, op := range []string{"text", "binary"} {
		for _, name := range []string{"two last ones", "a last one, and one that is not", "last ones of a byte each"} {
			differs["7692 blocks: "+op+": "+name] = "Node's zlib takes a last block for the end of the message, and drops what follows (§7.2.1: the next block follows)"
		}
		differs["7692 broken: "+op+": noise behind a last block"] = "the same"
		differs["7692 broken: "+op+": a block cut in the midst"] = "ws does not ask whether the last block has ended, and takes what there is"
	}
	differs["7692 broken: binary: a block without compression, cut"] = "the same, with the four bytes that it has appended itself"
	return differs
}

// suite is what servers are tried with.
type suite struct {
	cases      []Case
	handshakes []Handshake
}

// plain is that of RFC 6455, and compression that of RFC 7692.
func plain() suite       { return suite{Cases(), Handshakes()} }
func compression() suite { return suite{Compressed(), Offers()} }

// deflateOffer is what clients offer in [Compressed].
const deflateOffer = "permessage-deflate"

// perform runs all cases against a target, each in one segment and byte by byte, and returns what was wrong with each, by its
// name, and the number of those that its envelope has no room for.
func perform(t *testing.T, all suite, target Target) (failed map[string]error, unfit int) {
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
	for _, c := range all.cases {
		run(c.Chapter+": "+c.Name, func(ctx context.Context, pieces bool) error { return Run(ctx, target, c, pieces) })
	}
	for _, h := range all.handshakes {
		run("4 handshake: "+h.Name, func(ctx context.Context, pieces bool) error { return RunHandshake(ctx, target, h, pieces) })
	}
	return failed, unfit
}

// TestCrier: every WebSocket of Crier passes every case.
func TestCrier(t *testing.T) { passes(t, plain(), 250, crier(t, false)) }

// TestCrierDeflates: with compression, too.
func TestCrierDeflates(t *testing.T) {
	targets := crier(t, true)
	for name, target := range targets {
		target.Offer = deflateOffer
		targets[name] = target
	}
	passes(t, compression(), 60, targets)
}

// passes tries every target with every case, of which there are so many at least.
func passes(t *testing.T, all suite, least int, targets map[string]Target) {
	total := len(all.cases) + len(all.handshakes)
	if total < least {
		t.Errorf("the suite has %d cases, want %d or more", total, least)
	}
	for name, target := range targets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			failed, unfit := perform(t, all, target)
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
func TestNPM(t *testing.T) { differs(t, plain(), npmWS(t), wsDiffers) }

// TestNPMDeflates: likewise.
func TestNPMDeflates(t *testing.T) {
	target := npmWS(t, "deflate")
	target.Offer = deflateOffer
	differs(t, compression(), target, deflateDiffers())
}

// differs tries a target that may fail the listed cases, and no others.
func differs(t *testing.T, all suite, target Target, exceptions map[string]string) {
	failed, unfit := perform(t, all, target)
	if unfit > 0 {
		t.Errorf("%d cases do not fit a server without an envelope", unfit)
	}
	for _, one := range slices.Sorted(maps.Keys(failed)) {
		if exceptions[one] == "" {
			t.Errorf("%s: %v", one, failed[one])
		}
	}
	for one, reason := range exceptions {
		if failed[one] == nil {
			t.Errorf("%s: passed, so that it is no exception any more (%s)", one, reason)
		}
	}
}

// TestNames: a case is known by its name.
func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range append(Cases(), Compressed()...) {
		if seen[c.Chapter+c.Name] {
			t.Errorf("two cases are called %s: %s", c.Chapter, c.Name)
		}
		seen[c.Chapter+c.Name] = true
	}
}
