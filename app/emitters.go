package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"crier/api"
	"crier/configs"
	"crier/io/cluster"
)

var errNoCertificates = errors.New("the file has no certificate in PEM form")

// buildEmitters makes what carries out the messages of emitters, if there is a Redis. Whether it can be reached shows later.
func (a *App) buildEmitters() error {
	if a.cluster == nil {
		return nil
	}
	var err error
	a.cluster.emitted, err = cluster.NewEmitted(cluster.EmittedOptions{
		Node: a.cluster.node, Hub: a.hub, Sockets: a.directory(), Leader: a.cluster.leader, Logger: a.log,
	})
	if err != nil {
		return err
	}
	sockets := map[string]cluster.Sockets{a.sockets.Main().Name(): a.cluster.emitted}
	for _, name := range a.cfg.SocketIO.Namespaces {
		n, err := a.sockets.Of(name)
		if err != nil {
			return err
		}
		sockets[name] = n.Hub()
	}
	a.emitters, err = cluster.NewEmitters(cluster.EmitterOptions{
		Redis: a.cluster.redis, Prefix: a.cfg.Cluster.EmitterPrefix, Sockets: sockets, MaxPayload: a.cfg.SocketIO.MaxPayload, Logger: a.log,
	})
	return err
}

// ExamineRedis returns what should be said of the settings of the Redis that servers are to share, or why they cannot.
func ExamineRedis(ctx context.Context, c configs.Cluster) ([]cluster.Advice, error) {
	redis, err := newRedis(c)
	if err != nil {
		return nil, err
	}
	return redis.Examine(ctx)
}

// newRedis is where Redis is.
func newRedis(c configs.Cluster) (*cluster.Redis, error) {
	secure, err := redisTLS(c.TLS)
	if err != nil {
		return nil, err
	}
	redis, err := cluster.NewRedis(cluster.RedisOptions{
		URL: c.Redis, Sentinels: c.Sentinels, SentinelPassword: c.SentinelPassword, TLS: secure,
	})
	if err != nil {
		return nil, fmt.Errorf("the address of Redis (setting `cluster.redis`): %w", err)
	}
	return redis, nil
}

// redisTLS reads the files of cluster.tls.
func redisTLS(c configs.ClusterTLS) (*tls.Config, error) {
	secure := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		text, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("reading the authorities (setting `cluster.tls.ca`): %w", err)
		}
		secure.RootCAs = x509.NewCertPool()
		if !secure.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("reading the authorities %s (setting `cluster.tls.ca`): %w", c.CA, errNoCertificates)
		}
	}
	if c.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fmt.Errorf("reading the certificate for Redis (settings `cluster.tls.cert` and `cluster.tls.key`): %w", err)
		}
		secure.Certificates = []tls.Certificate{pair}
	}
	return secure, nil
}

// redisFigures are what the push port shows of Redis and the emitters.
func (a *App) redisFigures() api.RedisFigures {
	link, s := a.emitters.Redis(), a.emitters.Stats()
	calls := a.cluster.node.Client().Status()
	if !calls.Up {
		link.Up, link.Since = false, calls.Since
	}
	link.Lost += calls.Lost
	return api.RedisFigures{
		Up: link.Up, Since: link.Since, Lost: link.Lost,
		Pushes: s.Pushes, Requests: s.Requests, Repeated: s.Repeated, Passed: s.Passed, Dropped: s.Dropped,
	}
}
