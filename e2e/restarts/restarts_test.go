//go:build linux

package main

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"crier/e2e/rig"
	"crier/e2e/rig/rigtest"
	"crier/e2e/visit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestRestarts is the short form: each way of a restart, twice.
func TestRestarts(t *testing.T) {
	dir := t.TempDir()
	binary := rigtest.Build(t)
	o := options{
		Play:     rig.Play{Binary: binary, Dir: dir, Note: func(line string) { t.Log(line) }},
		restarts: 2 * ways, users: 36, callers: 6, pushes: 100, seed: rand.Uint64(), patience: 3 * time.Minute,
	}
	t.Logf("seed %d", o.seed)
	begun := time.Now()
	b, err := o.perform(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Log(b.report(time.Since(begun)))
	if err := b.judge(); err != nil {
		t.Error(err)
	}
}

// TestJudge: whatever must not be is found, and nothing else.
func TestJudge(t *testing.T) {
	const to = "u"
	stored, fleeting, kept := push{uid: to, stored: true}, push{uid: to}, push{uid: to, kept: true}
	failed := errors.New("broken")
	for _, c := range []struct {
		name string
		note func(*book)
		want string // in the error; empty: none
	}{
		{"nothing", func(*book) {}, ""},
		{"stored, and came again", func(b *book) {
			b.expect("1", stored)
			b.answered("1", nil)
			b.arrived("1", to, 1)
			b.arrived("1", to, 2)
		}, ""},
		{"not stored, to who is away", func(b *book) { b.expect("1", fleeting); b.answered("1", nil) }, ""},
		{"the second try", func(b *book) {
			b.expect("1", fleeting)
			b.failed("1")
			b.answered("1", nil)
			b.arrived("1", to, 1)
		}, ""},
		{"two tries", func(b *book) { b.expect("1", fleeting); b.failed("1"); b.answered("1", failed) }, "failed twice: broken"},
		{"stored and lost", func(b *book) { b.expect("1", stored); b.answered("1", nil) }, "has not arrived"},
		{"twice", func(b *book) {
			b.expect("1", stored)
			b.answered("1", nil)
			b.arrived("1", to, 1)
			b.arrived("1", to, 1)
		}, "twice on one connection"},
		{"a stranger's", func(b *book) {
			b.expect("1", stored)
			b.answered("1", nil)
			b.arrived("1", to, 1)
			b.arrived("1", "v", 1)
		}, `"1" came to v`},
		{"a user who is told", func(b *book) { b.missed(to, visit.SSE) }, ""},
		{"not stored, to who comes back", func(b *book) { b.expect("1", kept); b.answered("1", nil) }, "has not arrived, and nobody was told"},
		{"to who comes back, and was told before", func(b *book) {
			b.missed(to, visit.SSE)
			b.expect("1", kept)
			b.answered("1", nil)
		}, "has not arrived"},
		{"to who comes back, and is told", func(b *book) {
			b.expect("1", kept)
			b.answered("1", nil)
			b.missed(to, visit.SSE)
		}, ""},
		{"to somebody else, who is told", func(b *book) {
			b.expect("1", kept)
			b.answered("1", nil)
			b.missed("v", visit.SSE)
		}, "has not arrived"},
		{"a refusal", func(b *book) { b.refused.Add(1) }, "1 connections were refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBook()
			c.note(b)
			err := b.judge()
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want %q", err, c.want)
			}
			if settled := b.settled(); settled == strings.Contains(c.want, "has not arrived") {
				t.Errorf("settled: %t", settled)
			}
		})
	}
}
