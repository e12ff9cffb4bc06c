// Package redistest runs redis-server for tests.
package redistest

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// patience is how long a server may take to be ready.
const patience = time.Minute

// Server is a redis-server on a port of its own of 127.0.0.1. Use [New] or [Start].
type Server struct {
	Port int
	Dir  string    // of its files
	Args []string  // besides those for Port and Dir; the last of an option wins
	Cmd  *exec.Cmd // once it has been started
	Log  Log
}

// New returns a server that is not started yet and keeps nothing, unless args say otherwise. Without the program, the test is
// skipped, or fails in CI.
func New(t testing.TB, args ...string) *Server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		const missing = "redis-server is missing: apt-get install redis-server"
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	return &Server{Port: FreePort(t), Dir: t.TempDir(), Args: args}
}

// Start returns a running server; the test's end stops it.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s := New(t, args...)
	s.Start(t)
	return s
}

// Addr is where it listens, host:port.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)) }

// URL is its address as Crier's settings have it.
func (s *Server) URL() string { return "redis://" + s.Addr() }

// Start starts the server, again after Kill, and waits until it has read what it kept, which it does while it listens already.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	const ready = "Ready to accept connections"
	before := strings.Count(s.Log.String(), ready)
	args := []string{"--port", strconv.Itoa(s.Port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", s.Dir}
	s.run(t, append(args, s.Args...))
	s.await(t, func() bool { return strings.Count(s.Log.String(), ready) > before })
}

// StartSentinel starts it as a sentinel with a file of settings, which name Port and Dir.
func (s *Server) StartSentinel(t testing.TB, file string) {
	t.Helper()
	s.run(t, []string{file, "--sentinel"})
	s.await(t, func() bool {
		c, err := net.Dial("tcp", s.Addr())
		return err == nil && c.Close() == nil
	})
}

func (s *Server) run(t testing.TB, args []string) {
	t.Helper()
	first := s.Cmd == nil
	s.Cmd = exec.Command("redis-server", args...)
	s.Cmd.Stdout, s.Cmd.Stderr = &s.Log, &s.Log
	if err := s.Cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if first {
		t.Cleanup(func() {
			s.Kill(t)
			if t.Failed() {
				t.Logf("the log of redis-server %d:\n%s", s.Port, s.Log.String())
			}
		})
	}
}

// await waits until a server that was started is ready.
func (s *Server) await(t testing.TB, ready func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ready(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("redis-server %d is not ready within %v", s.Port, patience)
		}
	}
}

// Kill ends the server at once.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	if s.Cmd.ProcessState != nil {
		return
	}
	if err := s.Cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Error(err)
	}
	var exit *exec.ExitError
	if err := s.Cmd.Wait(); err != nil && !errors.As(err, &exit) {
		t.Error(err)
	}
}
