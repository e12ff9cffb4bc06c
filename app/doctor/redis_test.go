package doctor

import (
	"testing"

	"crier/configs"
	"crier/io/cluster/redistest"
)

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
			cfg.Cluster.Redis = redistest.Start(t, test.args...).URL()
			if name == "another password" {
				cfg.Cluster.Redis = "redis://:" + canary + "@" + cfg.Cluster.Redis[len("redis://"):]
			}
			only(t, redis(t.Context(), cfg), test.want...)
		})
	}
}
