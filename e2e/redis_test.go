package e2e

import (
	"net"
	"os/exec"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"
)

// A redisServer is a running redis-server that keeps nothing.
type redisServer struct {
	path string
	port string
	dir  string
	cmd  *exec.Cmd
	log  *logbook
}

// startRedis starts a redis-server on a free port; the test's end stops it.
func startRedis(t *testing.T) *redisServer {
	t.Helper()
	_, port, err := net.SplitHostPort(freePort(t))
	if err != nil {
		t.Fatal(err)
	}
	s := &redisServer{path: tool(t, "redis-server", "apt-get install redis-server"), port: port, dir: t.TempDir(), log: newLogbook()}
	s.start(t)
	t.Cleanup(func() {
		s.kill(t)
		if t.Failed() {
			t.Logf("the log of redis-server:\n%s", s.log.text())
		}
	})
	return s
}

// start starts it, again after kill on the same port, and waits until it listens.
func (s *redisServer) start(t *testing.T) {
	t.Helper()
	s.cmd = exec.Command(s.path, "--port", s.port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", s.dir)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatalf("starting redis-server: %v", err)
	}
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		c, err := net.Dial("tcp", s.address())
		if err == nil {
			if err := c.Close(); err != nil {
				t.Fatalf("closing a connection to redis-server: %v", err)
			}
			return
		}
		if time.Now().After(end) {
			t.Fatalf("redis-server does not listen: %v", err)
		}
	}
}

// kill ends it at once.
func (s *redisServer) kill(t *testing.T) {
	t.Helper()
	if s.cmd.ProcessState != nil {
		return
	}
	if err := s.cmd.Process.Kill(); err != nil {
		t.Errorf("killing redis-server: %v", err)
	}
	if err := s.cmd.Wait(); err == nil {
		t.Error("redis-server has ended by itself")
	}
}

func (s *redisServer) address() string { return net.JoinHostPort("127.0.0.1", s.port) }

func (s *redisServer) url() string { return "redis://" + s.address() }

// await waits until Redis answers a command so.
func (s *redisServer) await(t *testing.T, what string, want any, command string, args ...any) {
	t.Helper()
	c, err := redis.Dial("tcp", s.address())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		got, err := c.Do(command, args...)
		if err != nil {
			t.Fatal(err)
		}
		if got == want {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: not within %s", what, patience)
		}
	}
}
