package cluster

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gomodule/redigo/redis"
)

// Inspection is what a look at Redis, from outside, came to.
type Inspection struct {
	Address string        // of Redis, host:port
	From    string        // the address of this machine by which it reaches Redis
	Version string        // of Redis
	Behind  time.Duration // how far the clock of Redis is behind this machine's; less than the time of a call counts as nothing
	Servers []Server      // that share it, those that are there, by name
}

// Server is one of those that share a Redis.
type Server struct {
	Name      string
	Advertise string // where the others reach its public port; empty: it has not said
}

// inspectScript: the prefix. It answers the version, the time in microseconds, and for each server that is there its name and address.
var inspectScript = redis.NewScript(1, `
	local t = redis.call('TIME')
	local now = t[1] * 1000000 + t[2]
	local version = string.match(redis.call('INFO', 'server'), 'redis_version:([^\r\n]+)') or ''
	local answer = {version, string.format('%.0f', now)}
	for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1] .. ':nodes', string.format('(%.0f', now), '+inf')) do
		answer[#answer + 1] = name
		answer[#answer + 1] = redis.call('HGET', KEYS[1] .. ':n:' .. name, 'advertise') or ''
	end
	return answer
`)

// Inspect looks at Redis and at the servers that share it under a prefix. It changes nothing. Its error says why servers
// could not use this Redis.
func (r *Redis) Inspect(ctx context.Context, prefix string) (Inspection, error) {
	conn, address, err := r.dial(ctx)
	if err != nil {
		return Inspection{}, err
	}
	defer conn.close()
	if err := examine(conn.Do); err != nil {
		return Inspection{}, err
	}
	i := Inspection{Address: address}
	if i.From, err = r.LocalHost(); err != nil {
		return Inspection{}, err
	}
	sent := time.Now()
	answer, err := redis.Strings(inspectScript.Do(conn, prefix))
	got := time.Now()
	if err != nil {
		return Inspection{}, fmt.Errorf("asking Redis at %s who shares it: %w", address, err)
	}
	if len(answer) < 2 {
		return Inspection{}, fmt.Errorf("asking Redis at %s who shares it: %d answers", address, len(answer))
	}
	i.Version = strings.TrimSpace(answer[0])
	micros, err := strconv.ParseInt(answer[1], 10, 64)
	if err != nil {
		return Inspection{}, fmt.Errorf("reading the time of Redis at %s: %w", address, err)
	}
	switch there := time.UnixMicro(micros); {
	case there.Before(sent):
		i.Behind = sent.Sub(there)
	case there.After(got):
		i.Behind = -there.Sub(got)
	}
	for n := 2; n+1 < len(answer); n += 2 {
		i.Servers = append(i.Servers, Server{Name: answer[n], Advertise: answer[n+1]})
	}
	slices.SortFunc(i.Servers, func(a, b Server) int { return strings.Compare(a.Name, b.Name) })
	return i, nil
}
