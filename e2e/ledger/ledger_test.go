package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"go.uber.org/goleak"
)

// The environment variables that name a server to test instead of the one of this tree, the folder that keeps the books of
// runs that fail, and the seed of all runs.
const (
	crierVariable     = "CRIER_E2E_BINARY"
	artifactsVariable = "CRIER_E2E_ARTIFACTS"
	seedVariable      = "CRIER_LEDGER_SEED"
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "crier-ledger-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "making a folder for the server:", err)
		os.Exit(1)
	}
	code := testAll(m, dir)
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, "removing the server:", err)
		code = 1
	}
	os.Exit(code)
}

// testAll builds the server, runs the tests, and looks for goroutines that are left.
func testAll(m *testing.M, dir string) int {
	if os.Getenv(crierVariable) == "" {
		path := filepath.Join(dir, "crier")
		args := []string{"build", "-o", path}
		if raceDetector {
			args = append(args, "-race")
		}
		if out, err := exec.Command("go", append(args, "../..")...).CombinedOutput(); err != nil {
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

// TestLedger is a short run with every kind of fault.
func TestLedger(t *testing.T) {
	t.Parallel()
	terms := defaults()
	terms.Transitions, terms.Users, terms.Faults = 400, 120, 14
	e, v := performed(t, terms)
	for _, one := range v.violations {
		t.Errorf("%s %s %s: %s", one.uid, one.kind, one.id, one.text)
	}
	for _, what := range []string{serverKill, serverStop, serverTerm, browserGone, receiverDown, receiverHang} {
		if e.count[what] == 0 {
			t.Errorf("there was no %q in the run", what)
		}
	}
	if e.retries() == 0 {
		t.Error("no callback came again, so nothing shows that one may")
	}
}

// TestMutation loses callbacks on their way, some of which come in batches: the checker has to notice it, and to find nothing
// else. Two that are lost of one user can be the offline and the online of an absence that need not have been told.
func TestMutation(t *testing.T) {
	t.Parallel()
	terms := defaults()
	terms.Transitions, terms.Users, terms.Faults, terms.Batch, terms.Drop = 300, 100, 8, 8, 40
	e, v := performed(t, terms)
	robbed := e.robbed()
	if noticed, all := v.noticed(robbed); noticed == 0 {
		t.Errorf("of %d stolen callbacks none was noticed", all)
	}
	accused := map[string]bool{}
	for _, one := range v.violations {
		accused[one.uid] = true
		if robbed[one.uid] == 0 {
			t.Errorf("nothing of %s was stolen, but: %s %s: %s", one.uid, one.kind, one.id, one.text)
		}
	}
	for uid, n := range robbed {
		if n%2 == 1 && !accused[uid] {
			t.Errorf("%d callbacks of %s were stolen, and nothing was noticed", n, uid)
		}
	}
}

// performed runs and judges. The books of a run that fails are kept.
func performed(t *testing.T, terms terms) (*evidence, *verdict) {
	t.Helper()
	needs(t)
	if text := os.Getenv(seedVariable); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("reading %s: %v", seedVariable, err)
		}
		terms.Seed = seed
	}
	dir := booksFolder(t)
	err := perform(t.Context(), terms, options{
		binary: os.Getenv(crierVariable), script: "tabs.mjs", dir: dir, log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatalf("the run with seed %d failed: %v", terms.Seed, err)
	}
	e, err := gather(dir)
	if err != nil {
		t.Fatal(err)
	}
	v := judge(e)
	var summary bytes.Buffer
	if err := v.print(&summary, e, dir); err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", &summary)
	if err := v.sound(e); err != nil {
		t.Error(err)
	}
	return e, v
}

// booksFolder makes a folder that is removed unless the test fails.
func booksFolder(t *testing.T) string {
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

// needs skips the test where Node or its packages are missing, and fails it in CI.
func needs(t *testing.T) {
	t.Helper()
	_, err := exec.LookPath("node")
	if _, missing := os.Stat(filepath.Join("..", "node_modules", "sioc-4")); err == nil && missing == nil {
		return
	}
	const text = "the clients need Node 20 or later, and npm ci in e2e/"
	if os.Getenv("CI") == "true" {
		t.Fatal(text)
	}
	t.Skip(text)
}
