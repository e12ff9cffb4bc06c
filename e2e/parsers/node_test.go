package parsers

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// officials is the Node process that runs the official parsers.
type officials struct {
	in  io.Writer
	out *bufio.Reader
}

// startOfficials starts parsers.mjs, which ends with the test. Where Node or its packages are missing the test is
// skipped on a developer's machine and fails in CI (CI=true).
func startOfficials(t *testing.T) *officials {
	t.Helper()
	path, err := exec.LookPath("node")
	if err != nil {
		missing(t, "node is missing: install Node 20 or later")
	}
	if _, err := os.Stat(filepath.Join("node_modules", "socket.io-parser-4.2")); err != nil {
		missing(t, "the npm packages are missing: run npm ci in e2e/parsers/")
	}
	cmd := exec.Command(path, "parsers.mjs")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := in.Close(); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("parsers.mjs: %v", err)
		}
	})
	return &officials{in: in, out: bufio.NewReader(out)}
}

// question and its answer, a map from parsers to verdicts, are described in parsers.mjs.
type question struct {
	Decoder string    `json:"decoder"`
	Inputs  [][]byte  `json:"inputs"`
	Data    []*string `json:"data,omitempty"`
}

func (o *officials) ask(t *testing.T, q question, answer any) {
	t.Helper()
	line, err := json.Marshal(q)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.in.Write(append(line, '\n')); err != nil {
		t.Fatalf("asking parsers.mjs: %v", err)
	}
	if line, err = o.out.ReadBytes('\n'); err != nil {
		t.Fatalf("parsers.mjs gives no answer: %v", err)
	}
	if err := json.Unmarshal(line, answer); err != nil {
		t.Fatalf("reading the answer of parsers.mjs: %v", err)
	}
}

func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip(what)
}
