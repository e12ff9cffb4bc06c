package app

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"crier/configs"
)

// sample is a line of /metrics.
var sample = regexp.MustCompile(`(?m)^(crier_\w+)(\{[^}]*\})? (\S+)$`)

// series are the values of /metrics by name and labels.
func (p *program) series() map[string]string {
	p.t.Helper()
	a := p.do(http.MethodGet, "http://"+p.PushAddr()+"/metrics", "")
	same(p.t, "the status of /metrics", a.status, http.StatusOK)
	all := make(map[string]string)
	for _, m := range sample.FindAllStringSubmatch(a.body, -1) {
		all[m[1]+m[2]] = m[3]
	}
	return all
}

// everything switches on what has figures.
func everything(t *testing.T) func(*configs.Config) {
	return func(c *configs.Config) {
		c.Store.Path = filepath.Join(t.TempDir(), "crier.db")
		c.Inbox.Open = true
		c.Webhook.URL = "http://127.0.0.1:1/nobody"
		c.Cluster.Redis = "redis://127.0.0.1:1"
	}
}

func TestMetrics(t *testing.T) {
	p := start(t, func(c *configs.Config) {
		everything(t)(c)
		c.Cluster.Redis = ""
	})
	pg := p.openAs("1")
	p.openOld()
	same(t, "polling", p.pollStatus().status, http.StatusOK)
	for _, path := range []string{"/ws", "/sse", "/comet", "/sockjs/0/s/xhr"} {
		same(t, path, p.knock(t, path, "uid=2", nil), http.StatusOK)
	}
	same(t, "a push", p.push("1", "x"), "ok")
	pg.want(`42["new_msg","x"]`)
	same(t, "a push to nobody", p.push("3", "x"), "offline")
	var got map[string]string
	await(t, "the event stream, whose answer begins before it is a client", func() bool {
		got = p.series()
		return got[`crier_sockets{revision="",transport="sse"}`] != ""
	})
	for name, want := range map[string]string{
		"crier_users": "2",
		`crier_sockets{revision="4",transport="websocket"}`:    "1",
		`crier_sockets{revision="3",transport="websocket"}`:    "1",
		`crier_sockets{revision="4",transport="polling"}`:      "1",
		`crier_sockets{revision="",transport="ws"}`:            "1",
		`crier_sockets{revision="",transport="sse"}`:           "1",
		`crier_sockets{revision="",transport="comet"}`:         "1",
		`crier_sockets{revision="",transport="sockjs"}`:        "1",
		"crier_pushes_total":                                   "2",
		`crier_deliveries_total{result="delivered"}`:           "1",
		"crier_push_seconds_count":                             "2",
		`crier_handshake_seconds_count{transport="polling"}`:   "1",
		`crier_handshake_seconds_count{transport="websocket"}`: "2",
		"crier_redis_up": "",
	} {
		same(t, name, got[name], want)
	}
}

// What waits for a client that does not poll is counted.
func TestBacklog(t *testing.T) {
	p := start(t, nil)
	same(t, "comet", p.knock(t, "/comet", "uid=2&wait=0", nil), http.StatusOK)
	before := p.budget.Stats().Bytes
	same(t, "a push", p.push("2", strings.Repeat("x", 1000)), "ok")
	if n := p.budget.Stats().Bytes - before; n < 1000 || n > 2000 {
		t.Errorf("%d bytes are said to wait", n)
	}
	if got, want := p.series()["crier_queue_bytes"], fmt.Sprint(p.budget.Stats().Bytes); got != want {
		t.Errorf("/metrics says %s", got)
	}
}

// Who reads too slowly is counted by the reason.
func TestSlowConsumers(t *testing.T) {
	p := start(t, func(c *configs.Config) { c.Limits.QueueMessages = 2 })
	same(t, "comet", p.knock(t, "/comet", "uid=2&wait=0", nil), http.StatusOK)
	for range 3 {
		p.push("2", "x")
	}
	got := p.series()
	for reason, want := range map[string]string{"queue_full": "1", "stalled": "0", "evicted": "0"} {
		same(t, reason, got[fmt.Sprintf("crier_slow_consumers_total{reason=%q}", reason)], want)
	}
}

// The names keep to the conventions of Prometheus, and the manual has each of them, and no others.
func TestMetricsManual(t *testing.T) {
	alone := start(t, func(c *configs.Config) {
		everything(t)(c)
		c.Cluster.Redis = ""
	})
	alone.openAs("1")
	alone.pollStatus()
	p := start(t, everything(t)) // its Redis is away: it leads nobody
	a := alone.do(http.MethodGet, "http://"+alone.PushAddr()+"/metrics", "")
	b := p.do(http.MethodGet, "http://"+p.PushAddr()+"/metrics", "")
	problems, err := promlint.New(strings.NewReader(a.body)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range problems {
		t.Errorf("%s: %s", one.Metric, one.Text)
	}
	var shown []string
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (crier_\w+) `).FindAllStringSubmatch(a.body+b.body, -1) {
		if !slices.Contains(shown, m[1]) {
			shown = append(shown, m[1])
		}
	}
	manual, err := os.ReadFile("../docs/METRICS.md")
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, m := range regexp.MustCompile("(?m)^\\| `(crier_\\w+)").FindAllStringSubmatch(string(manual), -1) {
		told = append(told, m[1])
	}
	slices.Sort(shown)
	slices.Sort(told)
	if !slices.Equal(shown, told) {
		t.Errorf("/metrics has\n%s\nthe manual\n%s", strings.Join(shown, "\n"), strings.Join(told, "\n"))
	}
	dashboard, err := os.ReadFile("../deploy/grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	used := regexp.MustCompile(`crier_\w+`).FindAllString(string(dashboard), -1)
	if len(used) < 15 {
		t.Errorf("the dashboard uses %v", used)
	}
	for _, name := range used {
		if base := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, ""); !slices.Contains(shown, base) && !slices.Contains(shown, name) {
			t.Errorf("the dashboard uses %s, which there is not", name)
		}
	}
}
