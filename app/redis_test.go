package app

import (
	"context"
	"testing"

	"crier/configs"
	"crier/io/cluster/redistest"
)

// redisServer is a real redis-server that keeps everything it has said yes to.
type redisServer struct {
	*redistest.Server
	t testing.TB
}

// startRedis starts one; the test's end stops it.
func startRedis(t testing.TB) *redisServer {
	t.Helper()
	return &redisServer{redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always"), t}
}

// node starts a server of that name which shares the Redis with others, and waits until it has joined them, for which it does not wait for long
// itself: on a busy machine it would begin alone.
func (s *redisServer) node(name string, adapt func(*configs.Config)) *program {
	s.t.Helper()
	p := start(s.t, func(c *configs.Config) {
		c.Cluster.Redis, c.Cluster.Node = s.URL(), name
		if adapt != nil {
			adapt(c)
		}
	})
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	if err := p.cluster.node.Ready(ctx); err != nil {
		s.t.Fatal(err)
	}
	return p
}
