package web

import (
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

// fakeClient is a Client tree of short files: version 4.0.1 and 2.0.1.
func fakeClient(t *testing.T) fstest.MapFS {
	t.Helper()
	tree := fstest.MapFS{}
	var rel releases
	rel.V4 = release{Version: "4.0.1", Files: map[string]string{}}
	rel.V2 = release{Version: "2.0.1", Files: map[string]string{}}
	add := func(dir, name string, files map[string]string) {
		body := []byte(strings.Repeat("// "+dir+" "+name+"\n", 50))
		sum := sha512.Sum384(body)
		files[name] = "sha384-" + base64.StdEncoding.EncodeToString(sum[:])
		tree[dir+"/"+name] = &fstest.MapFile{Data: body}
	}
	for _, name := range []string{"socket.io.js", "socket.io.min.js", "socket.io.esm.min.js", "socket.io.msgpack.min.js"} {
		add("4", name, rel.V4.Files)
	}
	add("2", "socket.io.js", rel.V2.Files)
	manifest, err := json.Marshal(rel)
	if err != nil {
		t.Fatal(err)
	}
	tree["release.json"] = &fstest.MapFile{Data: manifest}
	return tree
}

func newSite(t *testing.T, o Options) *Site {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return s
}

// ask sends one request to h; headers are pairs.
func ask(t *testing.T, h http.Handler, method, target string, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, res *http.Response) string {
	t.Helper()
	var r io.Reader = res.Body
	if res.Header.Get("Content-Encoding") == "gzip" {
		zr, err := gzip.NewReader(res.Body)
		if err != nil {
			t.Fatalf("gzip: %v", err)
		}
		r = zr
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("reading: %v", err)
	}
	return string(b)
}

func wantHeader(t *testing.T, res *http.Response, name, want string) {
	t.Helper()
	if got := strings.Join(res.Header.Values(name), ", "); got != want {
		t.Errorf("%s: %q, want %q", name, got, want)
	}
}

func TestOptions(t *testing.T) {
	broken := fakeClient(t)
	broken["4/socket.io.js"] = &fstest.MapFile{Data: []byte("something else")}
	missing := fakeClient(t)
	delete(missing, "2/socket.io.js")

	cases := []struct {
		name    string
		options Options
		caller  bool // the error wraps ErrOptions
	}{
		{"no first slash", Options{SocketIOPath: "socket.io/"}, true},
		{"no last slash", Options{SocketIOPath: "/socket.io"}, true},
		{"another host", Options{SocketIOPath: "//evil.example/"}, true},
		{"root", Options{SocketIOPath: "/"}, true},
		{"markup", Options{SocketIOPath: "/<b>/"}, true},
		{"pattern", Options{SocketIOPath: "/{x}/"}, true},
		{"query", Options{SocketIOPath: "/a?b/"}, true},
		{"push address", Options{Push: Push{Addr: "2121"}}, true},
		{"push port", Options{Push: Push{Addr: "127.0.0.1:0"}}, true},
		{"access", Options{Push: Push{Access: "everybody"}}, true},
		{"file of another release", Options{Client: broken}, true},
		{"file missing", Options{Client: missing}, false},
		{"empty release", Options{Client: fstest.MapFS{"release.json": {Data: []byte("{}")}}}, true},
		{"unreadable release", Options{Client: fstest.MapFS{"release.json": {Data: []byte("{")}}}, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s, err := New(c.options)
			if err == nil || s != nil {
				t.Fatalf("New gave %v, %v; want an error", s, err)
			}
			if got := errors.Is(err, ErrOptions); got != c.caller {
				t.Errorf("errors.Is(%v, ErrOptions) = %v", err, got)
			}
		})
	}
}

func TestRoutes(t *testing.T) {
	s := newSite(t, Options{Client: fakeClient(t)})
	cases := []struct {
		method, target string
		status         int
		contentType    string
	}{
		{"GET", "/", 200, "text/html; charset=utf-8"},
		{"HEAD", "/", 200, "text/html; charset=utf-8"},
		{"GET", "/?uid=x&lang=zh", 200, "text/html; charset=utf-8"},
		{"GET", "/demo/demo.css", 200, "text/css; charset=utf-8"},
		{"GET", "/demo/demo.js", 200, "text/javascript; charset=utf-8"},
		{"GET", "/demo/inbox.js", 200, "text/javascript; charset=utf-8"},
		{"GET", "/favicon.svg", 200, "image/svg+xml"},
		{"GET", "/favicon.ico", 200, "image/svg+xml"},
		{"GET", "/demo/page.html", 404, "text/plain; charset=utf-8"},
		{"GET", "/demo/en.json", 404, "text/plain; charset=utf-8"},
		{"GET", "/demo/../web.go", 404, "text/plain; charset=utf-8"},
		{"GET", "/nothing", 404, "text/plain; charset=utf-8"},
		{"POST", "/", 405, "text/plain; charset=utf-8"},
	}
	for _, c := range cases {
		t.Run(c.method+" "+c.target, func(t *testing.T) {
			res := ask(t, s, c.method, c.target)
			if res.StatusCode != c.status {
				t.Errorf("status %d, want %d", res.StatusCode, c.status)
			}
			wantHeader(t, res, "Content-Type", c.contentType)
			wantHeader(t, res, "X-Content-Type-Options", "nosniff")
			got := body(t, res)
			if (c.method == "HEAD") != (got == "") {
				t.Errorf("%d bytes of body for %s", len(got), c.method)
			}
		})
	}
}

func TestAssetsRevalidate(t *testing.T) {
	s := newSite(t, Options{Client: fakeClient(t)})
	for _, target := range []string{"/", "/demo/demo.js", "/demo/demo.css", "/favicon.svg"} {
		t.Run(target, func(t *testing.T) {
			first := ask(t, s, "GET", target)
			wantHeader(t, first, "Cache-Control", "no-cache")
			etag := first.Header.Get("ETag")
			if len(etag) < 10 || etag[0] != '"' {
				t.Fatalf("ETag %q", etag)
			}
			again := ask(t, s, "GET", target, "If-None-Match", etag)
			if again.StatusCode != http.StatusNotModified || body(t, again) != "" {
				t.Errorf("status %d, want 304 without a body", again.StatusCode)
			}
			if changed := ask(t, s, "GET", target, "If-None-Match", `"other"`); changed.StatusCode != 200 {
				t.Errorf("status %d for another ETag, want 200", changed.StatusCode)
			}
		})
	}
	if ask(t, s, "GET", "/?lang=en").Header.Get("ETag") == ask(t, s, "GET", "/?lang=zh").Header.Get("ETag") {
		t.Error("both languages have one ETag")
	}
}

func TestGzip(t *testing.T) {
	s := newSite(t, Options{Client: fakeClient(t)})
	plain := body(t, ask(t, s, "GET", "/demo/demo.css"))
	cases := []struct {
		accept string
		gzip   bool
	}{
		{"", false},
		{"gzip", true},
		{"br, GZIP;q=0.5", true},
		{"x-gzip", true},
		{"*", true},
		{"*;q=0", false},
		{"gzip;q=0, *", false},
		{"br, deflate", false},
		{"gzip;q=nonsense", false},
	}
	for _, c := range cases {
		t.Run(c.accept, func(t *testing.T) {
			res := ask(t, s, "GET", "/demo/demo.css", "Accept-Encoding", c.accept)
			if got := res.Header.Get("Content-Encoding") == "gzip"; got != c.gzip {
				t.Errorf("gzip %v, want %v", got, c.gzip)
			}
			wantHeader(t, res, "Vary", "Accept-Encoding")
			if got := body(t, res); got != plain {
				t.Errorf("%d bytes, want the %d plain ones", len(got), len(plain))
			}
		})
	}
}
