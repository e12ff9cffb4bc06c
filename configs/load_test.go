package configs

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// load loads a file and environment variables that must be right.
func load(t *testing.T, file string, environ ...string) *Loaded {
	t.Helper()
	loaded, err := Load(Sources{File: file, Environ: environ})
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// write makes a file of the working directory.
func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestPrecedence(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "crier.yaml", "listen: :1\napi: {listen: ':2', max_body: 1KB}\nsocketio: {ping_interval: 1s}\n")
	write(t, "other.yaml", "listen: :9\n")
	src := Sources{
		Environ: []string{"CRIER_API_LISTEN=:3", "CRIER_SOCKETIO_PING_INTERVAL=2s", "CRIER_API_MAX_BODY=", "HOME=/", "CRIER=x"},
		Flags:   map[string][]string{"socketio.ping_interval": {"3s", "4s"}, "api.hosts": {"A,b", "c"}},
	}
	loaded, err := Load(src)
	if err != nil {
		t.Fatal(err)
	}
	c := loaded.Config
	want := Default()
	want.Listen, want.API.Listen, want.API.MaxBody = ":1", ":3", 1000
	want.SocketIO.PingInterval, want.API.Hosts = 4*time.Second, []string{"a", "b", "c"}
	if !reflect.DeepEqual(c, want) {
		t.Error(difference(t, c, want))
	}
	for key, where := range map[string]string{
		"listen": "file crier.yaml:1", "api.listen": "env CRIER_API_LISTEN", "api.max_body": "file crier.yaml:2",
		"socketio.ping_interval": "flag --socketio.ping_interval", "log.level": "default",
	} {
		if got := loaded.origin(key); got != where {
			t.Errorf("%s comes from %q, want %q", key, got, where)
		}
	}
	if other := load(t, "other.yaml"); other.Config.Listen != ":9" || other.Config.API.MaxBody != Default().API.MaxBody || other.File != "other.yaml" {
		t.Errorf("with --config, got %q of %q, and crier.yaml besides", other.Config.Listen, other.File)
	}
}

func TestFileForms(t *testing.T) {
	tests := []struct {
		name, yaml string
		change     func(*Config)
	}{
		{"empty", "", func(*Config) {}},
		{"only comments", "# nothing\n", func(*Config) {}},
		{"null sections and settings", "tls:\napi: ~\nlisten:\nwebhook: {url: null}\n", func(*Config) {}},
		{"dotted keys", "socketio.path: /p/\napi.max_body: 5\n", func(c *Config) { c.SocketIO.Path, c.API.MaxBody = "/p/", 5 }},
		{"a list as text", "socketio: {transports: 'websocket, polling'}\n", func(c *Config) { c.SocketIO.Transports = []string{"websocket", "polling"} }},
		{"a key with a comma in a list", "api: {keys: ['a,b', c]}\n", func(c *Config) { c.API.Keys = []string{"a,b", "c"} }},
		{"off is a word", "presence: {count_event: off}\n", func(c *Config) { c.Presence.CountEvent = "off" }},
		{"no is a switch", "socketio: {allow_eio3: no}\n", func(c *Config) { c.SocketIO.AllowEIO3 = false }},
		{"anchors", "trusted_proxies: &nets [10.1.2.3/8, '::ffff:192.0.2.1']\napi: {allow: *nets}\n", func(c *Config) {
			nets := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.1/32")}
			c.TrustedProxies, c.API.Allow = nets, nets
		}},
		{"origins in their usual form", "origins: ['HTTPS://Shop.Example:443', 'http://h:8080', 'app://localhost', 'null']\n", func(c *Config) {
			c.Origins = []string{"https://shop.example", "http://h:8080", "app://localhost", "null"}
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "c.yaml")
			write(t, path, test.yaml)
			want := Default()
			test.change(want)
			if got := load(t, path).Config; !reflect.DeepEqual(got, want) {
				t.Error(difference(t, got, want))
			}
		})
	}
}

func TestSecretFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "keys", "  first \r\n\n# second\nthird,with comma\n")
	write(t, "good", "\nfirst\r\n second,third \n\n")
	write(t, "hooks", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3\nplain text\n")
	write(t, "crier.yaml", "api: {keys_file: good}\nwebhook: {url: 'http://h/', secrets_file: hooks}\n")
	keys := func(loaded *Loaded) string { return strings.Join(loaded.Config.API.Keys, "|") }

	loaded := load(t, "")
	if keys(loaded) != "first|second,third" || loaded.origin("api.keys") != "file crier.yaml:1" {
		t.Errorf("keys_file: %q from %s", keys(loaded), loaded.origin("api.keys"))
	}
	if got := strings.Join(loaded.Config.Webhook.Secrets, "|"); got != "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3|plain text" {
		t.Errorf("secrets_file: %q", got)
	}
	if got := keys(load(t, "", "CRIER_API_KEYS=a, b,")); got != "a|b" {
		t.Errorf("the environment wins: %q", got)
	}
	write(t, "env", "fromenv")
	loaded = load(t, "", "CRIER_API_KEYS_FILE=env")
	if keys(loaded) != "fromenv" || loaded.origin("api.keys") != "env CRIER_API_KEYS_FILE" {
		t.Errorf("_FILE: %q from %s", keys(loaded), loaded.origin("api.keys"))
	}
	flags, err := Load(Sources{Environ: []string{"CRIER_API_KEYS=a"}, Flags: map[string][]string{"api.keys_file": {"env"}}})
	if err != nil || keys(flags) != "fromenv" {
		t.Errorf("the flag wins: %v", err)
	}
	if _, err := Load(Sources{Environ: []string{"CRIER_API_KEYS_FILE=keys"}}); err == nil || strings.Count(err.Error(), "api.keys: ****") != 2 {
		t.Errorf("two of three lines are no keys: %v", err)
	}
}

func TestServiceVariables(t *testing.T) {
	t.Chdir(t.TempDir())
	load(t, "",
		"CRIER_SERVICE_HOST=10.0.0.1", "CRIER_SERVICE_PORT=2120", "CRIER_SERVICE_PORT_HTTP=2120", "CRIER_PORT=tcp://10.0.0.1:2120",
		"CRIER_PORT_2120_TCP=tcp://10.0.0.1:2120", "CRIER_PORT_2120_TCP_PROTO=tcp", "CRIER_PORT_2120_TCP_ADDR=10.0.0.1",
		"CRIER_PUSH_SERVICE_HOST=10.0.0.2", "CRIER_PUSH_PORT=udp://10.0.0.2:1")
	if _, err := Load(Sources{Environ: []string{"CRIER_PORT=2120", "CRIER_PORT_RANGE=1"}}); err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("CRIER_PORT=2120 is somebody's mistake, got %v", err)
	}
}

func TestPrint(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "crier.yaml", `
webhook: {url: "https://user:hunter2@example.com/hook?access_token=hunter3", secrets: [hunter4], events: [user.offline]}
api: {keys: ["hunter5", "hunter6"], allow: ["2001:db8::/32"]}
origins: "*"
socketio: {namespaces: ["/a b", "/c: #d", "/-"]}
presence: {count_event: "off"}
`)
	loaded := load(t, "", "CRIER_LOG_LEVEL=debug")
	var out bytes.Buffer
	if err := loaded.Print(&out); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "hunter") {
		t.Errorf("a secret is printed:\n%s", out.String())
	}
	for _, want := range []string{
		`  keys: ['****', '****'] # file crier.yaml:3`, `  url: https://****@example.com/hook?**** # file crier.yaml:2`,
		`  level: debug # env CRIER_LOG_LEVEL`, `listen: :2120 # default`, `origins: ['*'] # file crier.yaml:4`,
	} {
		if !strings.Contains(oneSpace(out.String()), want) {
			t.Errorf("lacks %q:\n%s", want, out.String())
		}
	}

	// What is printed loads again, but for the secrets, which are masks.
	write(t, "again.yaml", out.String())
	_, err := Load(Sources{File: "again.yaml"})
	if err == nil || !strings.Contains(err.Error(), "is the mask that config print shows") {
		t.Errorf("masks are taken for secrets: %v", err)
	}
	safe := strings.NewReplacer(`['****', '****']`, "[hunter5, hunter6]", `['****']`, "[hunter4]",
		"****@", "user:hunter2@", "?****", "?access_token=hunter3").Replace(out.String())
	write(t, "again.yaml", safe)
	if again := load(t, "again.yaml"); !reflect.DeepEqual(again.Config, loaded.Config) {
		t.Error(difference(t, again.Config, loaded.Config))
	}
}

// oneSpace makes the blanks before each comment one.
func oneSpace(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		setting, comment, _ := strings.Cut(line, " # ")
		out.WriteString(strings.TrimRight(setting, " ") + " # " + comment)
	}
	return out.String()
}

// FuzzFile: no YAML makes the reader fail otherwise than by mistakes of one line each.
func FuzzFile(f *testing.F) {
	example, err := os.ReadFile("crier.example.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(example)
	for _, seed := range []string{"a: &a [*a]", "api: &x {keys: *x}", "? [a]\n: b", "<<: {listen: x}", "- a", "api: {keys: [{key: x}]}", "api: {keys: [x, {key: x, rights: 'push,read', audience: a, rate: 1.5/m}, {kee: &a [*a]}]}", "a: 1\n---\nb: 2"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		layer, mistakes := parseFile("f", data)
		l := &Loaded{Config: Default(), from: make(map[string]string)}
		for _, s := range settings() {
			if !s.secret || layer[s.key+fileKey].items == nil && !slices.ContainsFunc(layer[s.key].entries, func(e entry) bool { return e.file != "" }) { // no file is read
				mistakes = append(mistakes, l.apply(s, layer)...)
			}
		}
		for _, m := range mistakes {
			if line := m.String(); strings.ContainsAny(line, "\n\r") || m.Problem == "" || m.Key == "" {
				t.Errorf("mistake %q", line)
			}
		}
	})
}

// An empty path is no store, and neither is the word for it, which the environment needs.
func TestNoStore(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "empty.yaml", "store: {path: ''}\n")
	write(t, "word.yaml", "store: {path: memory}\n")
	for _, loaded := range []*Loaded{load(t, "empty.yaml"), load(t, "word.yaml"), load(t, "", "CRIER_STORE_PATH=memory")} {
		if got := loaded.Config.Store.Path; got != "" {
			t.Errorf("the path is %q", got)
		}
	}
}
