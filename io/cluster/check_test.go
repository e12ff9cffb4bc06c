package cluster

import (
	"context"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"github.com/gomodule/redigo/redis"
)

// hello is what HELLO answers.
func hello(version, mode string) any {
	return []any{
		[]byte("server"), []byte("redis"), []byte("version"), []byte(version), []byte("proto"), int64(2),
		[]byte("mode"), []byte(mode), []byte("modules"),
		[]any{},
	}
}

func TestExamine(t *testing.T) {
	for _, tc := range []struct {
		what  string
		reply any
		err   error
		want  string // a part of the error
	}{
		{"the least version", hello("7.0.15", "standalone"), nil, ""},
		{"a later one", hello("10.1.0", "sentinel"), nil, ""},
		{"an earlier one", hello("6.2.7", "standalone"), nil, "this is Redis 6.2.7"},
		{"one without HELLO", nil, redis.Error("ERR unknown command `HELLO`"), "5 or earlier"},
		{"HELLO forbidden", nil, redis.Error("NOPERM this user has no permissions"), ""},
		{"Redis Cluster", hello("7.2.0", "cluster"), nil, "Redis Cluster"},
		{"no version", []any{[]byte("server")}, nil, "5 or earlier"},
		{"a lost connection", nil, context.Canceled, "canceled"},
	} {
		t.Run(tc.what, func(t *testing.T) {
			err := examine(func(string, ...any) (any, error) { return tc.reply, tc.err })
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

// Settings by which Redis forgets are warned of, each with what it costs.
func TestAdvise(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		what        string
		args        []string
		want, never string
	}{
		{"nothing is kept", []string{"--appendonly", "no"}, "appendonly no", "maxmemory-policy noeviction"},
		{"a second may be lost", []string{"--appendonly", "yes"}, "appendfsync=everysec", "level=WARN"},
		{"all is kept", []string{"--appendonly", "yes", "--appendfsync", "always"}, "", "append"},
		{"anything is evicted", []string{"--appendonly", "yes", "--maxmemory-policy", "allkeys-lru"}, "Redis may remove any key", "have a time to live"},
		{"some of it", []string{"--appendonly", "yes", "--maxmemory-policy", "volatile-ttl"}, "have a time to live", "any key"},
		{"it does not tell", []string{"--rename-command", "CONFIG", ""}, "", "level=WARN"},
	} {
		t.Run(tc.what, func(t *testing.T) {
			t.Parallel()
			server := startRedis(t, tc.args...)
			w := newWitness(t, server, "a").begin(t)
			log := &logBook{}
			w.Node.log = slog.New(slog.NewTextHandler(log, nil))
			w.Advise(context.Background())
			if got := log.String(); !strings.Contains(got, tc.want) || strings.Contains(got, tc.never) {
				t.Errorf("the log has %q, want %q, never %q", got, tc.want, tc.never)
			}
			all, err := w.Node.options.Redis.Examine(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			again := &logBook{}
			for _, a := range all {
				slog.New(slog.NewTextHandler(again, nil)).Log(t.Context(), a.Level, a.Text, a.Attrs...)
			}
			if withoutTimes(again.String()) != withoutTimes(log.String()) {
				t.Errorf("looked at by itself, Redis is advised %q instead of %q", again, log)
			}
		})
	}
}

// withoutTimes is a log without the times.
func withoutTimes(log string) string {
	return regexp.MustCompile(`time=\S+ `).ReplaceAllString(log, "")
}

func TestExamineNoRedis(t *testing.T) {
	r, err := NewRedis(RedisOptions{URL: "redis://:p4ssw0rd@127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Examine(t.Context()); err == nil || strings.Contains(err.Error(), "p4ssw0rd") {
		t.Errorf("where nobody is: %v", err)
	}
}
