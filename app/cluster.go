package app

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"

	"crier/io/cluster"
)

// clustered is what makes this server one of several.
type clustered struct {
	redis *cluster.Redis
	node  *cluster.Node
}

// buildCluster makes what others need of a cluster, if there is a Redis.
func (a *App) buildCluster() error {
	c := a.cfg.Cluster
	if c.Redis == "" {
		return nil
	}
	redis, err := a.newRedis()
	if err != nil {
		return err
	}
	name := c.Node
	if name == "" {
		name = a.node + "-" + strings.ToLower(rand.Text()[:6])
	}
	node, err := cluster.NewNode(cluster.NodeOptions{Redis: redis, Prefix: c.Prefix, Name: name, Logger: a.log})
	if err != nil {
		return fmt.Errorf("joining the other servers: %w", err)
	}
	a.cluster = &clustered{redis: redis, node: node}
	return nil
}

// startCluster joins the others, before anybody can connect.
func (a *App) startCluster() {
	if a.cluster != nil {
		a.cluster.node.Start()
	}
}

// leaveCluster gives back what this server has there.
func (a *App) leaveCluster(ctx context.Context) error {
	if a.cluster == nil {
		return nil
	}
	return a.cluster.node.Close(ctx)
}
