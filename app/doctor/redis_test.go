package doctor

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"crier/configs"
)

// startRedis runs a redis-server until the test ends, and returns where it listens.
func startRedis(t *testing.T, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("redis-server is missing: apt-get install redis-server")
		}
		t.Skip("redis-server is missing: apt-get install redis-server")
	}
	port := strconv.Itoa(freePort(t))
	addr := net.JoinHostPort("127.0.0.1", port)
	cmd := exec.Command(path, append([]string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir()}, args...)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		if cmd.Wait() == nil {
			t.Error("redis-server has ended by itself")
		}
	})
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			return addr
		}
		if time.Now().After(end) {
			t.Fatalf("redis-server does not listen: %v", err)
		}
	}
}

// freePort returns a port of 127.0.0.1 for a program that cannot look for a free one itself: one that the system gives to nobody
// who asks for any.
func freePort(t *testing.T) int {
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

func TestRedis(t *testing.T) {
	cfg := configs.Default()
	only(t, redis(t.Context(), cfg))
	cfg.Cluster.Redis = "redis://:" + canary + "@127.0.0.1:1"
	only(t, redis(t.Context(), cfg), Finding{Wrong, "cluster.redis", "connection refused"})
	const about = "cluster.redis"
	there := Finding{Fine, about, "can be reached"}
	for name, test := range map[string]struct {
		args []string
		want []Finding
	}{
		"nothing to say":      {[]string{"--appendonly", "yes", "--appendfsync", "always"}, []Finding{there}},
		"a second":            {[]string{"--appendonly", "yes"}, []Finding{there, {Fine, about, "appendfsync always"}}},
		"everything, at once": {[]string{"--maxmemory-policy", "allkeys-lru"}, []Finding{there, {Warning, about, "appendonly no"}, {Warning, about, "(maxmemory-policy allkeys-lru)"}}},
		"another password":    {[]string{"--requirepass", "other"}, []Finding{{Wrong, about, "does not take this user and password"}}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := configs.Default()
			cfg.Cluster.Redis = "redis://" + startRedis(t, test.args...)
			if name == "another password" {
				cfg.Cluster.Redis = "redis://:" + canary + "@" + cfg.Cluster.Redis[len("redis://"):]
			}
			only(t, redis(t.Context(), cfg), test.want...)
		})
	}
}
