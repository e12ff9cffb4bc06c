package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"github.com/gomodule/redigo/redis"
)

// leastVersion is the first major version of Redis whose scripts may do what ours do.
const leastVersion = 7

// errRedisCluster says that this is no Redis for us.
var errRedisCluster = errors.New("this is a Redis Cluster, which spreads keys over several servers: Crier needs one that has them all, a single Redis or one that Sentinels watch (setting `cluster.redis`)")

// examine finds out over a new connection whether Redis can do what is needed. What it does not tell is taken to be right.
func examine(do func(string, ...any) (any, error)) error {
	reply, err := do("HELLO", 2)
	var said redis.Error
	if errors.As(err, &said) && !strings.Contains(string(said), "unknown command") {
		return nil // forbidden to us, perhaps
	}
	if err != nil && !errors.As(err, &said) {
		return err
	}
	about := texts(reply)
	if about["version"] == "" {
		about["version"] = "5 or earlier"
	}
	if about["mode"] == "cluster" {
		return errRedisCluster
	}
	major, _, _ := strings.Cut(about["version"], ".")
	if n, err := strconv.Atoi(major); err != nil || n < leastVersion {
		return fmt.Errorf("this is Redis %s; several servers as one need Redis %d or later", about["version"], leastVersion)
	}
	return nil
}

// texts are those pairs of what HELLO answers that are texts.
func texts(reply any) map[string]string {
	about := make(map[string]string)
	list, err := redis.Values(reply, nil)
	for i := 0; i+1 < len(list) && err == nil; i += 2 {
		name, isName := list[i].([]byte)
		if value, isText := list[i+1].([]byte); isName && isText {
			about[string(name)] = string(value)
		}
	}
	return about
}

// Advice is what should be said of a setting by which Redis can lose what it was given: what that costs, and what to do.
type Advice struct {
	Level slog.Level
	Text  string
	Attrs []any // the settings, as slog has them
}

// advise returns what should be said; is returns what a setting is, and nothing if Redis does not tell.
func advise(is func(name string) string) (all []Advice) {
	if is("appendonly") == "no" {
		all = append(all, Advice{slog.LevelWarn, "Redis keeps nothing, or only a copy of now and then (appendonly no): when it ends, stored messages, memberships, timed pushes, " +
			"callbacks that are owed and who is online are lost or as they were; set appendonly yes in redis.conf, and appendfsync always to lose nothing even when its machine fails", nil})
	} else if fsync := is("appendfsync"); fsync == "everysec" || fsync == "no" {
		all = append(all, Advice{
			slog.LevelInfo, "when the machine of Redis fails, the last second of what it was given, or more, is lost; appendfsync always keeps that, and costs an fsync for each batch",
			[]any{"appendfsync", fsync},
		})
	}
	policy, memory := is("maxmemory-policy"), is("maxmemory")
	attrs := []any{"maxmemory-policy", policy, "maxmemory", memory}
	switch {
	case policy == "" || policy == "noeviction":
		return all
	case strings.HasPrefix(policy, "volatile"):
		return append(all, Advice{slog.LevelWarn, "Redis may remove keys that have a time to live when its memory is full: clients that come back can then miss messages; set maxmemory-policy noeviction", attrs})
	default:
		return append(all, Advice{slog.LevelWarn, "Redis may remove any key when its memory is full: stored messages, memberships, timed pushes, callbacks and who is online would be lost without a word; " +
			"set maxmemory-policy noeviction, or give Crier a Redis of its own", attrs})
	}
}

// setting asks Redis for one; it is empty, beside the reason, if Redis does not tell.
func setting(reply any, err error) (string, error) {
	pair, err := redis.Strings(reply, err)
	if err != nil || len(pair) != 2 {
		return "", fmt.Errorf("asking for a setting: %v, %w", pair, err)
	}
	return pair[1], nil
}

// Advise logs what should be said of the settings of Redis.
func (n *Node) Advise(ctx context.Context) {
	all := advise(func(name string) string {
		value, err := setting(n.client.Command(ctx, "CONFIG", "GET", name))
		if err != nil {
			n.log.Debug("Redis does not tell a setting", "name", name, "error", err)
		}
		return value
	})
	for _, a := range all {
		n.log.Log(ctx, a.Level, a.Text, a.Attrs...)
	}
}

// Examine connects once, and returns what should be said of the settings of Redis; or why servers cannot share it.
func (r *Redis) Examine(ctx context.Context) ([]Advice, error) {
	c, _, err := r.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer c.close()
	if err := examine(c.Do); err != nil {
		return nil, err
	}
	return advise(func(name string) string {
		value, _ := setting(c.Do("CONFIG", "GET", name)) // forbidden to us, perhaps
		return value
	}), nil
}
