package e2e

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// A fleet is several servers that are one.
type fleet []*server

// together waits until the server reads what the others say, for which its start does not wait for long: on a busy machine it would begin alone.
func (s *server) together(t *testing.T) {
	t.Helper()
	s.log.await(t, s.exited, together)
}

// together is what a server says when it reads what the others say.
const together = "reading what the other servers say"

// startFleet starts servers that share a Redis, and waits until they are together.
func startFleet(t *testing.T, redis *redisServer, nodes int, more settings) fleet {
	t.Helper()
	var all fleet
	for n := range nodes {
		all = append(all, startCrier(t, settings{
			"cluster.redis": redis.URL(), "cluster.node": fmt.Sprintf("node-%d", n+1), "trusted_proxies": "127.0.0.1",
			"presence.count_event": "off",
		}.with(more)))
	}
	for _, s := range all {
		s.together(t)
	}
	return all
}

// balanced starts nginx as deploy/cluster/nginx.conf sets it up, which asks one server of the fleet after the other, and returns
// where it listens.
func (f fleet) balanced(t *testing.T) string {
	t.Helper()
	site := edited(t, "../deploy/cluster/nginx.conf")
	for n := range 3 {
		site = strings.ReplaceAll(site, fmt.Sprintf("10.0.0.1%d:2120", n+1), f[n].public)
	}
	address := freePort(t)
	site = strings.Replace(site, "listen 80;", "listen "+address+";", 1)
	startNginx(t, site)
	return "http://" + address
}

// deliver has a server of the fleet push to a user. The answer is offline as well when the others take too long to say that he is
// with them, and has got it; so whether he gets it is for the caller to see, and it is not pushed again.
func (f fleet) deliver(t *testing.T, user, message string) {
	t.Helper()
	if said := f[0].publish(t, user, message); said != "ok" && said != "offline" {
		t.Errorf("the push to %s was answered %q", user, said)
	}
}

// TestRoundRobin has clients come through an nginx that sends every request to the next server: each has one session all the
// same, and gets everything once and in order.
func TestRoundRobin(t *testing.T) {
	t.Parallel()
	all := startFleet(t, startRedis(t), 3, nil)
	base := all.balanced(t)
	for _, c := range []client{{lib: "sioc-1.7", revision: 3}, {lib: "sioc-2.5", revision: 3}, latest} {
		for _, r := range c.routes() {
			t.Run(c.lib+"/"+r.name, func(t *testing.T) {
				t.Parallel()
				tryRoundRobin(t, all, startDriver(t), c, r, base)
			})
		}
	}
}

// TestRoundRobinPages is the same with pages in Chromium, JSONP among them.
func TestRoundRobinPages(t *testing.T) {
	t.Parallel()
	all := startFleet(t, startRedis(t), 3, settings{"origins": "*"})
	d, base := startPages(t), all.balanced(t)
	for _, c := range []client{{lib: "sioc-2.5", revision: 3, page: true}, {lib: "sioc-4", revision: 4, page: true}} {
		for _, r := range c.routes() {
			t.Run(c.lib+"/"+r.name, func(t *testing.T) {
				tryRoundRobin(t, all, d, c, r, base)
				d.forget(t)
			})
		}
	}
}

func tryRoundRobin(t *testing.T, all fleet, d *driver, c client, r route, base string) {
	uid := t.Name()
	user := d.open(t, "user", opening{client: c, route: r, url: base, login: uid})
	user.loggedIn(t)
	var want []string
	for n := range 50 {
		want = append(want, fmt.Sprintf("%s %d", hard, n))
		all.deliver(t, uid, want[n])
		if n == 25 && r.upgrades() {
			user.await(t, happening{On: "upgrade"})
		}
	}
	if got := user.until(t, want[len(want)-1]); !slices.Equal(got, want) {
		t.Errorf("got %d messages, want %d in order: %q", len(got), len(want), got)
	}
	user.emit(t, "big", "login", strings.Repeat("x", 200_000)) // a POST that does not fit into one buffer
	if a := user.await(t, happening{On: "ack", Ack: "big"}).login(t); a.Code != "bad_uid" {
		t.Errorf("a uid that is too long was answered %+v", a)
	}
	d.undisturbed(t)
}

// A client's address is that which the balancer names, whichever server has its session; and nobody can pretend to be a server.
func TestRoundRobinAddress(t *testing.T) {
	t.Parallel()
	all := startFleet(t, startRedis(t), 2, settings{"log.level": "debug"})
	address := openSession(t, all[0].base)
	_, sid, _ := strings.Cut(address, "&sid=")
	page := func(origin string) http.Header {
		return http.Header{"Host": {"shop.example"}, "Origin": {origin}, "X-Forwarded-For": {"203.0.113.7"}}
	}
	for _, s := range all {
		// The owner decides about pages, as the server does that was asked.
		if got := do(t, http.MethodPost, s.publicURL(address), "40", page("https://evil.example")); got.status != http.StatusForbidden ||
			!strings.Contains(got.body, "https://evil.example") {
			t.Errorf("a foreign page was answered %d %q", got.status, got.body)
		}
		forged := http.Header{"Crier-Hop": {"visit " + sid[:6] + " 1 198.51.100.1:1 . AAAA"}}
		if got := do(t, http.MethodGet, s.publicURL(address), "", forged); got.status != http.StatusForbidden {
			t.Errorf("a forged badge was answered %d %q", got.status, got.body)
		}
	}
	if got := do(t, http.MethodPost, all[1].publicURL(address), "40", page("https://shop.example")); got.body != "ok" ||
		got.header.Get("Access-Control-Allow-Origin") != "https://shop.example" {
		t.Errorf("a POST by the other server was answered %d %q, %v", got.status, got.body, got.header)
	}
	if got := do(t, http.MethodGet, all[1].publicURL(address), "", nil); !strings.HasPrefix(got.body, "40{") {
		t.Errorf("a poll by the other server was answered %d %q", got.status, got.body)
	}

	// The owner ends: the others do not know the session, and say so at once.
	all[0].kill(t)
	for range 3 {
		if got := do(t, http.MethodGet, all[1].publicURL(address), "", nil); got.status != http.StatusBadRequest || !strings.Contains(got.body, "Session ID unknown") {
			t.Errorf("without its owner a poll was answered %d %q", got.status, got.body)
		}
	}
}

// A server that stops takes leave of its own clients; those of the others that poll or have a WebSocket through it lose nothing:
// the first are not even disconnected.
func TestRoundRobinStop(t *testing.T) {
	t.Parallel()
	all := startFleet(t, startRedis(t), 3, nil)
	base := all.balanced(t)
	d := startDriver(t)
	polls, sockets := map[string]*socket{}, map[string]*socket{}
	for n := range 12 {
		uid := fmt.Sprintf("poll-%d", n)
		polls[uid] = d.open(t, uid, opening{client: latest, route: byPolling, url: base, login: uid})
		uid = fmt.Sprintf("socket-%d", n)
		sockets[uid] = d.open(t, uid, opening{client: latest, route: byUpgrade, url: base, login: uid})
	}
	tag := func(s *socket) string { return s.connected(t).Engine[:6] }
	own := map[string]bool{}
	_, sid, _ := strings.Cut(openSession(t, all[0].base), "&sid=")
	stopped := sid[:6]
	for _, group := range []map[string]*socket{polls, sockets} {
		for uid, s := range group {
			s.loggedIn(t)
			own[uid] = tag(s) == stopped
		}
	}
	all[0].stop(t)
	rest := all[1:]
	for uid, s := range polls {
		if own[uid] {
			s.await(t, happening{On: "disconnect"})
			s.loggedIn(t)
		}
		rest.deliver(t, uid, "after the stop")
		s.until(t, "after the stop")
		if !own[uid] && s.count("disconnect") > 0 {
			t.Errorf("%s was disconnected, though its server goes on: %s", uid, s.summary())
		}
	}
	for uid, s := range sockets {
		if own[uid] {
			s.await(t, happening{On: "disconnect"})
		}
		for s.count("disconnect") > 0 && s.count("connect") < 2 {
			s.connected(t)
		}
	}
}

// TestSockJSByPath: a session of SockJS without a WebSocket always comes to the same server, by its path.
func TestSockJSByPath(t *testing.T) {
	t.Parallel()
	all := startFleet(t, startRedis(t), 3, nil)
	base := all.balanced(t)
	for n := range 6 {
		session := fmt.Sprintf("%s/sockjs/000/session%d/", base, n)
		if got := do(t, http.MethodPost, session+"xhr", "", nil).body; got != "o\n" {
			t.Fatalf("opening: %q", got)
		}
		if got := do(t, http.MethodPost, session+"xhr_send", fmt.Sprintf(`["{\"event\":\"login\",\"args\":[\"u%d\"],\"ack\":1}"]`, n), nil); got.status != http.StatusNoContent {
			t.Fatalf("sending: %d %q", got.status, got.body)
		}
		if got := do(t, http.MethodPost, session+"xhr", "", nil).body; !strings.HasPrefix(got, "a[") || !strings.Contains(got, fmt.Sprintf(`u%d`, n)) {
			t.Errorf("receiving: %q", got)
		}
	}
}

// freeBase returns what the ports of deploy/cluster/laptop can begin with.
func freeBase(t *testing.T) string {
	t.Helper()
	// A child that is forked while a port is open has it too, until it runs its program.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	for range 100 {
		base := strconv.Itoa(10 + rand.IntN(20))
		taken := false
		for _, port := range []string{"129", "120", "121", "220", "221", "320", "321"} {
			l, err := net.Listen("tcp", "127.0.0.1:"+base+port)
			if err != nil {
				taken = true
				continue
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if !taken {
			return base
		}
	}
	t.Fatal("no ports are free")
	return ""
}

// TestLaptop runs the script of three servers: what one begins another goes on with.
func TestLaptop(t *testing.T) {
	t.Parallel()
	tool(t, "redis-server", "apt-get install redis-server")
	script, err := filepath.Abs("../deploy/cluster/laptop")
	if err != nil {
		t.Fatal(err)
	}
	base := freeBase(t)
	p := launch(t, tool(t, "env", "a POSIX system"), nil, "CRIER="+os.Getenv(crierVariable), "BASE="+base, "DATA="+t.TempDir(), script)
	for n := range 3 {
		for port, end := range map[string]int{"public": 20, "push": 21} {
			p.log.await(t, p.exited, "msg=listening", "port="+port, fmt.Sprintf("addr=127.0.0.1:%s%d%d", base, n+1, end))
		}
	}
	p.log.awaitLines(t, p.exited, 3, together)
	url := func(n int, path string) string { return fmt.Sprintf("http://127.0.0.1:%s%d20%s", base, n, path) }
	sid := openSession(t, url(1, ""))
	for n := 3; n > 0; n-- {
		if got := do(t, http.MethodPost, url(n, sid), "3", nil); got.body != "ok" {
			t.Errorf("server %d answered %d %q", n, got.status, got.body)
		}
	}
}

// openSession opens a session by polling, and returns the path of its requests.
func openSession(t *testing.T, base string) string {
	t.Helper()
	const path = "/socket.io/?EIO=4&transport=polling"
	r := do(t, http.MethodGet, base+path, "", nil)
	sid := regexp.MustCompile(`"sid":"([a-z2-7]{6}[A-Z2-7]{24})"`).FindStringSubmatch(r.body)
	if sid == nil {
		t.Fatalf("the handshake is %d %q", r.status, r.body)
	}
	return path + "&sid=" + sid[1]
}

// TestCompose has Crier check the settings in the compose file.
func TestCompose(t *testing.T) {
	t.Parallel()
	var file struct {
		Services map[string]struct {
			Environment map[string]string `yaml:"environment"`
		} `yaml:"services"`
	}
	if err := yaml.Unmarshal([]byte(edited(t, "../deploy/cluster/compose.yaml")), &file); err != nil {
		t.Fatal(err)
	}
	all := settings{}
	for name, value := range file.Services["crier"].Environment {
		name, of := strings.CutPrefix(name, "CRIER_")
		if all[strings.ToLower(name)] = value; !of || value == "" {
			t.Errorf("%s: %q", name, value)
		}
	}
	if !strings.HasPrefix(all["api_keys"], "${CRIER_API_KEYS:?") {
		t.Errorf("api.keys is %q: Compose has to ask for it", all["api_keys"])
	}
	all["api_keys"] = "a-long-random-string"
	check := exec.CommandContext(t.Context(), os.Getenv(crierVariable), "config", "check")
	check.Env, check.Dir = all.environment(), t.TempDir()
	if said, err := check.CombinedOutput(); err != nil {
		t.Errorf("crier config check: %v\n%s", err, said)
	}
}

// TestLeaderBehindAny: any server takes calls for timed pushes and callbacks, which one of them answers for all.
func TestLeaderBehindAny(t *testing.T) {
	t.Parallel()
	all := startFleet(t, startRedis(t), 3, settings{"webhook.url": "http://127.0.0.1:1/", "api.keys": "a-key"})
	header := http.Header{"Authorization": {"Bearer a-key"}}
	// ask asks until there is a leader.
	ask := func(s *server, method, path, body string) reply {
		t.Helper()
		for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
			r := do(t, method, s.pushURL(path), body, header)
			if r.status != http.StatusServiceUnavailable || time.Now().After(end) {
				return r
			}
		}
	}
	for n, s := range all {
		path := fmt.Sprintf("/v1/schedules/s%d", n)
		if r := ask(s, http.MethodPut, path, `{"push":{"to":{"all":true},"data":"x"},"every":"1h"}`); r.status != http.StatusOK {
			t.Fatalf("server %d: %d %s", n, r.status, r.body)
		}
		for m, other := range all {
			if r := ask(other, http.MethodGet, path, ""); r.status != http.StatusOK || !strings.Contains(r.body, fmt.Sprintf(`"id":"s%d"`, n)) {
				t.Errorf("server %d about the schedule of server %d: %d %s", m, n, r.status, r.body)
			}
		}
	}
	for n, s := range all {
		if r := ask(s, http.MethodGet, "/v1/webhooks/dead?limit=1", ""); r.status != http.StatusOK || !strings.Contains(r.body, `"dead":[]`) {
			t.Errorf("server %d: %d %s", n, r.status, r.body)
		}
		if r := do(t, http.MethodGet, s.pushURL("/v1/schedules"), "", nil); r.status != http.StatusForbidden {
			t.Errorf("server %d without a key: %d %s", n, r.status, r.body)
		}
		large := `{"push":{"to":{"all":true},"data":"` + strings.Repeat("x", 17<<20) + `"},"every":"1h"}`
		if r := ask(s, http.MethodPost, "/v1/schedules", large); r.status != http.StatusRequestEntityTooLarge {
			t.Errorf("server %d: what is too large was answered %d %.200s", n, r.status, r.body)
		}
		if r := ask(s, http.MethodDelete, fmt.Sprintf("/v1/schedules/s%d", n), ""); r.status != http.StatusOK {
			t.Errorf("server %d: %d %s", n, r.status, r.body)
		}
	}
}
