package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A speaker emits through Redis, and waits until Redis has it.
type speaker interface {
	emit(t *testing.T, m emitted)
}

// emitted is a message of a speaker.
type emitted struct {
	namespace string // "" is /
	rooms     []string
	except    []string
	volatile  bool
	args      []any // of the event
}

// npmEmitter is @socket.io/redis-emitter.
type npmEmitter struct{ script *script }

func startNPMEmitter(t *testing.T, r *redisServer) npmEmitter {
	t.Helper()
	return npmEmitter{startScript(t, node(t), "clients/emitter.mjs", r.URL())}
}

// call makes calls of the emitter's interface; one server must be there to hear of them.
func (n npmEmitter) call(t *testing.T, calls ...[]any) {
	t.Helper()
	n.script.tell(t, calls)
	var answer struct{ Receivers int }
	n.script.answer(t, &answer)
	if answer.Receivers != 1 {
		t.Fatalf("%v went to %d servers", calls, answer.Receivers)
	}
}

func (n npmEmitter) emit(t *testing.T, m emitted) {
	t.Helper()
	var calls [][]any
	if m.namespace != "" {
		calls = append(calls, []any{"of", m.namespace})
	}
	if len(m.rooms) > 0 {
		calls = append(calls, []any{"to", m.rooms})
	}
	if len(m.except) > 0 {
		calls = append(calls, []any{"except", m.except})
	}
	if m.volatile {
		calls = append(calls, []any{"volatile"})
	}
	n.call(t, append(calls, append([]any{"emit", "news"}, m.args...))...)
}

// phpEmitter is php/emit.php, in one of its forms.
type phpEmitter struct {
	path  string
	redis *redisServer
	form  string
}

func (p phpEmitter) emit(t *testing.T, m emitted) {
	t.Helper()
	if m.except != nil || m.namespace != "" {
		t.Fatal("php/emit.php has neither exceptions nor namespaces")
	}
	flags := map[string]bool{}
	if m.volatile {
		flags["volatile"] = true
	}
	in, err := json.Marshal(map[string]any{"rooms": append([]string{}, m.rooms...), "flags": flags, "event": "news", "args": append([]any{}, m.args...)})
	if err != nil {
		t.Fatalf("encoding a message: %v", err)
	}
	var answer struct{ Receivers int }
	out := runPHP(t, p.path, in, "php/emit.php", "127.0.0.1", strconv.Itoa(p.redis.Port), p.form)
	if err := json.Unmarshal([]byte(out), &answer); err != nil || answer.Receivers != 1 {
		t.Fatalf("PHP printed %q", out)
	}
}

// phpRedis returns the path of PHP with the extensions redis and msgpack.
func phpRedis(t *testing.T) string {
	t.Helper()
	path := tool(t, "php", "apt-get install php-cli php-redis php-msgpack")
	if err := exec.Command(path, "-r", "exit(class_exists('Redis') && function_exists('msgpack_pack') ? 0 : 1);").Run(); err != nil {
		missing(t, "PHP has no redis or no msgpack extension: apt-get install php-redis php-msgpack")
	}
	return path
}

// An audience is the sockets that emitters speak to, by name.
type audience map[string]*socket

// gather opens sockets of old and new clients: three in /, of whom alice and bob are in the room news, and dave in /chat.
func gather(t *testing.T, crier *server) audience {
	t.Helper()
	d := startDriver(t)
	all := audience{}
	for name, o := range map[string]opening{
		"alice": {client: mainClients[1], route: byPolling, login: "alice"},
		"bob":   {client: latest, route: byWebSocket, login: "42"},
		"carol": {client: mainClients[0], route: byWebSocket},
		"dave":  {client: latest, route: byWebSocket},
	} {
		o.url, o.watch = crier.publicURL(""), []string{"news"}
		if name == "dave" {
			o.url = crier.publicURL("/chat")
		}
		all[name] = d.open(t, name, o)
	}
	for name, s := range all {
		all[name].connected(t)
		if name == "alice" || name == "bob" {
			s.loggedIn(t)
			s.emit(t, "subscribe", "subscribe", "news")
			s.await(t, happening{On: "ack", Ack: "subscribe"})
		}
	}
	return all
}

// sid returns the id of a socket as its client knows it.
func (s *socket) sid() string {
	for _, h := range slices.Backward(s.history) {
		if h.On == "connect" {
			return h.SID
		}
	}
	return ""
}

// expect emits m, and then a last message to everybody: until that, those named must have got m once, the others nothing.
func (a audience) expect(t *testing.T, by speaker, last npmEmitter, m emitted, names ...string) {
	t.Helper()
	by.emit(t, m)
	end := fmt.Sprintf("the end of %s", t.Name())
	for _, namespace := range []string{"/", "/chat"} {
		last.call(t, []any{"of", namespace}, []any{"emit", "news", end})
	}
	for name, s := range a {
		want := m.args
		if !slices.Contains(names, name) {
			want = []any{end}
		}
		got := s.await(t, happening{On: "event", Event: "news"})
		if sameArgs(t, got, want); slices.Contains(names, name) {
			sameArgs(t, s.await(t, happening{On: "event", Event: "news"}), []any{end})
		}
	}
}

// startWithRedis starts Crier and waits until it has subscribed.
func startWithRedis(t *testing.T, r *redisServer) *server {
	t.Helper()
	crier := startCrier(t, settings{
		"cluster.redis": r.URL(), "socketio.namespaces": "/chat", "rooms.client_join": "allow", "presence.count_event": "off",
	})
	crier.log.await(t, crier.exited, "connected to Redis", "addr="+r.Addr())
	return crier
}

// TestEmitters has the emitters of npm and PHP speak to clients of 2.x and 4.x.
func TestEmitters(t *testing.T) {
	t.Parallel()
	path := phpRedis(t)
	redis := startRedis(t)
	crier := startWithRedis(t, redis)
	npm := startNPMEmitter(t, redis)
	all := gather(t, crier)
	bytes := []byte{0, 255, 1, 254}

	common := []struct {
		name string
		m    emitted
		to   []string
	}{
		{"everybody", emitted{}, []string{"alice", "bob", "carol"}},
		{"a room", emitted{rooms: []string{"news"}}, []string{"alice", "bob"}},
		{"a user", emitted{rooms: []string{"alice"}}, []string{"alice"}},
		{"a user who is a number", emitted{rooms: []string{"42"}}, []string{"bob"}},
		{"a connection of 4.x", emitted{rooms: []string{all["bob"].sid()}}, []string{"bob"}},
		{"a connection of 2.x", emitted{rooms: []string{all["carol"].sid()}}, []string{"carol"}},
		{"several, once each", emitted{rooms: []string{"news", "alice", all["bob"].sid(), "nobody"}}, []string{"alice", "bob"}},
		{"nobody", emitted{rooms: []string{"nobody"}}, nil},
		{"volatile", emitted{volatile: true, rooms: []string{"42"}}, []string{"bob"}}, // alice, who polls, may miss it
		{"arguments", emitted{args: []any{hard, map[string]any{"list": []any{1.0, -2.5, nil, true, hard}}, "\x00\"\\\u2028"}}, []string{"alice", "bob", "carol"}},
		{"bytes", emitted{args: []any{binary(bytes), "x"}, rooms: []string{"news"}}, []string{"alice", "bob"}},
	}
	for name, by := range map[string]speaker{
		"npm":      npm,
		"PHP old":  phpEmitter{path, redis, "old"},
		"PHP new":  phpEmitter{path, redis, "new"},
		"PHP each": phpEmitter{path, redis, "each"},
	} {
		for _, test := range common {
			if name == "PHP each" && test.m.rooms == nil {
				continue // there is no channel for those
			}
			t.Run(name+"/"+test.name, func(t *testing.T) { all.expect(t, by, npm, test.m, test.to...) })
		}
	}
	tests := []struct {
		name string
		m    emitted
		to   []string
	}{
		{"except a room", emitted{except: []string{"news"}}, []string{"carol"}},
		{"except a user and a connection", emitted{rooms: []string{"news", all["carol"].sid()}, except: []string{"alice", all["carol"].sid()}}, []string{"bob"}},
		{"another namespace", emitted{namespace: "/chat"}, []string{"dave"}},
		{"a namespace that there is not", emitted{namespace: "/nowhere"}, nil},
		{"bytes deep inside", emitted{args: []any{map[string]any{"deep": []any{binary(bytes), binary([]byte(hard))}}}}, []string{"alice", "bob", "carol"}},
	}
	for _, test := range tests {
		t.Run("npm/"+test.name, func(t *testing.T) { all.expect(t, npm, npm, test.m, test.to...) })
	}
	t.Run("moves", func(t *testing.T) { all.move(t, npm) })
}

// move has sockets join rooms, leave them and be sent away.
func (a audience) move(t *testing.T, npm npmEmitter) {
	to := func(room string) emitted { return emitted{rooms: []string{room}} }
	npm.call(t, []any{"to", "alice"}, []any{"socketsJoin", []string{"vip", "other"}})
	npm.call(t, []any{"except", "news"}, []any{"socketsJoin", "vip"})
	a.expect(t, npm, npm, to("vip"), "alice", "carol")
	npm.call(t, []any{"in", "vip"}, []any{"except", "alice"}, []any{"socketsLeave", "vip"})
	a.expect(t, npm, npm, to("vip"), "alice")
	npm.call(t, []any{"serverSideEmit", "hello", 1})
	npm.call(t, []any{"in", "vip"}, []any{"disconnectSockets"})
	npm.call(t, []any{"in", a["carol"].sid()}, []any{"disconnectSockets", true})
	for _, name := range []string{"alice", "carol"} {
		if reason := a[name].await(t, happening{On: "disconnect"}).Reason; reason != "io server disconnect" {
			t.Errorf("%s was disconnected by %q", name, reason)
		}
		delete(a, name)
	}
	a.expect(t, npm, npm, emitted{}, "bob")
}

// redisStats are those of GET /v1/stats.
type redisStats struct {
	Up                                                bool
	Since                                             time.Time
	Lost, Pushes, Requests, Repeated, Passed, Dropped int
}

func (s *server) redisStats(t *testing.T) redisStats {
	t.Helper()
	var stats struct{ Redis redisStats }
	if r := do(t, http.MethodGet, s.pushURL("/v1/stats"), "", nil); json.Unmarshal([]byte(r.body), &stats) != nil {
		t.Fatalf("the figures are %d %s", r.status, r.body)
	}
	return stats.Redis
}

// TestRedisKilled kills Redis under a server, which goes on, says so, and hears the emitters again when it is back.
func TestRedisKilled(t *testing.T) {
	t.Parallel()
	redis := startRedis(t)
	crier := startWithRedis(t, redis)
	d := startDriver(t)
	alice := d.open(t, "alice", opening{client: latest, route: byWebSocket, url: crier.publicURL(""), login: "alice"})
	alice.loggedIn(t)
	npm := startNPMEmitter(t, redis)
	emit := func(content string) {
		t.Helper()
		npm.call(t, []any{"to", "alice"}, []any{"emit", "new_msg", content})
		if got := alice.await(t, happening{On: "event", Event: "new_msg"}).text(t, 0); got != content {
			t.Errorf("got %q, want %q", got, content)
		}
	}
	until := func(up bool, lost int) redisStats {
		t.Helper()
		for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
			stats := crier.redisStats(t)
			if stats.Up == up && stats.Lost == lost {
				return stats
			}
			if time.Now().After(end) {
				t.Fatalf("Redis is up=%v and was lost %d times, want %v and %d", stats.Up, stats.Lost, up, lost)
			}
		}
	}
	emit("before")
	for round := 1; round <= 2; round++ {
		lost := 2 * round // the connection for emitters, and the one for calls
		redis.Kill(t)
		until(false, lost)
		crier.deliver(t, "alice", "without Redis")
		alice.await(t, happening{On: "event", Event: "new_msg"})
		if r := do(t, http.MethodGet, crier.pushURL("/readyz"), "", nil); r.status != http.StatusOK || !strings.HasPrefix(r.body, "ok\nRedis is away since ") {
			t.Errorf("readiness is %d %q", r.status, r.body)
		}
		redis.Start(t)
		began := time.Now()
		t.Logf("back %s after Redis", until(true, lost).Since.Sub(began).Round(time.Millisecond))
		if r := do(t, http.MethodGet, crier.pushURL("/readyz"), "", nil); r.body != "ok" {
			t.Errorf("readiness is %d %q", r.status, r.body)
		}
		emit("after")
	}
	for line := range strings.Lines(crier.log.text()) {
		switch {
		case !strings.Contains(line, "level=ERROR"):
		case strings.Contains(line, "who came and who went could not be stored"): // yet
			crier.log.await(t, crier.exited, "who came and who went is stored again")
		default:
			t.Errorf("the log has an error: %s", line)
		}
	}
}
