//go:build linux

package rig

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestRelativeBinary: a program that is named from here, as make does, is found from where it runs.
func TestRelativeBinary(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("bin", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("bin/program", []byte("#!/bin/sh\npwd\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{Binary: "bin/program", Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	l, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Ended(t.Context()); err != nil {
		t.Errorf("%v\n%s", err, s.Tail())
	}
	if got := strings.TrimSpace(s.Tail()); got != dir {
		t.Errorf("it ran in %q, want %q", got, dir)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestClose: nothing is left of processes that overlapped, and that one has ended by itself is told.
func TestClose(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	if err := os.WriteFile(program, []byte("#!/bin/sh\nif mkdir first; then exec sleep 3600; fi\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{Binary: program, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	var lives [2]*Life
	for i := range lives {
		if lives[i], err = s.Begin(); err != nil {
			t.Fatal(err)
		}
	}
	select { // whichever of them comes second
	case <-lives[0].Gone():
	case <-lives[1].Gone():
	}
	if err := s.Close(); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("got %v", err)
	}
	for _, l := range lives {
		<-l.Gone()
	}
}
