package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/gomodule/redigo/redis"
)

// What Sentinels can answer but the master.
var (
	errUnknownMaster = errors.New("it knows no master of that name (setting `cluster.redis`: the host is the name of the master)")
	errReplica       = errors.New("Redis there is not the master, or not yet: the Sentinels have not agreed on another one")
)

// master returns the address of Redis, which Sentinels are asked for if there are any, one after the other.
func (r *Redis) master(ctx context.Context) (string, error) {
	if len(r.sentinels) == 0 {
		return r.address, nil
	}
	var errs []error
	for _, sentinel := range r.sentinels {
		address, err := r.ask(ctx, sentinel)
		if err == nil {
			return address, nil
		}
		errs = append(errs, fmt.Errorf("asking the Sentinel at %s: %w", sentinel, err))
	}
	return "", errors.Join(errs...)
}

// ask asks one Sentinel where the master is.
func (r *Redis) ask(ctx context.Context, sentinel string) (string, error) {
	c, err := r.connect(ctx, sentinel, r.sentinel)
	if errors.Is(err, errPassword) || errors.Is(err, errNoPassword) {
		return "", errSentinel
	}
	if err != nil {
		return "", err
	}
	defer c.close()
	found, err := redis.Strings(c.Do("SENTINEL", "get-master-addr-by-name", r.address))
	switch {
	case errors.Is(err, redis.ErrNil):
		return "", errUnknownMaster
	case err != nil:
		return "", err
	case len(found) != 2:
		return "", errUnknownMaster
	}
	return net.JoinHostPort(found[0], found[1]), nil
}

// mustBeMaster makes sure that a connection leads to a master: Sentinels can be behind the times.
func (c *conn) mustBeMaster() error {
	role, err := redis.Values(c.Do("ROLE"))
	if err != nil {
		return err
	}
	if len(role) == 0 {
		return errReplica
	}
	if name, err := redis.String(role[0], nil); err != nil || name != "master" {
		return errReplica
	}
	return nil
}
