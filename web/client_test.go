package web

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestClientServed(t *testing.T) {
	tree := fakeClient(t)
	s := newSite(t, Options{Client: tree, SocketIOPath: "/push/io/"})
	if !s.HasClient() || s.ClientNotice() != "" {
		t.Fatalf("HasClient %v, ClientNotice %q", s.HasClient(), s.ClientNotice())
	}
	wantPaths := []string{
		"/push/io/socket.io.esm.min.js", "/push/io/socket.io.js",
		"/push/io/socket.io.min.js", "/push/io/socket.io.msgpack.min.js",
	}
	if got := s.ClientPaths(); !slices.Equal(got, wantPaths) {
		t.Errorf("ClientPaths %q", got)
	}
	cases := []struct{ target, file, etag string }{
		{"/push/io/socket.io.js", "4/socket.io.js", `"4.0.1"`},
		{"/push/io/socket.io.js?v=4", "4/socket.io.js", `"4.0.1"`},
		{"/push/io/socket.io.js?v=2", "2/socket.io.js", `"2.0.1"`},
		{"/push/io/socket.io.min.js", "4/socket.io.min.js", `"4.0.1"`},
		{"/push/io/socket.io.min.js?v=2", "4/socket.io.min.js", `"4.0.1"`},
		{"/push/io/socket.io.esm.min.js", "4/socket.io.esm.min.js", `"4.0.1"`},
		{"/push/io/socket.io.msgpack.min.js", "4/socket.io.msgpack.min.js", `"4.0.1"`},
	}
	for _, c := range cases {
		t.Run(c.target, func(t *testing.T) {
			for _, encoding := range []string{"identity", "gzip"} {
				res := ask(t, s.Client(), "GET", c.target, "Accept-Encoding", encoding, "If-None-Match", `"3.0.0"`)
				if res.StatusCode != 200 {
					t.Fatalf("status %d", res.StatusCode)
				}
				wantHeader(t, res, "ETag", c.etag)
				wantHeader(t, res, "Content-Type", "application/javascript; charset=utf-8")
				wantHeader(t, res, "Cache-Control", "public, max-age=0")
				wantHeader(t, res, "X-Content-Type-Options", "nosniff")
				wantHeader(t, res, "Access-Control-Allow-Origin", "*")
				if got := body(t, res); got != string(tree[c.file].Data) {
					t.Errorf("%s: got %.40q…", encoding, got)
				}
			}
		})
	}
}

func TestClientNotModified(t *testing.T) {
	s := newSite(t, Options{Client: fakeClient(t)})
	cases := []struct {
		header string
		status int
	}{
		{`"4.0.1"`, 304},
		{`W/"4.0.1"`, 304},
		{`"3.1.3", "4.0.1"`, 304},
		{`*`, 304},
		{`"4.0.10"`, 200},
		{`4.0.1`, 200},
		{`"2.0.1"`, 200},
	}
	for _, c := range cases {
		t.Run(c.header, func(t *testing.T) {
			res := ask(t, s.Client(), "GET", "/socket.io/socket.io.js", "If-None-Match", c.header)
			if res.StatusCode != c.status {
				t.Fatalf("status %d, want %d", res.StatusCode, c.status)
			}
			wantHeader(t, res, "ETag", `"4.0.1"`)
			if got := body(t, res); (c.status == 304) != (got == "") {
				t.Errorf("%d bytes of body", len(got))
			}
		})
	}
}

func TestClientRefuses(t *testing.T) {
	s := newSite(t, Options{Client: fakeClient(t)})
	cases := []struct {
		method, target string
		status         int
	}{
		{"GET", "/socket.io/", 404},
		{"GET", "/socket.io/socket.io.js.map", 404},
		{"GET", "/socket.io/release.json", 404},
		{"GET", "/other/socket.io.js", 404},
		{"POST", "/socket.io/socket.io.js", 405},
	}
	for _, c := range cases {
		t.Run(c.method+" "+c.target, func(t *testing.T) {
			if res := ask(t, s.Client(), c.method, c.target); res.StatusCode != c.status {
				t.Errorf("status %d, want %d", res.StatusCode, c.status)
			}
		})
	}
}

func TestClientMissing(t *testing.T) {
	s := newSite(t, Options{Client: fstest.MapFS{"README.md": {Data: []byte("empty")}}})
	if s.HasClient() {
		t.Fatal("HasClient without files")
	}
	if got := s.ClientNotice(); !strings.Contains(got, "cdn.jsdelivr.net") || !strings.Contains(got, "npm run build") || strings.Contains(got, "\n") {
		t.Errorf("ClientNotice %q", got)
	}
	v4, v2 := s.ClientVersions()
	cases := []struct{ target, location string }{
		{"/socket.io/socket.io.js", "https://cdn.jsdelivr.net/npm/socket.io-client@" + v4 + "/dist/socket.io.js"},
		{"/socket.io/socket.io.esm.min.js", "https://cdn.jsdelivr.net/npm/socket.io-client@" + v4 + "/dist/socket.io.esm.min.js"},
		{"/socket.io/socket.io.js?v=2", "https://cdn.jsdelivr.net/npm/socket.io-client@" + v2 + "/dist/socket.io.js"},
	}
	for _, c := range cases {
		t.Run(c.target, func(t *testing.T) {
			res := ask(t, s.Client(), "GET", c.target)
			if res.StatusCode != http.StatusFound {
				t.Fatalf("status %d, want 302", res.StatusCode)
			}
			wantHeader(t, res, "Location", c.location)
			wantHeader(t, res, "Cache-Control", "no-store")
			wantHeader(t, res, "Access-Control-Allow-Origin", "*")
		})
	}
	if res := ask(t, s.Client(), "GET", "/socket.io/x.js"); res.StatusCode != 404 {
		t.Errorf("unknown file: status %d, want 404", res.StatusCode)
	}
}

// TestPinned holds release.json, package.json and package-lock.json together.
func TestPinned(t *testing.T) {
	var manifest struct{ Dependencies map[string]string }
	var lock struct {
		Packages map[string]struct{ Version, Resolved, Integrity string }
	}
	readJSON(t, "package.json", &manifest)
	readJSON(t, "package-lock.json", &lock)
	v4, v2 := newSite(t, Options{Client: fstest.MapFS{}}).ClientVersions()
	for name, want := range map[string]struct{ dependency, version string }{
		"socket.io-client":   {v4, v4},
		"socket.io-client-2": {"npm:socket.io-client@" + v2, v2},
	} {
		if got := manifest.Dependencies[name]; got != want.dependency {
			t.Errorf("package.json pins %s to %q, release.json to %q: npm run pin", name, got, want.dependency)
		}
		if got := lock.Packages["node_modules/"+name].Version; got != want.version {
			t.Errorf("package-lock.json has %s %q, release.json %q: npm run pin", name, got, want.version)
		}
	}
	if len(lock.Packages) < 3 {
		t.Fatalf("package-lock.json names %d packages", len(lock.Packages))
	}
	for name, p := range lock.Packages {
		if p.Resolved != "" {
			t.Errorf("package-lock.json ties %s to one registry: %s", name, p.Resolved)
		}
		if name != "" && p.Integrity == "" {
			t.Errorf("package-lock.json has no integrity of %s", name)
		}
	}
}

// TestThisBuild: what lies in client/ is embedded, whether that is the client
// or nothing.
func TestThisBuild(t *testing.T) {
	s := newSite(t, Options{})
	_, err := os.Stat("client/release.json")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if got, want := s.HasClient(), err == nil; got != want {
		t.Fatalf("HasClient %v, want %v", got, want)
	}
	if !s.HasClient() {
		return
	}
	for _, p := range s.ClientPaths() {
		if got := body(t, ask(t, s.Client(), "GET", p)); !strings.Contains(got, "Socket.IO v4.") {
			t.Errorf("%s: %.60q", p, got)
		}
	}
}

func readJSON(t *testing.T, name string, v any) {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}
