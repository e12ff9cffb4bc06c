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

// node starts a server of that name which shares the Redis with others.
func (s *redisServer) node(name string, adapt func(*configs.Config)) *program {
	s.t.Helper()
	return start(s.t, func(c *configs.Config) {
		c.Cluster.Redis, c.Cluster.Node = s.URL(), name
		if adapt != nil {
			adapt(c)
		}
	})
}

// awaitCluster waits until the server has joined the others, for which it does not wait for long itself.
func (p *program) awaitCluster() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	if err := p.cluster.node.Ready(ctx); err != nil {
		p.t.Fatal(err)
	}
}
