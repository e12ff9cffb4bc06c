package configs

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// snake writes a field's name as a key: PingInterval is ping_interval, MaxBody is max_body.
func snake(field string) string {
	field = strings.Replace(field, "SocketIO", "Socketio", 1) // one word
	var out strings.Builder
	runes := []rune(field)
	for i, r := range runes {
		if i > 0 && unicode.IsUpper(r) && unicode.IsLower(runes[i-1]) {
			out.WriteByte('_')
		}
		out.WriteRune(unicode.ToLower(r))
	}
	return out.String()
}

// fieldKeys lists the keys of a struct's fields; the struct types of this package are sections.
func fieldKeys(prefix string, typ reflect.Type) []string {
	var keys []string
	for field := range typ.Fields() {
		key := prefix + snake(field.Name)
		if field.Type.Kind() == reflect.Struct && field.Type.PkgPath() == typ.PkgPath() {
			keys = append(keys, fieldKeys(key+".", field.Type)...)
			continue
		}
		if key != "api.limited" { // entries of api.keys
			keys = append(keys, key)
		}
	}
	return keys
}

func tableKeys() []string {
	var keys []string
	for _, s := range settings() {
		keys = append(keys, s.key)
	}
	return keys
}

func TestTableIsTheStruct(t *testing.T) {
	want := fieldKeys("", reflect.TypeFor[Config]())
	if len(want) < 30 {
		t.Fatalf("only %d fields found in Config", len(want))
	}
	if got := tableKeys(); !slices.Equal(got, want) {
		t.Errorf("the table and Config differ (names, or order)\ntable  %v\nConfig %v", got, want)
	}
}

// fieldOf follows a key into a Config.
func fieldOf(c *Config, key string) reflect.Value {
	at := reflect.ValueOf(c).Elem()
	for part := range strings.SplitSeq(key, ".") {
		at = at.FieldByNameFunc(func(name string) bool { return snake(name) == part })
	}
	return at
}

// TestTableSetsItsField gives every setting another value than its default, and sees only the field of
// its name change.
func TestTableSetsItsField(t *testing.T) {
	others := map[string][]string{
		"listen": {":1"}, "tls.cert": {"c"}, "tls.key": {"k"}, "api.listen": {":2"}, "api.keys": {"k1", "k2"},
		"api.allow": {"10.0.0.0/8"}, "api.hosts": {"h"}, "api.max_body": {"1"}, "trusted_proxies": {"::1"},
		"socketio.path": {"/p/"}, "socketio.ping_interval": {"1s"}, "socketio.ping_timeout": {"1s"},
		"socketio.upgrade_timeout": {"1s"}, "socketio.connect_timeout": {"1s"}, "socketio.max_payload": {"1"},
		"socketio.transports": {"polling"}, "socketio.allow_eio3": {"no"}, "socketio.per_message_deflate": {"on"}, "socketio.namespaces": {"/n"}, "socketio.poller": {"epoll"},
		"origins": {"*"}, "auth.mode": {"jwt"}, "auth.jwt.secret": {"s"}, "auth.jwt.public_key": {"k.pem"}, "auth.jwt.jwks": {"http://h"},
		"auth.jwt.algorithms": {"ES256", "EdDSA"}, "auth.jwt.issuer": {"i"}, "auth.jwt.audience": {"a"}, "auth.callback.url": {"http://h"},
		"auth.callback.timeout": {"1s"}, "auth.login_timeout": {"1s"}, "rooms.client_join": {"token"}, "webhook.url": {"http://h"}, "webhook.secrets": {"s"},
		"webhook.format": {"form"}, "webhook.events": {"user.online"}, "webhook.timeout": {"1s"},
		"webhook.batch": {"2"}, "webhook.retention": {"1h"}, "forward.events": {"a", "b"}, "forward.url": {"http://h"}, "forward.timeout": {"1s"},
		"presence.offline_delay": {"0"}, "presence.restart_grace": {"1s"}, "presence.count_event": {"off"}, "presence.count_interval": {"2s"},
		"presence.room_events": {"true"}, "store.path": {"memory"},
		"inbox.max_per_user": {"5"}, "inbox.max_bytes": {"2MiB"}, "inbox.ttl": {"1h"}, "inbox.open": {"true"}, "inbox.message_id": {"true"},
		"recovery.clients": {"all"}, "recovery.window": {"1s"}, "recovery.max_messages": {"1"}, "recovery.max_bytes": {"1"},
		"cluster.redis": {"rediss://u:p@h/1"}, "cluster.sentinels": {"s:1", "s:2"}, "cluster.sentinel_password": {"p"}, "cluster.prefix": {"p"}, "cluster.node": {"n"}, "cluster.advertise": {"http://h:1"}, "cluster.emitter_prefix": {"p"},
		"cluster.tls.ca": {"a"}, "cluster.tls.cert": {"c"}, "cluster.tls.key": {"k"},
		"limits.connections": {"0"}, "limits.connections_per_ip": {"9"}, "limits.handshakes_per_ip": {"9"}, "limits.events_per_second": {"9"},
		"limits.queue_bytes": {"1"}, "limits.queue_messages": {"1"}, "limits.queue_total": {"0"}, "limits.send_buffer": {"0"}, "drain.spread": {"1s"}, "log.level": {"debug"}, "log.format": {"json"},
	}
	if len(others) != len(settings()) {
		t.Errorf("%d settings are tried, there are %d", len(others), len(settings()))
	}
	for _, s := range settings() {
		t.Run(s.key, func(t *testing.T) {
			c := Default()
			if faults := s.at(c).set(others[s.key]); faults != nil {
				t.Fatalf("set(%q) = %v", others[s.key], faults)
			}
			for _, key := range tableKeys() {
				changed := !reflect.DeepEqual(fieldOf(c, key).Interface(), fieldOf(Default(), key).Interface())
				if changed != (key == s.key) {
					t.Errorf("after setting %s, %s changed: %v", s.key, key, changed)
				}
			}
			again := Default()
			if faults := s.at(again).set(s.at(c).items()); faults != nil || !reflect.DeepEqual(again, c) {
				t.Errorf("items() = %q does not set the same again: %v", s.at(c).items(), faults)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	want := map[string]string{
		"listen": ":2120", "api.listen": "0.0.0.0:2121", "api.max_body": "16MiB", "socketio.path": "/socket.io/",
		"socketio.ping_interval": "25s", "socketio.ping_timeout": "20s", "socketio.upgrade_timeout": "10s",
		"socketio.connect_timeout": "45s", "socketio.max_payload": "1000000", "socketio.transports": "polling,websocket",
		"socketio.allow_eio3": "true", "socketio.per_message_deflate": "false", "socketio.poller": "auto", "auth.mode": "open", "auth.callback.timeout": "3s", "auth.login_timeout": "30s", "rooms.client_join": "deny", "webhook.format": "json",
		"webhook.events": "user.online,user.offline", "webhook.timeout": "10s", "webhook.batch": "1", "webhook.retention": "72h",
		"forward.timeout": "5s", "presence.offline_delay": "3s", "presence.restart_grace": "1m", "store.path": "data/crier.db", "drain.spread": "10s",
		"presence.count_event": "legacy", "presence.count_interval": "1s", "presence.room_events": "false", "limits.queue_bytes": "1MiB", "limits.queue_total": "auto", "limits.send_buffer": "128KiB",
		"inbox.max_per_user": "1000", "inbox.max_bytes": "1GiB", "inbox.ttl": "24h", "inbox.open": "false", "inbox.message_id": "false",
		"limits.connections": "auto", "limits.connections_per_ip": "0", "limits.handshakes_per_ip": "0", "limits.events_per_second": "0",
		"limits.queue_messages": "1000", "recovery.clients": "ask", "recovery.window": "2m", "recovery.max_messages": "100000",
		"recovery.max_bytes": "64MiB", "cluster.prefix": "crier", "cluster.emitter_prefix": "socket.io", "log.level": "info", "log.format": "text",
	}
	for _, s := range settings() {
		if got := strings.Join(s.at(Default()).items(), ","); got != want[s.key] {
			t.Errorf("default of %s is %q, want %q", s.key, got, want[s.key])
		}
	}
}

func TestExample(t *testing.T) {
	data, err := os.ReadFile("crier.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	loaded := load(t, "crier.example.yaml")
	if !reflect.DeepEqual(loaded.Config, Default()) {
		t.Errorf("what the example shows as defaults is not:\n%s", difference(t, loaded.Config, Default()))
	}

	// With every example uncommented it still loads, and then names each setting.
	all := regexp.MustCompile(`(?m)^( *)#([^ #\n])`).ReplaceAll(data, []byte("$1$2"))
	layer, mistakes := parseFile("example", all)
	if mistakes != nil {
		t.Fatal(mistakes)
	}
	for _, s := range settings() {
		if _, ok := layer[s.key]; !ok {
			t.Errorf("the example lacks %s", s.key)
		}
	}
	for mode, others := range map[string]string{ // each without what is for other modes
		"open":     `secret: change|public_key|jwks|algorithms|issuer|audience|url: \S+/crier-auth`,
		"jwt":      `public_key|jwks|url: \S+/crier-auth`,
		"callback": `secret: change|public_key|jwks|algorithms|issuer|audience`,
	} {
		text := regexp.MustCompile(`(?m)^ +(`+others+`).*\n`).ReplaceAll(all, nil)
		text = bytes.Replace(text, []byte("mode: open"), []byte("mode: "+mode), 1)
		path := t.TempDir() + "/all.yaml"
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := load(t, path).Config.Auth.Mode; got != mode {
			t.Errorf("mode %q, want %q", got, mode)
		}
	}
}

func difference(t *testing.T, got, want *Config) string {
	t.Helper()
	var lines []string
	for _, key := range tableKeys() {
		g, w := fieldOf(got, key).Interface(), fieldOf(want, key).Interface()
		if !reflect.DeepEqual(g, w) {
			gotJSON, err := json.Marshal(g)
			if err != nil {
				t.Fatal(err)
			}
			wantJSON, err := json.Marshal(w)
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, key+": got "+string(gotJSON)+", want "+string(wantJSON))
		}
	}
	return strings.Join(lines, "\n")
}

func TestOnePort(t *testing.T) {
	tests := []struct {
		listen, api string
		want        bool
	}{
		{":2120", ":2120", true},
		{":2120", "0.0.0.0:2120", true},
		{"[::]:2120", ":2120", true},
		{"127.0.0.1:2120", "[::ffff:127.0.0.1]:2120", true},
		{"127.0.0.1:2120", "127.0.0.1:2120", true},
		{"push.internal:2120", "push.internal:2120", true},
		{":2120", ":2121", false},
		{":2120", "127.0.0.1:2120", false},
		{":0", ":0", false},
		{"127.0.0.1:0", "127.0.0.1:0", false},
	}
	for _, test := range tests {
		c := Default()
		c.Listen, c.API.Listen = test.listen, test.api
		if got := c.OnePort(); got != test.want {
			t.Errorf("OnePort of %s and %s = %v", test.listen, test.api, got)
		}
	}
}

func TestFlags(t *testing.T) {
	names := make(map[string]Flag)
	for _, f := range Flags() {
		names[f.Name] = f
	}
	if len(names) != len(settings()) {
		t.Errorf("%d flags for %d settings", len(names), len(settings()))
	}
	for _, secret := range []string{"api.keys", "auth.jwt.secret", "webhook.secrets"} {
		if _, ok := names[secret]; ok {
			t.Errorf("--%s would put a secret on the command line", secret)
		}
		if names[secret+"_file"].Kind != "FILE" {
			t.Errorf("--%s_file is missing", secret)
		}
	}
	want := Flag{Name: "socketio.transports", Kind: "LIST", Usage: "transports that are offered", Default: "polling,websocket", List: true}
	if got := names["socketio.transports"]; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
