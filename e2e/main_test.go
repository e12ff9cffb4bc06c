package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// patience is how long anything may take before a test gives up on it. It is a safety net: every
// wait ends as soon as what it waits for is there. CRIER_E2E_PATIENCE changes it.
var patience = 2 * time.Minute

// The environment variables that put ready-made programs in the place of the ones built from this
// tree, and the folder that keeps what tests leave for people to look at.
const (
	crierVariable     = "CRIER_E2E_BINARY"
	echoVariable      = "CRIER_E2E_ECHOSERVER"
	artifactsVariable = "CRIER_E2E_ARTIFACTS"
	patienceVariable  = "CRIER_E2E_PATIENCE"
)

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

// run builds the programs under test once and runs the tests.
func run(m *testing.M) int {
	if given := os.Getenv(patienceVariable); given != "" {
		limit, err := time.ParseDuration(given)
		if err != nil {
			fmt.Fprintf(os.Stderr, "reading %s: %v\n", patienceVariable, err)
			return 1
		}
		patience = limit
	}
	dir, err := os.MkdirTemp("", "crier-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "making a folder for the programs under test:", err)
		return 1
	}
	defer func() {
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintln(os.Stderr, "removing the programs under test:", err)
		}
	}()
	programs := []struct{ variable, name, source string }{
		{crierVariable, "crier", ".."},
		{echoVariable, "echoserver", "./echoserver"},
	}
	for _, p := range programs {
		if os.Getenv(p.variable) != "" {
			continue
		}
		path := filepath.Join(dir, p.name)
		if err := build(path, p.source); err != nil {
			fmt.Fprintf(os.Stderr, "building %s: %v\n", p.name, err)
			return 1
		}
		if err := os.Setenv(p.variable, path); err != nil {
			fmt.Fprintln(os.Stderr, "naming the program under test:", err)
			return 1
		}
	}
	return m.Run()
}

// build compiles the main package in source into the file path.
func build(path, source string) error {
	args := []string{"build", "-o", path}
	if raceDetector {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, source)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// artifacts returns the folder for screenshots.
func artifacts(t *testing.T) string {
	t.Helper()
	dir := os.Getenv(artifactsVariable)
	if dir == "" {
		return t.TempDir()
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatalf("making the artifact folder: %v", err)
	}
	return dir
}
