package e2e

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// settings are Crier's, by their names in the documentation: "presence.offline_delay".
type settings map[string]string

// environment returns this process's environment without Crier's variables, and s as Crier's.
func (s settings) environment() []string {
	var env []string
	for _, one := range os.Environ() {
		if !strings.HasPrefix(one, "CRIER_") {
			env = append(env, one)
		}
	}
	// A program built with the race detector otherwise sleeps for a second before it exits.
	env = append(env, "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	for name, value := range s {
		env = append(env, "CRIER_"+strings.ToUpper(strings.ReplaceAll(name, ".", "_"))+"="+value)
	}
	return env
}

// with returns s and more, more winning.
func (s settings) with(more settings) settings {
	all := settings{}
	for _, one := range []settings{s, more} {
		for name, value := range one {
			all[name] = value
		}
	}
	return all
}

// A server is a running program under test.
type server struct {
	public string // host:port of the Socket.IO side
	push   string // host:port of the push side; "" for the echo server
	base   string // where clients go, without a path

	settings settings // those it was started with, besides free

	killed bool // by kill: its exit code says nothing
	cmd    *exec.Cmd
	log    *logbook
	exited chan struct{} // closed when the process is gone; then cmd.ProcessState is set
}

// free gives Crier free ports.
var free = settings{
	"listen":     "127.0.0.1:0",
	"api.listen": "127.0.0.1:0",
}

// startCrier starts Crier with free and more settings; the test's end stops it.
func startCrier(t *testing.T, more settings) *server {
	t.Helper()
	s := launch(t, os.Getenv(crierVariable), free.with(more))
	s.settings = more
	s.public = s.address(t, "public")
	s.base = "http://" + s.public
	s.push = s.address(t, "push")
	return s
}

// startEcho starts the echo server; the test's end stops it.
func startEcho(t *testing.T, args ...string) *server {
	t.Helper()
	s := launch(t, os.Getenv(echoVariable), nil, append([]string{"127.0.0.1:0"}, args...)...)
	s.public = s.address(t, "public")
	s.base = "http://" + s.public
	return s
}

// launch starts a program in a folder of its own and sees to its end.
func launch(t *testing.T, path string, all settings, args ...string) *server {
	t.Helper()
	s := &server{log: newLogbook(), exited: make(chan struct{})}
	s.cmd = exec.Command(path, args...)
	s.cmd.Dir = t.TempDir()
	s.cmd.Env = all.environment()
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", path, err)
	}
	go func() {
		defer close(s.exited)
		if err := s.cmd.Wait(); err != nil {
			t.Logf("%s ended: %v", path, err)
		}
	}()
	t.Cleanup(func() {
		s.stop(t)
		if t.Failed() {
			t.Logf("the log of %s:\n%s", path, s.log.text())
		}
	})
	return s
}

// address returns where the named port listens, from the program's log.
func (s *server) address(t *testing.T, port string) string {
	t.Helper()
	return attribute(s.log.await(t, s.exited, "msg=listening", "port="+port), "addr")
}

// stop ends the program by SIGTERM, if it still runs, and checks that it exits with 0.
func (s *server) stop(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("sending SIGTERM: %v", err)
	}
	select {
	case <-s.exited:
	case <-time.After(patience):
		t.Errorf("still running %s after SIGTERM", patience)
		if err := s.cmd.Process.Kill(); err != nil {
			t.Errorf("killing it: %v", err)
		}
		<-s.exited
	}
	if code := s.cmd.ProcessState.ExitCode(); code != 0 && !s.killed {
		t.Errorf("exit code %d, want 0; the log:\n%s", code, s.log.text())
	}
}

// kill ends the program at once; what it had to do is lost.
func (s *server) kill(t *testing.T) {
	t.Helper()
	s.killed = true
	if err := s.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("killing the program: %v", err)
	}
	<-s.exited
}

// publicURL returns the address of a path on the Socket.IO side.
func (s *server) publicURL(path string) string { return s.base + path }

// pushURL returns the http address of a path on the push side.
func (s *server) pushURL(path string) string { return "http://" + s.push + path }
