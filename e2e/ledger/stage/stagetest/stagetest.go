// Package stagetest has short runs of the ledger in go test.
package stagetest

import (
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"go.uber.org/goleak"

	"crier/e2e/ledger/stage"
)

// The environment variables that name a server to test instead of the one of this tree, the folder that keeps the books of
// runs that fail, and the seed of all runs.
const (
	crierVariable     = "CRIER_E2E_BINARY"
	artifactsVariable = "CRIER_E2E_ARTIFACTS"
	seedVariable      = "CRIER_LEDGER_SEED"
)

// Main builds the server, runs the tests, looks for goroutines that are left, and returns the exit code. The tests are in a
// folder beside stage.
func Main(m *testing.M) int {
	dir, err := os.MkdirTemp("", "crier-ledger-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "making a folder for the server:", err)
		return 1
	}
	code := testAll(m, dir)
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, "removing the server:", err)
		code = 1
	}
	return code
}

func testAll(m *testing.M, dir string) int {
	if os.Getenv(crierVariable) == "" {
		path := filepath.Join(dir, "crier")
		args := []string{"build", "-o", path}
		if raceDetector {
			args = append(args, "-race")
		}
		if out, err := exec.Command("go", append(args, "../../..")...).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "building crier: %v\n%s\n", err, out)
			return 1
		}
		if err := os.Setenv(crierVariable, path); err != nil {
			fmt.Fprintln(os.Stderr, "naming the server:", err)
			return 1
		}
	}
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, "left behind:", err)
		return 1
	}
	return code
}

// Options returns what a run needs. Its books are in a folder that is removed unless the test fails. It skips the test where
// Node or its packages are missing, and fails it in CI.
func Options(t *testing.T) stage.Options {
	t.Helper()
	needs(t)
	return stage.Options{
		Binary: os.Getenv(crierVariable), Script: filepath.Join("..", "stage", "tabs.mjs"), Dir: folder(t), Log: slog.New(slog.DiscardHandler),
	}
}

// Seed returns the seed that the tests are to use instead of seed, if one is given.
func Seed(t *testing.T, seed uint64) uint64 {
	t.Helper()
	text := os.Getenv(seedVariable)
	if text == "" {
		return seed
	}
	given, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("reading %s: %v", seedVariable, err)
	}
	return given
}

func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(os.Getenv(artifactsVariable), "ledger-")
	if err != nil {
		t.Fatalf("making a folder for the books: %v", err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the books are in %s", dir)
			return
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("removing the books: %v", err)
		}
	})
	return dir
}

// NeedsRedis skips the test where redis-server is missing, and fails it in CI.
func NeedsRedis(t *testing.T) {
	t.Helper()
	_, err := exec.LookPath("redis-server")
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatal(err)
	default:
		t.Skip("several servers need redis-server: apt-get install redis-server")
	}
}

func needs(t *testing.T) {
	t.Helper()
	_, err := exec.LookPath("node")
	if _, missing := os.Stat(filepath.Join("..", "..", "node_modules", "sioc-4")); err == nil && missing == nil {
		return
	}
	const text = "the clients need Node 20 or later, and npm ci in e2e/"
	if os.Getenv("CI") == "true" {
		t.Fatal(text)
	}
	t.Skip(text)
}
