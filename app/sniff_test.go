package app

import (
	"net/http"
	"strings"
	"testing"

	"crier/configs"
)

// No answer of either port is taken for another kind of thing than it says it is, whatever somebody has put into it: each has a
// type, and forbids to guess (WHATWG MIME Sniffing).
func TestNothingIsGuessed(t *testing.T) {
	p := start(t, func(c *configs.Config) { c.API.Keys = []string{"sesame"} })
	const script = "<script>alert(1)</script>"
	for _, port := range []struct {
		addr  string
		paths []string
	}{
		{p.Addr(), []string{
			"/", "/" + script, "/demo/" + script, "/crier.js", "/socket.io/socket.io.js", "/socket.io/", "/socket.io/?EIO=4&transport=polling",
			"/socket.io/?EIO=4&transport=" + script, "/socket.io/?EIO=4&transport=polling&sid=" + script, "/socket.io/?EIO=3&transport=polling&j=0", "/socket.io/1/", "/socket.io/?EIO=4&transport=websocket",
			"/ws", "/comet?uid=7&wait=0", "/comet?uid=7&wait=0&callback=f", "/comet?uid=7&wait=" + script, "/comet?callback=" + script, "/sse?uid=" + strings.Repeat("u", 300),
			"/sockjs/info", "/sockjs/000/a/" + script, "/sockjs/iframe.html", "/healthz", "/readyz",
		}},
		{p.PushAddr(), []string{
			"/", "/?type=publish&to=7&content=" + script, "/?type=publish&to=7&content=" + script + "&key=sesame", "/" + script + "?key=sesame", "/v1/stats", "/v1/users/" + script, "/v1/" + script,
			"/openapi.json", "/docs", "/docs/" + script, "/metrics", "/debug/pprof/", "/admin/", "/admin/" + script, "/admin/api/stats", "/healthz", "/readyz",
		}},
	} {
		for _, path := range port.paths {
			for _, key := range []string{"", "sesame"} {
				a := p.do(http.MethodGet, "http://"+port.addr+strings.NewReplacer("<", "%3C", ">", "%3E").Replace(path), "", "X-Api-Key", key)
				switch a.body {
				case "", "ok", "offline", "fail": // nothing to guess, and pushes are many
					continue
				}
				kind := a.header.Get("Content-Type")
				if kind == "" || a.header.Get("X-Content-Type-Options") != "nosniff" {
					t.Errorf("%s: %d, a %q that may be guessed: %.80q", path, a.status, kind, a.body)
				}
				if strings.HasPrefix(kind, "text/html") && strings.Contains(a.body, script) {
					t.Errorf("%s: %d, the page has what was asked for in it", path, a.status)
				}
			}
		}
	}
}

// Answers without an end, and those to what is posted, keep to it too.
func TestNothingIsGuessedOfStreams(t *testing.T) {
	p := start(t, nil)
	for _, c := range []struct{ method, addr, path, body string }{
		{"GET", p.Addr(), "/sse?uid=7", ""},
		{"GET", p.Addr(), "/sockjs/000/stream/eventsource", ""},
		{"POST", p.Addr(), "/sockjs/000/streaming/xhr_streaming", ""},
		{"POST", p.Addr(), "/sockjs/000/polls/xhr", ""},
		{"POST", p.Addr(), "/sockjs/000/polls/xhr_send", "<script>"},
		{"POST", p.Addr(), "/sockjs/000/nobody/xhr_send", "[]"},
		{"POST", p.Addr(), "/socket.io/?EIO=4&transport=polling", "<script>"},
		{"POST", p.PushAddr(), "/admin/session", "<script>"},
		{"POST", p.PushAddr(), "/v1/push", "<script>"},
		{"POST", p.PushAddr(), "/v1/push/batch", "[1]"},
		{"GET", p.PushAddr(), "/v1/stats/live", ""},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, "http://"+c.addr+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := p.http.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
		bodiless := resp.StatusCode == http.StatusNoContent
		if kind := resp.Header.Get("Content-Type"); !bodiless && kind == "" || resp.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s %s: %d, a %q that may be guessed: %v", c.method, c.path, resp.StatusCode, kind, resp.Header)
		}
	}
}
