package stage

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"crier/api/client"
)

// startServers starts what the terms ask for: one server, or several with a Redis, ways to it, and one from the clients to all.
func (r *Run) startServers(ctx context.Context, settings map[string]string) error {
	if err := r.newServers(ctx, settings); err != nil {
		return err
	}
	r.Defer(r.endServers)
	several := r.Terms.Nodes > 0
	if several { // as one they have a single life
		if err := r.Diary.Note(Line{On: ServerStart}); err != nil {
			return err
		}
	}
	for _, s := range r.Servers {
		if err := s.Start(ctx); err != nil {
			return err
		}
	}
	if several {
		return r.Diary.Note(Line{On: ServerListen})
	}
	return nil
}

func (r *Run) newServers(ctx context.Context, settings map[string]string) error {
	pick := r.Source("ports of the server", os.Getpid()).IntN
	if r.Terms.Nodes == 0 {
		s, err := r.newServer("", pick, settings)
		r.Servers = append(r.Servers, s)
		return err
	}
	var err error
	if r.redis, err = r.newRedis(); err != nil {
		return err
	}
	r.Defer(r.redis.kill)
	if err := r.redis.start(ctx); err != nil {
		return err
	}
	var public []string
	for i := range r.Terms.Nodes {
		name := fmt.Sprintf("-%c", 'a'+i)
		link, err := newWay(r.redis.address)
		if err != nil {
			return err
		}
		r.Defer(link.close)
		all := map[string]string{"CLUSTER_REDIS": "redis://" + link.address(), "CLUSTER_NODE": "node" + name}
		for name, value := range settings {
			all[name] = value
		}
		s, err := r.newServer(name, pick, all)
		if err != nil {
			return err
		}
		s.link = link
		r.Servers, public = append(r.Servers, s), append(public, s.public)
	}
	if r.way, err = newWay(public...); err != nil {
		return err
	}
	r.Defer(r.way.close)
	return nil
}

// newServer returns a server that still has to be started.
func (r *Run) newServer(name string, pick func(int) int, settings map[string]string) (*Server, error) {
	binary, err := filepath.Abs(r.options.Binary)
	if err != nil {
		return nil, fmt.Errorf("finding the server: %w", err)
	}
	public, err := FreeAddress(pick)
	if err != nil {
		return nil, err
	}
	push, err := FreeAddress(pick)
	if err != nil {
		return nil, err
	}
	all := map[string]string{
		"LISTEN":                 public,
		"API_LISTEN":             push,
		"SOCKETIO_PING_INTERVAL": r.Terms.Ping.String(),
		"SOCKETIO_PING_TIMEOUT":  r.Terms.Ping.String(),
		"STORE_PATH":             filepath.Join(r.Dir, "store", "crier.db"),
	}
	for name, value := range settings {
		all[name] = value
	}
	return &Server{
		name: name, binary: binary, dir: r.Dir, env: environment(all), public: public, push: push, diary: r.Diary, fail: r.fail,
		http: &http.Client{Transport: &http.Transport{}},
	}, nil
}

// endServers stops those that run.
func (r *Run) endServers() (err error) {
	for _, s := range r.Servers {
		s.http.CloseIdleConnections()
		if s.process != nil {
			err = errors.Join(err, s.Stop())
		}
	}
	return err
}

// public is where the clients connect.
func (r *Run) public() string {
	if r.way != nil {
		return "http://" + r.way.address()
	}
	return "http://" + r.Servers[0].public
}

// Clients returns those of all servers' push ports, which keep so many connections to each, and try everything once.
func (r *Run) Clients(connections int) (all []*client.Client, err error) {
	transport := &http.Transport{MaxIdleConnsPerHost: connections}
	r.Defer(func() error { transport.CloseIdleConnections(); return nil })
	for _, s := range r.Servers {
		c, err := client.New(client.Options{URL: "http://" + s.push, Tries: 1, HTTP: &http.Client{Transport: transport}})
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// probe asks the servers again and again whether they are there, and notes when all of them were, until ctx ends.
func (r *Run) probe(ctx context.Context) error {
	for Sleep(ctx, ProbeEvery) == nil {
		there := true
		for _, s := range r.Servers {
			there = there && s.answers(ctx)
		}
		if !there {
			continue
		}
		if err := r.Diary.Note(Line{On: ServerTick}); err != nil {
			return err
		}
	}
	return nil
}
