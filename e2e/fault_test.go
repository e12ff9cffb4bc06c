package e2e

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// listenSomewhere returns the address of a port that is taken until the test ends.
func listenSomewhere(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listening: %v", err)
	}
	t.Cleanup(func() {
		if err := listener.Close(); err != nil {
			t.Errorf("closing the port: %v", err)
		}
	})
	return listener.Addr().String()
}

// TestStartFaults starts Crier in ways that cannot work: it says why in one line per mistake, and ends.
func TestStartFaults(t *testing.T) {
	t.Parallel()
	taken := listenSomewhere(t)
	unreadable := filepath.Join(t.TempDir(), "missing.pem")
	garbage := filepath.Join(t.TempDir(), "garbage.pem")
	if err := os.WriteFile(garbage, []byte("no certificate"), 0o600); err != nil {
		t.Fatalf("writing a file: %v", err)
	}
	tests := []struct {
		name     string
		settings settings
		args     []string
		code     int
		lines    [][]string // phrases of each line that there has to be
	}{
		{"public port in use", settings{"listen": taken}, nil, 1, [][]string{{taken, "`listen`", "another program", "choose"}}},
		{"push port in use", settings{"api.listen": taken}, nil, 1, [][]string{{taken, "`api.listen`", "another program"}}},
		{
			"missing certificate",
			settings{"tls.cert": unreadable, "tls.key": unreadable},
			nil, 1,
			[][]string{{"tls.cert", unreadable, "no such file"}},
		},
		{"bad certificate", settings{"tls.cert": garbage, "tls.key": garbage}, nil, 1, [][]string{{"tls.cert", garbage, "PEM"}}},
		{
			"bad settings",
			settings{"socketio.max_payload": "lots", "presence.offline_delay": "soon", "log.level": "loud"},
			nil, 2,
			[][]string{{"socketio.max_payload", "lots"}, {"presence.offline_delay", "soon"}, {"log.level", "loud", "info"}},
		},
		{"unknown setting", settings{"api.keyz": "x"}, nil, 2, [][]string{{"CRIER_API_KEYZ"}}},
		{"certificate without a key", settings{"tls.cert": unreadable}, nil, 2, [][]string{{"tls.cert", "tls.key"}}},
		{"one port without keys", settings{"listen": taken, "api.listen": taken}, nil, 2, [][]string{{"listen", "api.keys"}}},
		{"store that is none", settings{"store.path": garbage}, nil, 1, [][]string{{"store.path", garbage, "damaged", "move it away"}}},
		{"store in no folder", settings{"store.path": garbage + "/crier.db"}, nil, 1, [][]string{{"store.path", garbage, "folder"}}},
		{"bad callback address", settings{"webhook.url": "ftp://shop.example"}, nil, 2, [][]string{{"webhook.url", "http"}}},
		{"missing settings file", nil, []string{"--config", unreadable}, 2, [][]string{{unreadable}}},
		{"unknown flag", nil, []string{"--lisen", ":1"}, 2, [][]string{{"lisen"}, {"-h"}}},
		{"unknown command", nil, []string{"surve"}, 2, [][]string{{"surve"}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cmd := exec.Command(os.Getenv(crierVariable), test.args...)
			cmd.Dir = t.TempDir()
			cmd.Env = free.with(test.settings).environment()
			out, err := cmd.CombinedOutput()
			if code := cmd.ProcessState.ExitCode(); code != test.code {
				t.Errorf("exit code %d, want %d (%v)", code, test.code, err)
			}
			for _, phrases := range test.lines {
				if !hasLine(string(out), phrases) {
					t.Errorf("no line has all of %q:\n%s", phrases, out)
				}
			}
			if strings.Contains(string(out), "goroutine ") {
				t.Errorf("a panic:\n%s", out)
			}
		})
	}
}

// hasLine says whether one line of text has all the phrases.
func hasLine(text string, phrases []string) bool {
	for line := range strings.Lines(text) {
		if missingPhrase(line, phrases) == "" {
			return true
		}
	}
	return false
}

// TestUnreachableReceiver has callbacks go where nobody listens: the log says so.
func TestUnreachableReceiver(t *testing.T) {
	t.Parallel()
	address := freePort(t)
	crier := startCrier(t, settings{
		"webhook.url":    "http://user:hunter2@" + address + "/callback",
		"webhook.events": "user.online",
	})
	d := startDriver(t)
	d.open(t, "page", opening{client: latest, route: byWebSocket, url: crier.publicURL(""), login: "alice"}).loggedIn(t)
	crier.log.await(t, crier.exited, "level=WARN", "callback", address, "connection refused")
	if strings.Contains(crier.log.text(), "hunter2") {
		t.Error("the log has the password of webhook.url")
	}
	crier.kill(t)
}

// TestCallers asks the push port as those who may not: 403, and a sentence that names the setting, in the
// answer and in the log.
func TestCallers(t *testing.T) {
	t.Parallel()
	const key = "correct-horse-battery"
	keyed := startCrier(t, settings{"api.keys": key + ",another-key"})
	open := startCrier(t, nil)
	bearer := func(k string) http.Header { return http.Header{"Authorization": {"Bearer " + k}} }
	tests := []struct {
		name    string
		server  *server
		query   string
		header  http.Header
		status  int
		phrases []string
	}{
		{"right key", keyed, "", bearer(key), 200, nil},
		{"other right key", keyed, "", http.Header{"X-Api-Key": {"another-key"}}, 200, nil},
		{"right key in the query", keyed, "&key=" + key, nil, 200, nil},
		{"right key under any host", keyed, "&key=" + key, http.Header{"Host": {"push.example"}}, 200, nil},
		{"wrong key", keyed, "", bearer("wrong-key-41"), 403, []string{"key", "api.keys"}},
		{"no key", keyed, "", nil, 403, []string{"127.0.0.1", "api.keys", "api.allow"}},
		{"loopback", open, "", nil, 200, nil},
		{"behind a proxy", open, "", http.Header{"X-Forwarded-For": {"203.0.113.9"}}, 403, []string{"proxy", "X-Forwarded-For", "api.keys"}},
		{"rebound name", open, "", http.Header{"Host": {"evil.example:2121"}}, 403, []string{"evil.example", "api.hosts"}},
		{"foreign page", open, "", http.Header{"Origin": {"http://evil.example"}}, 403, []string{"evil.example", "api.keys"}},
		{
			"browser", open, "",
			http.Header{"User-Agent": {"Mozilla/5.0"}, "Sec-Fetch-Site": {"cross-site"}},
			403,
			[]string{"browser", "cross-site"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := do(t, http.MethodGet, test.server.pushURL("/?type=publish&content=x"+test.query), "", test.header)
			if r.status != test.status {
				t.Errorf("status %d, want %d", r.status, test.status)
			}
			if test.status == 200 {
				if r.body != "ok" {
					t.Errorf("answered %q, want ok", r.body)
				}
				return
			}
			if lacks := missingPhrase(r.body, test.phrases); lacks != "" {
				t.Errorf("the answer %q does not say %q", r.body, lacks)
			}
			test.server.log.await(t, test.server.exited, append(test.phrases, "level=WARN")...)
		})
	}
	for _, part := range []string{key, "wrong-key-41"} {
		if strings.Contains(keyed.log.text(), part) {
			t.Errorf("the log has the key %q", part)
		}
	}
}

// TestOversizedPush sends the push port more than it takes.
func TestOversizedPush(t *testing.T) {
	t.Parallel()
	crier := startCrier(t, settings{"log.level": "debug", "api.max_body": "1MB", "socketio.max_payload": "10KB"})
	d := startDriver(t)
	s := d.open(t, "page", opening{client: latest, route: byWebSocket, url: crier.publicURL(""), login: "alice"})
	s.loggedIn(t)

	push := do(t, http.MethodPost, crier.pushURL("/"), form("alice", strings.Repeat("x", 1<<20)).Encode(), urlencoded())
	if lacks := missingPhrase(push.body, []string{"api.max_body", "1000000"}); push.status != 413 || lacks != "" {
		t.Errorf("a push of 1 MiB was answered %d %q", push.status, push.body)
	}
	crier.log.await(t, crier.exited, "413", "api.max_body")

	long := do(t, http.MethodPost, crier.pushURL("/"), form("alice", strings.Repeat("x", 20_000)).Encode(), urlencoded())
	if long.body != "fail" || missingPhrase(long.header.Get("X-Crier-Error"), []string{"10000"}) != "" {
		t.Errorf("a content of 20 KB was answered %q %q", long.body, long.header.Get("X-Crier-Error"))
	}
	crier.deliver(t, "alice", "still there?")
	s.until(t, "still there?")
	if s.count("disconnect") > 0 {
		t.Errorf("the client was disconnected: %s", s.summary())
	}
}

// TestOversizedPayload has clients send more than socketio.max_payload, which the log tells; TestPayloadLimit
// shows what becomes of them.
func TestOversizedPayload(t *testing.T) {
	t.Parallel()
	limit := settings{"log.level": "debug", "socketio.max_payload": "10KB"}
	t.Run("polling", func(t *testing.T) {
		crier := startCrier(t, limit)
		open := do(t, http.MethodGet, crier.publicURL("/socket.io/?EIO=4&transport=polling"), "", nil)
		_, rest, _ := strings.Cut(open.body, `"sid":"`)
		sid, _, _ := strings.Cut(rest, `"`)
		post := do(t, http.MethodPost, crier.publicURL("/socket.io/?EIO=4&transport=polling&sid="+sid),
			"4"+strings.Repeat("x", 10_000), nil)
		if lacks := missingPhrase(post.body, []string{"socketio.max_payload", "10000"}); post.status != 413 || lacks != "" {
			t.Errorf("a POST of 10,001 bytes was answered %d %q", post.status, post.body)
		}
		crier.log.await(t, crier.exited, "socketio.max_payload")
	})
	t.Run("websocket", func(t *testing.T) {
		crier := startCrier(t, limit)
		d := startDriver(t)
		s := d.open(t, "page", opening{client: latest, route: byWebSocket, url: crier.publicURL("")})
		s.connected(t)
		s.emit(t, "", "login", strings.Repeat("x", 20_000))
		s.await(t, happening{On: "disconnect"})
		crier.log.await(t, crier.exited, "socketio.max_payload")
	})
}
