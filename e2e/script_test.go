package e2e

import (
	"bufio"
	"encoding/json"
	"io"
	"os/exec"
	"testing"
	"time"
)

// A script is a running program that takes JSON lines and prints JSON lines.
type script struct {
	name string
	in   io.WriteCloser
	out  chan []byte // one printed line each; closed at its end
}

// startScript runs a program until the test ends; its standard input closed, it has to go.
func startScript(t *testing.T, path string, args ...string) *script {
	t.Helper()
	cmd := exec.Command(path, args...)
	stderr := newLogbook()
	cmd.Stderr = stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatalf("making a pipe to %s: %v", path, err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatalf("making a pipe from %s: %v", path, err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", path, err)
	}
	s := &script{name: path, in: in, out: make(chan []byte, 1<<16)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		s.read(t, out)
	}()
	t.Cleanup(func() {
		if err := in.Close(); err != nil {
			t.Errorf("closing the input of %s: %v", path, err)
		}
		select {
		case <-read:
		case <-time.After(patience):
			t.Errorf("%s does not end", path)
			if err := cmd.Process.Kill(); err != nil {
				t.Errorf("killing %s: %v", path, err)
			}
			<-read
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s %v: %v\n%s", path, args, err, stderr.text())
		}
	})
	return s
}

// read hands the printed lines on until there are no more.
func (s *script) read(t *testing.T, out io.Reader) {
	defer close(s.out)
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		s.out <- append([]byte(nil), lines.Bytes()...)
	}
	if err := lines.Err(); err != nil {
		t.Errorf("reading from %s: %v", s.name, err)
	}
}

// tell sends one command.
func (s *script) tell(t *testing.T, command any) {
	t.Helper()
	line, err := json.Marshal(command)
	if err != nil {
		t.Fatalf("encoding a command: %v", err)
	}
	if _, err := s.in.Write(append(line, '\n')); err != nil {
		t.Fatalf("telling %s: %v", s.name, err)
	}
}

// answer decodes the next printed line into v.
func (s *script) answer(t *testing.T, v any) {
	t.Helper()
	select {
	case line, ok := <-s.out:
		if !ok {
			t.Fatalf("%s ended without an answer", s.name)
		}
		if err := json.Unmarshal(line, v); err != nil {
			t.Fatalf("%s printed %q: %v", s.name, line, err)
		}
	case <-time.After(patience):
		t.Fatalf("no answer from %s", s.name)
	}
}
