// Package rigtest has the server for tests that run it as a process.
package rigtest

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// Build builds Crier, and returns where the program is.
func Build(t testing.TB) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "crier")
	if out, err := exec.Command("go", "build", "-o", program, "crier").CombinedOutput(); err != nil {
		t.Fatalf("building Crier: %v\n%s", err, out)
	}
	return program
}
