package app

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"crier/configs"
)

// redisServer is a real redis-server on a port of its own. It keeps what it has told others that it has.
type redisServer struct {
	t    testing.TB
	addr string
	args []string
	cmd  *exec.Cmd
	log  *logBook
}

// startRedis starts a redis-server; the test's end stops it. Without the program, the test is skipped, or fails in CI.
func startRedis(t testing.TB) *redisServer {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("redis-server is missing: apt-get install redis-server")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s := &redisServer{t: t, addr: l.Addr().String(), log: &logBook{}}
	s.args = []string{
		"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", t.TempDir(),
		"--save", "", "--appendonly", "yes", "--appendfsync", "always",
	}
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			t.Logf("the log of redis-server:\n%s", s.log)
		}
	})
	s.start()
	return s
}

// start starts the server, again after kill, and waits until it listens.
func (s *redisServer) start() {
	s.t.Helper()
	s.cmd = exec.Command("redis-server", s.args...)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	await(s.t, "redis-server listens", func() bool {
		c, err := net.Dial("tcp", s.addr)
		return err == nil && c.Close() == nil
	})
}

// kill ends the server at once.
func (s *redisServer) kill() {
	s.t.Helper()
	if s.cmd.ProcessState != nil {
		return
	}
	if err := s.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Error(err)
	}
	var exit *exec.ExitError
	if err := s.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		s.t.Error(err)
	}
}

// node starts a server of that name which shares the Redis with others.
func (s *redisServer) node(name string, adapt func(*configs.Config)) *program {
	s.t.Helper()
	return start(s.t, func(c *configs.Config) {
		c.Cluster.Redis, c.Cluster.Node = "redis://"+s.addr, name
		if adapt != nil {
			adapt(c)
		}
	})
}
