package app

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"crier/configs"
	"crier/io/hub"
)

// Without the Redis that it is to hear emitters in, a server starts and serves, and says what is missing.
func TestRedisAway(t *testing.T) {
	p := start(t, func(c *configs.Config) { c.Cluster.Redis = "redis://:" + canary + "@127.0.0.1:1" })
	await(t, "the log says so", func() bool { return strings.Contains(p.log.String(), "Redis is away") })
	ready := p.do(http.MethodGet, "http://"+p.PushAddr()+"/readyz", "")
	if ready.status != http.StatusOK || !strings.HasPrefix(ready.body, "ok\nRedis is away since ") {
		t.Errorf("readiness is %d %q", ready.status, ready.body)
	}
	var got struct {
		Redis *struct{ Up bool } `json:"redis"`
	}
	if err := json.Unmarshal([]byte(p.do(http.MethodGet, "http://"+p.PushAddr()+"/v1/stats", "").body), &got); err != nil || got.Redis == nil || got.Redis.Up {
		t.Errorf("%v, %+v", err, got)
	}
	pg := p.open(`{"uid":"7"}`)
	same(t, "push", p.push("7", "hi"), "ok")
	pg.want(`42["new_msg","hi"]`)
	same(t, "the password is in the log", strings.Contains(p.log.String(), canary), false)
}

// Who is disconnected as one in a room does not come back on a remembered answer either.
func TestKickOfARoomIsFinal(t *testing.T) {
	b := newBusiness(t)
	p := start(t, b.ask)
	session := http.Header{"Cookie": {"session=" + canary}}
	pg := dialWith(t, p.Addr(), "EIO=4", session)
	pg.send("40")
	pg.wantPrefix("40")
	same(t, "room", pg.ack(`["subscribe","z"]`), reply{OK: true, Room: "z"})
	b.shut.Store(true)
	n, err := p.directory().Disconnect(t.Context(), hub.Audience{Rooms: []string{"z"}})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "disconnected", n, 1)
	pg = dialWith(t, p.Addr(), "EIO=4", session)
	pg.send("40")
	pg.wantPrefix("40")
	same(t, "login", pg.ack(`["login","7"]`).Code, "refused")
}

func TestRedisFiles(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		files configs.ClusterTLS
		want  string
	}{
		"no authorities":  {configs.ClusterTLS{CA: empty + ".not"}, "cluster.tls.ca"},
		"no certificate":  {configs.ClusterTLS{Cert: empty + ".not", Key: empty}, "cluster.tls.cert"},
		"empty":           {configs.ClusterTLS{CA: empty}, "no certificate in PEM form"},
		"empty, with key": {configs.ClusterTLS{Cert: empty, Key: empty}, "cluster.tls.key"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := settings()
			cfg.Cluster.Redis, cfg.Cluster.TLS = "rediss://127.0.0.1:1", test.files
			if _, err := New(cfg, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}
