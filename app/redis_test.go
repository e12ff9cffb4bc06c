package app

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
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
	port := strconv.Itoa(freePort(t))
	s := &redisServer{t: t, addr: net.JoinHostPort("127.0.0.1", port), log: &logBook{}}
	s.args = []string{
		"--port", port, "--bind", "127.0.0.1", "--dir", t.TempDir(),
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

// freePort returns a port of 127.0.0.1 for a program that cannot look for a free one itself: one that the system gives to nobody
// who asks for any.
func freePort(t testing.TB) int {
	t.Helper()
	for range 100 {
		port := 10000 + rand.IntN(20000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return port
	}
	t.Fatal("no port is free")
	return 0
}

// start starts the server, again after kill, and waits until it listens.
func (s *redisServer) start() {
	s.t.Helper()
	s.cmd = exec.Command("redis-server", s.args...)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	await(s.t, "redis-server listens, and has read what it kept", func() bool {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			return false
		}
		_, err = c.Write([]byte("PING\r\n"))
		answer := make([]byte, len("+PONG"))
		if err == nil {
			_, err = io.ReadFull(c, answer)
		}
		return errors.Join(err, c.Close()) == nil && string(answer) == "+PONG"
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
