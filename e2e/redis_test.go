package e2e

import (
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"crier/io/cluster/redistest"
)

// A redisServer is a running redis-server that keeps nothing.
type redisServer struct{ *redistest.Server }

// startRedis starts a redis-server on a port of its own; the test's end stops it.
func startRedis(t *testing.T) *redisServer {
	t.Helper()
	return &redisServer{redistest.Start(t)}
}

// await waits until Redis answers a command so.
func (s *redisServer) await(t *testing.T, what string, want any, command string, args ...any) {
	t.Helper()
	c, err := redis.Dial("tcp", s.Addr())
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
