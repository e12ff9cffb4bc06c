//go:build linux

package main

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"crier/e2e/hostile/attack"
	"crier/e2e/rig/rigtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestHostile attacks Crier with every family, in its short form: no process ends, no bystander loses a message or his connection,
// everything that has to be refused is, and the vital signs come back.
func TestHostile(t *testing.T) {
	binary := rigtest.Build(t)
	dir := t.TempDir()
	attacks := &trial{
		start: criers(binary, dir),
		lanes: 6, patience: time.Minute, waits: time.Minute, note: func(string) {},
	}
	verdicts, err := attacks.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := judge(verdicts); err != nil {
		t.Error(err)
	}
	t.Log(sum("Crier", verdicts))
}

// TestFamilies: a family is known by its name, and has forms and ways.
func TestFamilies(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range attack.Families() {
		if seen[f.Name] || len(f.Where) == 0 || len(f.Inputs) == 0 {
			t.Errorf("the family %q is there twice, or has no ways or forms", f.Name)
		}
		seen[f.Name] = true
	}
	if len(seen) < 60 {
		t.Errorf("%d families, want 60 or more", len(seen))
	}
}
