package configs

import (
	"errors"
	"strings"
	"testing"
)

// secretText is in every secret the tests use, and must be in no mistake.
const secretText = "sesame"

func TestMistakesOfFile(t *testing.T) {
	tests := []struct {
		name, yaml string
		want       []string // the lines, whole, "@" for its path
	}{
		{"not YAML", "listen: [", []string{`config file: "@" is not YAML: line 1: did not find expected node content`}},
		{"an anchor is not quoted", "api: {keys: [*sesame]}", []string{`config file: "@" is not YAML: a value that begins with * or & needs quotes`}},
		{"two documents", "listen: ':1'\n---\nlisten: ':2'\n", []string{`config file: "@" must be one YAML document, without a --- in the middle`}},
		{"a list", "- listen\n", []string{`config file: must be a list of settings, such as listen: :2120 (file @:1)`}},
		{
			"unknown keys", "lisen: x\napi:\n  key: sesame\n  nonsense: 1\nping_timeout: 1s\nsocket_io: {path: /}\nzzz: 1\n'a b': 1\nnonsense: {redis: x}\n",
			[]string{
				`lisen: is not a setting; did you mean listen? (file @:1)`,
				`api.key: is not a setting; did you mean api.keys? (file @:3)`,
				`api.nonsense: is not a setting (file @:4)`,
				`ping_timeout: is not a setting; did you mean socketio.ping_timeout? (file @:5)`,
				`socket_io: is not a setting; did you mean socketio? (file @:6)`,
				`zzz: is not a setting (file @:7)`,
				`"a b": is not a setting (file @:8)`,
				`nonsense: is not a setting (file @:9)`,
			},
		},
		{
			"wrong shapes", "api: sesame\ntls: [a]\nlisten: [':1']\nsocketio: {path: {a: b}, transports: {polling: 1}, namespaces: [[/a]]}\n",
			[]string{
				`api: must be a section with settings in it, not a value (file @:1)`,
				`tls: must be a section with settings in it, not a value (file @:2)`,
				`listen: must be one value (file @:3)`,
				`socketio.path: must be one value (file @:4)`,
				`socketio.transports: must be a list, or comma-separated text (file @:4)`,
				`socketio.namespaces: must have plain text for each item (file @:4)`,
			},
		},
		{"keys that are lists", "api:\n  keys: [sesame, [sesame2]]\n", []string{`api.keys: must have a key for each item: plain text, or a mapping such as {key: KEY, rights: [push]} (file @:2)`}},
		{"a key that is no text", "? [a]\n: b\n", []string{`"?": is not a setting: a key is plain text (file @:1)`}},
		{"a merge", "a: &a {listen: ':1'}\n<<: *a\n", []string{`a: is not a setting (file @:1)`, `"<<": is not a setting (file @:2)`}},
		{
			"given twice", "listen: ':1'\nlisten: ':2'\napi: {listen: ':3'}\napi.listen: ':4'\napi: {}\n",
			[]string{`listen: is given twice in the same file (file @:2)`, `api.listen: is given twice in the same file (file @:4)`, `api: is given twice in the same file (file @:5)`},
		},
		{"a secret and its file", "api: {keys: [sesame], keys_file: /nowhere}\n", []string{
			`api.keys: is given twice, by itself and as a file: give one of them (file @:1 and file @:1)`,
		}},
		{
			"everything at once", "listen: 2120\nsocketio: {ping_timeout: 0s, max_payload: lots}\nlog: {level: loud, format: xml}\nlimits: {queue_messages: 0}\n",
			[]string{
				`listen: "2120" must be an address to listen on, such as :2120, 127.0.0.1:2120 or [::1]:2120 (file @:1)`,
				`socketio.ping_timeout: "0s" must be a duration from 1ms to 24h, such as 500ms, 25s or 1m30s (file @:2)`,
				`socketio.max_payload: "lots" must be a size from 1 to 1GiB bytes, such as 65536, 64KB (1000 each) or 1MiB (1024×1024) (file @:2)`,
				`limits.queue_messages: "0" must be a whole number from 1 to 2147483647 (file @:4)`,
				`log.level: "loud" must be debug, info, warn or error (file @:3)`,
				`log.format: "xml" must be text or json (file @:3)`,
			},
		},
		{
			"webhook without url", "webhook: {secrets: [sesame], format: form, events: [user.online], timeout: 1s}\n",
			[]string{
				`webhook.secrets: **** has no effect without webhook.url: set that too, or leave this out (file @:1)`,
				`webhook.format: "form" has no effect without webhook.url: set that too, or leave this out (file @:1)`,
				`webhook.events: "user.online" has no effect without webhook.url: set that too, or leave this out (file @:1)`,
				`webhook.timeout: "1s" has no effect without webhook.url: set that too, or leave this out (file @:1)`,
			},
		},
		{
			"what follows from a mistake is not one", "webhook: {secrets: [sesame], url: nowhere}\ntls: {cert: a.pem, key: [b]}\n",
			[]string{
				`tls.key: must be one value (file @:2)`,
				`webhook.url: "nowhere" must be an http:// or https:// address, such as https://shop.example.com/crier-events (file @:1)`,
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			write(t, "c.yaml", test.yaml)
			expect(t, Sources{File: "c.yaml"}, test.want...)
		})
	}
}

// expect loads what must not load and compares the lines of its mistakes.
func expect(t *testing.T, src Sources, want ...string) {
	t.Helper()
	loaded, err := Load(src)
	var mistakes Mistakes
	if loaded != nil || !errors.As(err, &mistakes) {
		t.Fatalf("loaded: %v, %v", loaded, err)
	}
	if strings.Contains(err.Error(), secretText) {
		t.Errorf("a secret is in the mistakes:\n%v", err)
	}
	wanted := strings.ReplaceAll(strings.Join(want, "\n"), "@", src.File)
	if err.Error() != wanted {
		t.Errorf("got\n%v\nwant\n%s", err, wanted)
	}
}

// TestMistakesOfValues gives a setting a value it does not take, by the environment.
func TestMistakesOfValues(t *testing.T) {
	tests := []struct {
		key  string
		bad  []string
		want string // part of the only line, or of each
	}{
		{"listen", []string{"2120", "host", ":http", ":65536", ":-1", ":+1", ":080", "::1:2120", "http://h:1", "a b:1", "h:1:2", "..:1", ".h:1"}, "an address to listen on, such as :2120"},
		{"api.listen", []string{"x", "h:"}, "an address to listen on"},
		{"tls.cert", []string{"a\x00b"}, "the path of a file"},
		{"api.keys", []string{"sesame open", "sesame\u00e9", strings.Repeat("sesame", 100), "\tsesame\t\x01"}, "**** must be at most 512 visible ASCII characters"},
		{"api.keys", []string{"****"}, "is the mask that config print shows"},
		{"api.keys", []string{"sesame,other,sesame"}, "**** is given twice"},
		{"api.keys", []string{
			"{key: sesame, rights: [push]}", "{key:sesame,rights:push}", `[{"key":"sesame","rate":1}]`, "other,{key:sesame}", "{rights:push,key:sesame}",
		}, "**** looks like a key with limits: only the YAML file takes those, as mappings in the list; the environment, flags, and files of keys take plain keys"},
		{"api.allow", []string{"10.0.0.0/33", "10.0.0/8", "localhost", "fe80::1%eth0", "::ffff:10.0.0.1/8", "*", "10.0.0.1-10.0.0.9"}, "must be a network such as 10.0.0.0/8"},
		{"api.allow", []string{"10.0.0.0/8,10.1.0.0/8"}, `"10.1.0.0/8" is given twice`},
		{"trusted_proxies", []string{"proxy"}, "must be a network such as"},
		{"api.hosts", []string{"http://h", "h:80", "h/p", "*", "a b", ".", "[::1]"}, "must be a host name or an address without a scheme"},
		{"api.hosts", []string{"H,h"}, `"h" is given twice`},
		{"api.max_body", []string{"0", "2GiB", "-1", "16M"}, "must be a size from 1 to 1GiB bytes"},
		{"socketio.path", []string{"socket.io/", "/socket.io", "/", "//", "/a//b/", "/../", "/a/./b/", "/a?b/", "/a b/", "/{a}/", "/é/", "/a%2f/"}, "must be a path that begins and ends with a slash"},
		{"socketio.ping_interval", []string{"25", "0", "-1s", "25h", "1us", "1d"}, "must be a duration from 1ms to 24h"},
		{"socketio.ping_timeout", []string{"0s", "x"}, "must be a duration from 1ms to 24h"},
		{"socketio.upgrade_timeout", []string{"0s"}, "must be a duration from 1ms to 24h"},
		{"socketio.connect_timeout", []string{"0s"}, "must be a duration from 1ms to 24h"},
		{"socketio.max_payload", []string{"0", "1.5MB"}, "must be a size from"},
		{"socketio.transports", []string{"webtransport", "WebSocket"}, "must be a list of polling or websocket"},
		{"socketio.transports", []string{","}, "must name at least one"},
		{"socketio.transports", []string{"polling,polling"}, "is given twice"},
		{"socketio.allow_eio3", []string{"maybe", "2"}, "must be true or false"},
		{"socketio.per_message_deflate", []string{"maybe", "2"}, "must be true or false"},
		{"socketio.namespaces", []string{"chat", "/", "/a?b", "/a\x01"}, "must be a namespace that begins with a slash"},
		{"origins", []string{
			"shop.example.com", "https://h/", "https://h/p", "https://h?", "https://u@h", "https://*.h", "https://", "https://h:", "https://é",
			"http:h", "://h", "h:80", "https://h#", "*.h", "https://h:x", "NULL", "app://:1", "file://",
		}, "must be an origin as browsers send it"},
		{"origins", []string{"https://h,https://h:443"}, `"https://h:443" is given twice`},
		{"origins", []string{"*,https://h", "null,*"}, "has * (all origins) among others"},
		{"auth.mode", []string{"none", "JWT"}, "must be open, jwt or callback"},
		{"auth.jwt.secret", []string{"sesame\x01", strings.Repeat("sesame", 1000)}, "**** must be at most 4096 bytes of text"},
		{"auth.jwt.secret", []string{"****"}, "is the mask that config print shows"},
		{"auth.jwt.public_key", []string{"a\nb", "-----BEGIN nothing", "-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----"}, "must be the path of a PEM file, or PEM text"},
		{"auth.jwt.public_key", []string{"-----BEGIN PRIVATE KEY-----\nsesame\n-----END PRIVATE KEY-----"}, "**** is a private key"},
		{"auth.jwt.jwks", []string{"h", "file:///jwks"}, "must be an http:// or https:// address"},
		{"auth.jwt.algorithms", []string{"none", "HS512", "rs256"}, "must be a list of HS256, RS256, ES256 or EdDSA"},
		{"auth.jwt.issuer", []string{"a\nb", strings.Repeat("i", 1025)}, "must be at most 1024 bytes of text"},
		{"auth.jwt.audience", []string{"a\x01"}, "must be at most 1024 bytes of text"},
		{"auth.callback.url", []string{"h", "http://h/#f"}, "must be an http:// or https:// address"},
		{"auth.callback.timeout", []string{"0", "2m"}, "must be a duration from 1ms to 1m"},
		{"auth.login_timeout", []string{"0", "25h"}, "must be a duration from 1ms to 24h"},
		{"rooms.client_join", []string{"tokens", "ALLOW"}, "must be deny, token or allow"},
		{"webhook.url", []string{"h", "ftp://h/", "//h/", "http:///p", "http://h/#f", "http://h:x/", "http://h:70000/", "/p", "https//h"}, "must be an http:// or https:// address"},
		{"webhook.url", []string{"ftp://u:sesame@h/?sesame", "http://u:ses%ame@h/?k=sesame", "http:/u:sesame@h", "http://u:p/sesame@h:x/"}, "must be an http:// or https:// address"},
		{"webhook.format", []string{"xml"}, "must be json or form"},
		{"webhook.events", []string{"user.away"}, "must be a list of user.online or user.offline"},
		{"webhook.timeout", []string{"0", "2h"}, "must be a duration from 1ms to 1h"},
		{"webhook.batch", []string{"0", "-1", "1001", "many"}, "must be a whole number from 1 to 1000"},
		{"webhook.retention", []string{"0", "3 days", "10000h"}, "must be a duration from 1s to 8760h"},
		{"presence.restart_grace", []string{"-1s", "25h"}, "must be a duration from 0s to 24h"},
		{"store.path", []string{"a\x00b"}, "the path of a file"},
		{"drain.spread", []string{"-1s", "11m", "x"}, "a duration"},
		{"inbox.max_per_user", []string{"0", "-1", "100001", "many"}, "must be a whole number from 1 to 100000"},
		{"inbox.max_bytes", []string{"0", "1000", "2000000GiB"}, "must be a size from 1MiB to"},
		{"inbox.ttl", []string{"0", "-1h", "1 day", "10000h"}, "must be a duration from 1s to 8760h"},
		{"inbox.open", []string{"maybe"}, "must be true or false"},
		{"inbox.message_id", []string{"2"}, "must be true or false"},
		{"forward.events", []string{"login", "disconnect", "error", strings.Repeat("x", 256), "a\nb"}, "must be the name of an event that your pages emit"},
		{"forward.url", []string{"nowhere"}, "must be an http:// or https:// address"},
		{"forward.timeout", []string{"0", "11m"}, "must be a duration from 1ms to 10m"},
		{"cluster.redis", []string{
			"sesame", "http://h", "redis://", "redis://h:x", "redis://h:99999", "redis://h/one", "redis://h?db=1", "redis://u:sesame@h/sesame",
			"redis://u:sesame%@h", "redis://u:ses ame@h:6379:6380", "redis://h/-1",
		}, "**** must be redis:// or rediss:// (for TLS)"},
		{"cluster.redis", []string{"****"}, "is the mask that config print shows"},
		{"cluster.sentinels", []string{"h", ":26379", "h:x", "redis://h:1"}, "must be the host and port of a Sentinel"},
		{"cluster.sentinels", []string{"h:1,h:1"}, "is given twice"},
		{"cluster.sentinel_password", []string{"sesame\x01", strings.Repeat("sesame", 100)}, "**** must be at most 512 bytes of text"},
		{"cluster.sentinel_password", []string{"****"}, "is the mask that config print shows"},
		{"cluster.prefix", []string{"a b", "é", strings.Repeat("x", 65)}, "must be 1 to 64 visible ASCII characters"},
		{"cluster.node", []string{"a b", "a:b", strings.Repeat("x", 65)}, "must be at most 64 letters, digits"},
		{"cluster.advertise", []string{"h:1", "ftp://h", "http://", "http://h/p", "http://u@h", "http://h?q", "http://h:x", "http://0.0.0.0:1", "http://[::]:1"}, "must be http:// or https://, then host:port"},
		{"cluster.emitter_prefix", []string{"a#b", "a\nb", strings.Repeat("x", 256)}, "must be 1 to 255 bytes of text"},
		{"cluster.tls.ca", []string{"a\x00b"}, "must be the path of a file"},
		{"cluster.tls.cert", []string{"a\x00b"}, "must be the path of a file"},
		{"cluster.tls.key", []string{"a\x00b"}, "must be the path of a file"},
		{"presence.room_events", []string{"maybe"}, "must be true or false"},
		{"presence.offline_delay", []string{"-1s", "x"}, "must be a duration from 0s to 24h"},
		{"presence.count_event", []string{"none"}, "must be legacy, json or off"},
		{"socketio.poller", []string{"kqueue"}, "must be auto, epoll or goroutine"},
		{"presence.count_interval", []string{"0"}, "must be a duration from 1ms to 24h"},
		{"limits.connections", []string{"-1", "all", "3000000000"}, "must be auto or a whole number from 0 to"},
		{"limits.connections_per_ip", []string{"-1", "auto"}, "must be a whole number from 0 to"},
		{"limits.handshakes_per_ip", []string{"-1", "10/s"}, "must be a whole number from 0 to"},
		{"limits.events_per_second", []string{"-1", "2000000"}, "must be a whole number from 0 to"},
		{"limits.queue_bytes", []string{"0"}, "must be a size from"},
		{"limits.queue_total", []string{"-1", "all", "2TiB", "0.5"}, "must be auto or a size from 0 to"},
		{"limits.send_buffer", []string{"-1", "auto", "2GiB"}, "must be a size from"},
		{"limits.queue_messages", []string{"0", "1.5", "1k", "3000000000"}, "must be a whole number from 1 to"},
		{"recovery.clients", []string{"some", "ASK"}, "must be ask, all or off"},
		{"recovery.window", []string{"0", "25h"}, "must be a duration from 1ms to 24h"},
		{"recovery.max_messages", []string{"0", "3000000000"}, "must be a whole number from 1 to"},
		{"recovery.max_bytes", []string{"0", "2GiB"}, "must be a size from"},
		{"log.level", []string{"warning", "INFO+2"}, "must be debug, info, warn or error"},
		{"log.format", []string{"logfmt"}, "must be text or json"},
	}
	t.Chdir(t.TempDir())
	tried := make(map[string]bool)
	for _, test := range tests {
		tried[test.key] = true
		variable := envStart + strings.ToUpper(strings.ReplaceAll(test.key, ".", "_"))
		for _, bad := range test.bad {
			t.Run(test.key+" "+bad, func(t *testing.T) {
				_, err := Load(Sources{Environ: []string{variable + "=" + bad}})
				var mistakes Mistakes
				if !errors.As(err, &mistakes) {
					t.Fatalf("%q is taken: %v", bad, err)
				}
				line := mistakes[0].String()
				if len(mistakes) != 1 || mistakes[0].Key != test.key || !strings.Contains(line, test.want) || !strings.HasSuffix(line, "(env "+variable+")") {
					t.Errorf("got %v", err)
				}
				if strings.Contains(line, secretText) {
					t.Errorf("a secret is shown: %s", line)
				}
			})
		}
	}
	for _, s := range settings() {
		if !tried[s.key] && s.key != "tls.key" && s.key != "webhook.secrets" {
			t.Errorf("no bad value of %s is tried", s.key)
		}
	}
}

func TestMistakesOfSecrets(t *testing.T) {
	t.Chdir(t.TempDir())
	hook := "CRIER_WEBHOOK_URL=http://h/"
	bad := func(secrets, problem string) {
		t.Helper()
		expect(t, Sources{Environ: []string{hook, "CRIER_WEBHOOK_SECRETS=" + secrets}}, "webhook.secrets: **** "+problem+" (env CRIER_WEBHOOK_SECRETS)")
	}
	bad("whsec_sesame!", "must have base64 behind whsec_")
	bad("whsec_sesam", "must have base64 behind whsec_")
	bad("whsec_", "must have base64 behind whsec_")
	bad("open\x01sesame", "must be whsec_ and base64, or at most 512 bytes of text without control characters")
	bad("****", "is the mask that config print shows, not a secret")
	bad("sesame,sesame", "is given twice; once is enough")

	write(t, "blank", " \n\n")
	write(t, "long", strings.Repeat("sesame\n", 10000))
	file := func(path, shown, problem string) {
		t.Helper()
		expect(t, Sources{Environ: []string{"CRIER_API_KEYS_FILE=" + path}}, "api.keys_file: "+shown+" "+problem+" (env CRIER_API_KEYS_FILE)")
	}
	file("/nowhere/keys", `"/nowhere/keys"`, "cannot be read: no such file or directory")
	file("sesame", "****", "cannot be read: no such file or directory") // the secret itself, by mistake
	file(".", "****", "cannot be read: is a directory")
	file("blank", "****", "holds no secret: write one a line")
	file("long", "****", "is larger than 64KiB: a file of secrets has one a line")
	write(t, "two", "sesame\nother\n")
	expect(t, Sources{Environ: []string{"CRIER_AUTH_MODE=jwt", "CRIER_AUTH_JWT_SECRET_FILE=two"}},
		"auth.jwt.secret_file: **** holds several lines, but there is only one such secret (env CRIER_AUTH_JWT_SECRET_FILE)")
}

func TestMistakesTogether(t *testing.T) {
	t.Chdir(t.TempDir())
	tests := []struct {
		name    string
		environ []string
		want    string
	}{
		{"cert alone", []string{"CRIER_TLS_CERT=a.pem"}, `tls.cert: "a.pem" needs tls.key as well: native TLS takes both files, or neither (env CRIER_TLS_CERT)`},
		{"key alone", []string{"CRIER_TLS_KEY=a.pem"}, `tls.key: "a.pem" needs tls.cert as well: native TLS takes both files, or neither (env CRIER_TLS_KEY)`},
		{"one port without keys", []string{"CRIER_LISTEN=:2121"}, `listen: ":2121" is also api.listen: with everything on one port, api.keys must be set (env CRIER_LISTEN)`},
		{
			"one port, two addresses",
			[]string{"CRIER_API_LISTEN=127.0.0.1:2120", "CRIER_API_KEYS=sesame"},
			`listen: ":2120" takes the port of api.listen too: use another port, or the very same address for both (default)`,
		},
		{
			"jwt without a key",
			[]string{"CRIER_AUTH_MODE=jwt"},
			`auth.mode: "jwt" needs a key that checks tokens: auth.jwt.secret, auth.jwt.public_key or auth.jwt.jwks (env CRIER_AUTH_MODE)`,
		},
		{
			"jwt with a secret and a public key",
			[]string{"CRIER_AUTH_MODE=jwt", "CRIER_AUTH_JWT_SECRET=sesame", "CRIER_AUTH_JWT_PUBLIC_KEY=k"},
			`auth.mode: "jwt" needs one kind of key, but auth.jwt.public_key and auth.jwt.secret are given: leave out all but one (env CRIER_AUTH_MODE)`,
		},
		{
			"HS256 with a public key",
			[]string{"CRIER_AUTH_MODE=jwt", "CRIER_AUTH_JWT_PUBLIC_KEY=k", "CRIER_AUTH_JWT_ALGORITHMS=RS256,HS256"},
			`auth.jwt.algorithms: "RS256,HS256" must not have HS256 with a public key, which anybody could sign with: that one needs auth.jwt.secret (env CRIER_AUTH_JWT_ALGORITHMS)`,
		},
		{
			"RS256 with a secret",
			[]string{"CRIER_AUTH_MODE=jwt", "CRIER_AUTH_JWT_SECRET=sesame", "CRIER_AUTH_JWT_ALGORITHMS=RS256"},
			`auth.jwt.algorithms: "RS256" must be HS256 alone with auth.jwt.secret: the others need a public key (env CRIER_AUTH_JWT_ALGORITHMS)`,
		},
		{
			"a key without the mode",
			[]string{"CRIER_AUTH_JWT_SECRET=sesame"},
			`auth.jwt.secret: **** has no effect without auth.mode jwt: set that too, or leave this out (env CRIER_AUTH_JWT_SECRET)`,
		},
		{
			"callback without url",
			[]string{"CRIER_AUTH_MODE=callback"},
			`auth.mode: "callback" needs auth.callback.url, which says who a client is (env CRIER_AUTH_MODE)`,
		},
		{
			"url without callback",
			[]string{"CRIER_AUTH_CALLBACK_URL=http://h/?sesame"},
			`auth.callback.url: "http://h/?****" has no effect without auth.mode callback: set that too, or leave this out (env CRIER_AUTH_CALLBACK_URL)`,
		},
		{
			"a callback that outlasts the heartbeat",
			[]string{"CRIER_AUTH_MODE=callback", "CRIER_AUTH_CALLBACK_URL=http://h/", "CRIER_AUTH_CALLBACK_TIMEOUT=20s"},
			`auth.callback.timeout: "20s" must be less than socketio.ping_timeout: a connection answers no heartbeat while it is asked who it is (env CRIER_AUTH_CALLBACK_TIMEOUT)`,
		},
		{
			"login_timeout in the mode open",
			[]string{"CRIER_AUTH_LOGIN_TIMEOUT=5s"},
			`auth.login_timeout: "5s" has no effect in auth.mode open, where nobody needs to log in: set auth.mode to jwt or callback, or leave this out (env CRIER_AUTH_LOGIN_TIMEOUT)`,
		},
		{
			"forwarded to nowhere",
			[]string{"CRIER_FORWARD_EVENTS=chat"},
			`forward.events: "chat" needs forward.url, or webhook.url, where the events go (env CRIER_FORWARD_EVENTS)`,
		},
		{
			"nothing to forward",
			[]string{"CRIER_FORWARD_URL=http://h/"},
			`forward.url: "http://h/" has no effect without forward.events: name the events, or leave this out (env CRIER_FORWARD_URL)`,
		},
		{
			"no time for nothing",
			[]string{"CRIER_FORWARD_TIMEOUT=1s"},
			`forward.timeout: "1s" has no effect without forward.events: name the events, or leave this out (env CRIER_FORWARD_TIMEOUT)`,
		},
		{
			"Sentinels of nothing",
			[]string{"CRIER_CLUSTER_SENTINELS=h:1"},
			`cluster.sentinels: "h:1" has no effect without cluster.redis: set that too, or leave this out (env CRIER_CLUSTER_SENTINELS)`,
		},
		{
			"emitters without Redis",
			[]string{"CRIER_CLUSTER_EMITTER_PREFIX=x"},
			`cluster.emitter_prefix: "x" has no effect without cluster.redis: set that too, or leave this out (env CRIER_CLUSTER_EMITTER_PREFIX)`,
		},
		{
			"a password for no Sentinel",
			[]string{"CRIER_CLUSTER_REDIS=redis://h", "CRIER_CLUSTER_SENTINEL_PASSWORD=sesame"},
			`cluster.sentinel_password: **** has no effect without cluster.sentinels: set those too, or leave this out (env CRIER_CLUSTER_SENTINEL_PASSWORD)`,
		},
		{
			"a port for the name of a master",
			[]string{"CRIER_CLUSTER_REDIS=redis://:sesame@h:1", "CRIER_CLUSTER_SENTINELS=h:2"},
			`cluster.redis: **** must have the name of the master in the place of a host, without a port, since cluster.sentinels tell where it is (env CRIER_CLUSTER_REDIS)`,
		},
		{
			"authorities without TLS",
			[]string{"CRIER_CLUSTER_REDIS=redis://h", "CRIER_CLUSTER_TLS_CA=ca"},
			`cluster.tls.ca: "ca" has no effect without TLS: write rediss:// in cluster.redis, or leave this out (env CRIER_CLUSTER_TLS_CA)`,
		},
		{
			"authorities of nothing",
			[]string{"CRIER_CLUSTER_TLS_CA=ca"},
			`cluster.tls.ca: "ca" has no effect without cluster.redis: set that too, or leave this out (env CRIER_CLUSTER_TLS_CA)`,
		},
		{
			"a certificate without its key",
			[]string{"CRIER_CLUSTER_REDIS=rediss://h", "CRIER_CLUSTER_TLS_CERT=c"},
			`cluster.tls.cert: "c" needs cluster.tls.key as well: set both, or neither (env CRIER_CLUSTER_TLS_CERT)`,
		},
		{
			"a key without its certificate",
			[]string{"CRIER_CLUSTER_REDIS=rediss://h", "CRIER_CLUSTER_TLS_KEY=k"},
			`cluster.tls.key: "k" needs cluster.tls.cert as well: set both, or neither (env CRIER_CLUSTER_TLS_KEY)`,
		},
		{
			"rooms of tokens that are not",
			[]string{"CRIER_ROOMS_CLIENT_JOIN=token"},
			`rooms.client_join: "token" needs auth.mode jwt or callback: in the mode open there are no tokens that could name rooms (env CRIER_ROOMS_CLIENT_JOIN)`,
		},
		{
			"batches of forms",
			[]string{"CRIER_WEBHOOK_URL=http://h/", "CRIER_WEBHOOK_BATCH=2", "CRIER_WEBHOOK_FORMAT=form"},
			`webhook.batch: "2" must be 1 with webhook.format form, which has room for one callback: choose json, or leave this out (env CRIER_WEBHOOK_BATCH)`,
		},
		{
			"retention of nothing",
			[]string{"CRIER_WEBHOOK_RETENTION=1h"},
			`webhook.retention: "1h" has no effect without webhook.url: set that too, or leave this out (env CRIER_WEBHOOK_RETENTION)`,
		},
		{
			"an inbox without a store",
			[]string{"CRIER_STORE_PATH=memory", "CRIER_INBOX_OPEN=true"},
			`inbox.open: "true" has no effect without store.path: set that too, or leave this out (env CRIER_INBOX_OPEN)`,
		},
		{
			"restart_grace without a store",
			[]string{"CRIER_WEBHOOK_URL=http://h/", "CRIER_STORE_PATH=memory", "CRIER_PRESENCE_RESTART_GRACE=5s"},
			`presence.restart_grace: "5s" has no effect without webhook.url and store.path: set those too, or leave this out (env CRIER_PRESENCE_RESTART_GRACE)`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { expect(t, Sources{Environ: test.environ}, test.want) })
	}
	load(t, "", "CRIER_LISTEN=:2121", "CRIER_API_KEYS=k")
	write(t, "limited.yaml", "listen: ':2121'\napi: {keys: [{key: k, rights: push}]}\n")
	load(t, "limited.yaml")
	load(t, "", "CRIER_AUTH_MODE=callback", "CRIER_AUTH_CALLBACK_URL=http://h/", "CRIER_WEBHOOK_SECRETS=sesame", "CRIER_ROOMS_CLIENT_JOIN=token")
	load(t, "", "CRIER_AUTH_MODE=jwt", "CRIER_AUTH_JWT_JWKS=http://h/", "CRIER_AUTH_JWT_ALGORITHMS=RS256,EdDSA")
	load(t, "", "CRIER_CLUSTER_REDIS=rediss://master/1", "CRIER_CLUSTER_SENTINELS=a:1,b:1", "CRIER_CLUSTER_SENTINEL_PASSWORD=sesame", "CRIER_CLUSTER_TLS_CA=ca",
		"CRIER_CLUSTER_TLS_CERT=c", "CRIER_CLUSTER_TLS_KEY=k", "CRIER_CLUSTER_EMITTER_PREFIX=x")
	load(t, "", "CRIER_LISTEN=127.0.0.1:0", "CRIER_API_LISTEN=:0")
	load(t, "", "CRIER_FORWARD_EVENTS=chat", "CRIER_FORWARD_URL=http://h/", "CRIER_WEBHOOK_SECRETS=sesame")
	load(t, "", "CRIER_FORWARD_EVENTS=chat", "CRIER_WEBHOOK_URL=http://h/")
}

func TestUnknownNames(t *testing.T) {
	t.Chdir(t.TempDir())
	expect(t, Sources{Environ: []string{"CRIER_API_KEY=sesame", "CRIER_NONSENSE_OF_MINE=1", "CRIER_TLS_KEY_FILE=x"}, Flags: map[string][]string{"ping_timeout": {"1s"}, "api.keys": {"sesame"}}},
		"CRIER_API_KEY: is not the environment variable of a setting; did you mean CRIER_API_KEYS?",
		"CRIER_NONSENSE_OF_MINE: is not the environment variable of a setting",
		"CRIER_TLS_KEY_FILE: is not the environment variable of a setting; did you mean CRIER_TLS_KEY?",
		"--api.keys: is not a flag, since every user of the machine can read a command line: use --api.keys_file, CRIER_API_KEYS_FILE or CRIER_API_KEYS",
		"--ping_timeout: is not a flag; did you mean --socketio.ping_timeout?",
	)
	expect(t, Sources{File: "missing.yaml"}, `config file: "@" cannot be read: no such file or directory`)
	expect(t, Sources{File: "."}, `config file: "." cannot be read: is a directory`)
}

func TestRedact(t *testing.T) {
	tests := map[string]string{
		"https://h/p":                "https://h/p",
		"https://u:p@h/p":            "https://****@h/p",
		"https://u:p/q@h/":           "https://****@h/",
		"https://h/p?token=x":        "https://h/p?****",
		"https://u@h/p?a=b@c":        "https://****@h/p?****",
		"u:p@h":                      "****@h",
		"/path?a":                    "/path?a",
		"https://h/?":                "https://h/?",
		"capacitor://localhost":      "capacitor://localhost",
		"http://u:first@second@h/":   "http://****@h/",
		"no address at all, is here": "no address at all, is here",
	}
	for text, want := range tests {
		if got := redact(text); got != want {
			t.Errorf("redact(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestQuote(t *testing.T) {
	if got := quote("a\n\x1b"); got != `"a\n\x1b"` {
		t.Errorf("got %s", got)
	}
	long := strings.Repeat("é", 1000)
	if got := quote("x" + long); got != `"x`+strings.Repeat("é", 39)+`"…` {
		t.Errorf("got %s", got)
	}
}
