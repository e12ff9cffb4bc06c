package cluster

import (
	"context"
	"errors"
	"fmt"
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

// Advise warns of settings of Redis by which it can lose what it was given, and says what that costs. What Redis does not
// tell, it passes over.
func (n *Node) Advise(ctx context.Context) {
	is := func(name string) string {
		pair, err := redis.Strings(n.client.Command(ctx, "CONFIG", "GET", name))
		if err != nil || len(pair) != 2 {
			n.log.Debug("Redis does not tell a setting", "name", name, "error", err)
			return ""
		}
		return pair[1]
	}
	if is("appendonly") == "no" {
		n.log.Warn("Redis keeps nothing, or only a copy of now and then (appendonly no): when it ends, stored messages, memberships, timed pushes, " +
			"callbacks that are owed and who is online are lost or as they were; set appendonly yes in redis.conf, and appendfsync always to lose nothing even when its machine fails")
	} else if fsync := is("appendfsync"); fsync == "everysec" || fsync == "no" {
		n.log.Info("when the machine of Redis fails, the last second of what it was given, or more, is lost; appendfsync always keeps that, and costs an fsync for each batch",
			"appendfsync", fsync)
	}
	policy, memory := is("maxmemory-policy"), is("maxmemory")
	if policy == "" || policy == "noeviction" {
		return
	}
	attrs := []any{"maxmemory-policy", policy, "maxmemory", memory}
	if strings.HasPrefix(policy, "volatile") {
		n.log.Warn("Redis may remove keys that have a time to live when its memory is full: clients that come back can then miss messages; set maxmemory-policy noeviction", attrs...)
		return
	}
	n.log.Warn("Redis may remove any key when its memory is full: stored messages, memberships, timed pushes, callbacks and who is online would be lost without a word; "+
		"set maxmemory-policy noeviction, or give Crier a Redis of its own", attrs...)
}
