package app

import (
	"context"

	"crier/configs"
	"crier/io/cluster"
)

// InspectRedis looks at the Redis of these settings, and at the servers that share it. It changes nothing.
func InspectRedis(ctx context.Context, c configs.Cluster) (cluster.Inspection, error) {
	redis, err := newRedis(c)
	if err != nil {
		return cluster.Inspection{}, err
	}
	return redis.Inspect(ctx, c.Prefix)
}
