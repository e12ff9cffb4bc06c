package doctor

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"crier/configs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// canary must be in no finding.
const canary = "p4ssw0rd-p4ssw0rd"

// only fails the test unless all findings are these: grade, about, and what the text has.
func only(t *testing.T, all []Finding, want ...Finding) {
	t.Helper()
	for i, f := range all {
		if strings.Contains(f.Text, canary) || strings.Contains(f.Text, "\n") {
			t.Errorf("%+v shows a secret, or has several lines", f)
		}
		if i >= len(want) {
			t.Errorf("also: %+v", f)
		} else if w := want[i]; f.Grade != w.Grade || f.About != w.About || !strings.Contains(f.Text, w.Text) {
			t.Errorf("got %+v, want %+v", f, w)
		}
	}
	if len(all) < len(want) {
		t.Errorf("missing: %+v", want[len(all):])
	}
}

// answering runs a server that answers everything.
func answering(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s
}

// says answers with a status and a body.
func says(t *testing.T, status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		if _, err := io.WriteString(w, body); err != nil {
			t.Error(err)
		}
	}
}

func TestPorts(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := silent.Addr().String()
	if err := silent.Close(); err != nil {
		t.Fatal(err)
	}
	addr := func(s *httptest.Server) string { return s.Listener.Addr().String() }
	secure := httptest.NewTLSServer(says(t, http.StatusOK, "ok"))
	defer secure.Close()
	for _, test := range []struct {
		name    string
		port    port
		look    Finding
		running string // why not; "" for ready
	}{
		{"free", port{addr: free}, Finding{Grade: Fine, Text: free + " is free"}, "connection refused"},
		{"ours", port{addr: addr(answering(t, says(t, http.StatusOK, "ok")))}, Finding{Grade: Fine, Text: "is Crier's"}, ""},
		{"ours, with TLS", port{addr: addr(secure), tls: true}, Finding{Grade: Fine, Text: "is Crier's"}, ""},
		{"stopping", port{addr: addr(answering(t, says(t, http.StatusServiceUnavailable, "")))}, Finding{Grade: Wrong, Text: "another program uses this port"}, "it is stopping"},
		{"another program's", port{addr: addr(answering(t, says(t, http.StatusOK, "<html>")))}, Finding{Grade: Wrong, Text: "another program uses this port"}, "as no Crier does"},
		{"no address of ours", port{addr: "192.0.2.1:2120"}, Finding{Grade: Wrong, Text: "no such address"}, "-"},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.port.setting, test.look.About = "listen", "listen"
			only(t, []Finding{test.port.look(t.Context())}, test.look)
			if test.running == "-" {
				return
			}
			err := test.port.ready(t.Context())
			if test.running == "" && err != nil || test.running != "" && (err == nil || !strings.Contains(err.Error(), test.running)) {
				t.Errorf("ready: %v, want %q", err, test.running)
			}
		})
	}
}

func TestRunning(t *testing.T) {
	cfg := configs.Default()
	cfg.Listen = answering(t, says(t, http.StatusOK, "ok")).Listener.Addr().String()
	cfg.API.Listen = answering(t, says(t, http.StatusServiceUnavailable, "")).Listener.Addr().String()
	only(t, Running(t.Context(), cfg), Finding{Fine, "listen", "is ready"}, Finding{Wrong, "api.listen", "stopping"})
	cfg.API.Listen = cfg.Listen
	only(t, Running(t.Context(), cfg), Finding{Fine, "listen", "is ready"})
}

func TestAddresses(t *testing.T) {
	for addr, want := range map[string]struct {
		local  string
		public bool
	}{
		":2120":          {"127.0.0.1:2120", true},
		"0.0.0.0:2120":   {"127.0.0.1:2120", true},
		"[::]:2120":      {"[::1]:2120", true},
		"127.0.0.3:2120": {"127.0.0.3:2120", false},
		"[::1]:2120":     {"[::1]:2120", false},
		"localhost:2120": {"localhost:2120", false},
		"10.0.0.1:2120":  {"10.0.0.1:2120", true},
		"shop.test:2120": {"shop.test:2120", true},
	} {
		if l, p := local(addr), public(addr); l != want.local || p != want.public {
			t.Errorf("%s: called at %s, public: %v; want %+v", addr, l, p, want)
		}
	}
}

func TestSettings(t *testing.T) {
	quiet := func() *configs.Config { // nothing to complain of
		c := configs.Default()
		c.Listen = "127.0.0.1:2120"
		c.API.Keys = []string{canary}
		return c
	}
	everywhere := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::/0")}
	for _, test := range []struct {
		name   string
		change func(*configs.Config)
		want   []Finding
	}{
		{"quiet", func(*configs.Config) {}, nil},
		{"a public address", func(c *configs.Config) { c.Listen = ":2120" }, []Finding{{Warning, "auth.mode", "open"}, {Warning, "tls.cert", "none"}}},
		{"behind a proxy", func(c *configs.Config) { c.Listen, c.Auth.Mode, c.TrustedProxies = ":2120", "jwt", everywhere[:1] }, nil},
		{"no limit of what waits", func(c *configs.Config) {
			c.Listen, c.Auth.Mode, c.TrustedProxies, c.Limits.QueueTotal = ":2120", "jwt", everywhere[:1], 0
		}, []Finding{{Warning, "limits.queue_total", "set auto"}}},
		{"cookies of every page", func(c *configs.Config) {
			c.Auth.Mode, c.Origins, c.Webhook.Secrets = "callback", []string{"*"}, []string{canary}
		}, []Finding{{Warning, "origins", "*"}}},
		{"everybody may push", func(c *configs.Config) { c.API.Allow = everywhere }, []Finding{{Wrong, "api.allow", "::/0: everybody may push"}}},
		{"everybody is a proxy", func(c *configs.Config) { c.TrustedProxies = everywhere }, []Finding{{Wrong, "trusted_proxies", "::/0: everybody"}}},
		{"no keys", func(c *configs.Config) { c.API.Keys = nil }, []Finding{{Warning, "api.keys", "none"}}},
		{"networks instead", func(c *configs.Config) { c.API.Keys, c.API.Allow = nil, everywhere[:1] }, nil},
		{"short keys", func(c *configs.Config) {
			c.API.Keys, c.API.Limited = append(c.API.Keys, "sesame"), []configs.APIKey{{Key: "short"}}
		}, []Finding{{Warning, "api.keys", "2 of 3"}}},
		{"unsigned", func(c *configs.Config) { c.Webhook.URL = "https://shop.test/" }, []Finding{{Warning, "webhook.secrets", "none"}}},
		{"unsigned, forwarded", func(c *configs.Config) { c.Forward.Events = []string{"x"} }, []Finding{{Warning, "webhook.secrets", "none"}}},
		{"callbacks in memory", func(c *configs.Config) {
			c.Webhook.URL, c.Webhook.Secrets, c.Store.Path = "https://shop.test/", []string{canary}, ""
		}, []Finding{{Warning, "store.path", "lost"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := quiet()
			test.change(cfg)
			only(t, append(exposed(cfg), keys(cfg)...), test.want...)
		})
	}
}

func TestPlace(t *testing.T) {
	dir := t.TempDir()
	full := filepath.Join(dir, "store.db")
	if err := os.WriteFile(full, []byte("as it was"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, path string
		wrong      string // "": nothing
	}{
		{"memory", "", ""},
		{"new", filepath.Join(dir, "new.db"), ""},
		{"new, in new folders", filepath.Join(dir, "a", "b", "new.db"), ""},
		{"there", full, ""},
		{"below a file", filepath.Join(full, "a", "new.db"), "not a directory"},
		{"in a file", filepath.Join(full, "new.db"), "is not a folder"},
		{"a folder", dir, "is a directory"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := configs.Default()
			cfg.Store.Path = test.path
			all := place(cfg)
			if test.wrong != "" {
				only(t, all, Finding{Wrong, "store.path", test.wrong})
			} else if test.path == "" {
				only(t, all)
			} else if len(all) != 1 || strings.Contains(all[0].Text, "the right to write") {
				t.Errorf("got %+v", all)
			}
		})
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if text, err := os.ReadFile(full); err != nil || string(text) != "as it was" {
		t.Errorf("the store is %q, %v", text, err)
	}
}
