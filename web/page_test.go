package web

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestPageLanguage(t *testing.T) {
	s := newSite(t, Options{Client: fakeClient(t)})
	cases := []struct {
		name, target string
		accept       []string
		want         language
	}{
		{"none", "/", nil, english},
		{"Chinese browser", "/", []string{"zh-CN,zh;q=0.9,en;q=0.8"}, chinese},
		{"English browser", "/", []string{"en-US,en;q=0.9,zh-CN;q=0.8"}, english},
		{"traditional", "/", []string{"zh-Hant-TW"}, chinese},
		{"by weight", "/", []string{"en;q=0.3, zh;q=0.4"}, chinese},
		{"tie", "/", []string{"zh;q=0.5, en;q=0.5"}, chinese},
		{"another language first", "/", []string{"fr, zh;q=0.2"}, chinese},
		{"neither", "/", []string{"fr, de"}, english},
		{"refused", "/", []string{"zh;q=0"}, english},
		{"any", "/", []string{"*"}, english},
		{"two lines", "/", []string{"fr", "ZH-cn"}, chinese},
		{"bad weight", "/", []string{"zh;q=2, en;q=0.1"}, english},
		{"asked for", "/?lang=zh", []string{"en"}, chinese},
		{"asked for the other", "/?lang=en", []string{"zh"}, english},
		{"asked for nonsense", "/?lang=xx", []string{"zh"}, chinese},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var headers []string
			for _, a := range c.accept {
				headers = append(headers, "Accept-Language", a)
			}
			res := ask(t, s, "GET", c.target, headers...)
			wantHeader(t, res, "Content-Language", string(c.want))
			wantHeader(t, res, "Vary", "Accept-Language, Accept-Encoding")
			page := body(t, res)
			if !strings.Contains(page, `<html lang="`+string(c.want)+`">`) {
				t.Error("the page says another language")
			}
			if got := strings.Contains(page, "推送给当前用户"); got != (c.want == chinese) {
				t.Errorf("Chinese words: %v", got)
			}
		})
	}
}

func TestPageHeaders(t *testing.T) {
	csp := func(scripts string) string {
		return "default-src 'self'; script-src " + scripts + "; connect-src 'self' ws: wss:; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	}
	cases := []struct {
		name   string
		client fs.FS
		csp    string
	}{
		{"own client", fakeClient(t), csp("'self'")},
		{"from a CDN", fstest.MapFS{}, csp("'self' https://cdn.jsdelivr.net https://unpkg.com")},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			res := ask(t, newSite(t, Options{Client: c.client}), "GET", "/")
			wantHeader(t, res, "Content-Security-Policy", c.csp)
			wantHeader(t, res, "Referrer-Policy", "same-origin")
			wantHeader(t, res, "X-Content-Type-Options", "nosniff")
		})
	}
}

// element is a start tag with its attributes.
type element struct {
	name string
	attr map[string]string
}

// parsePage checks that every tag is closed in order and returns the elements.
func parsePage(t *testing.T, page string) []element {
	t.Helper()
	void := []string{"meta", "link", "input"}
	d := xml.NewDecoder(strings.NewReader(page))
	d.Strict, d.Entity = false, xml.HTMLEntity
	var open []string
	var all []element
	for {
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("not well-formed: %v", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			e := element{token.Name.Local, map[string]string{}}
			for _, a := range token.Attr {
				e.attr[a.Name.Local] = a.Value
			}
			all = append(all, e)
			if !slices.Contains(void, e.name) {
				open = append(open, e.name)
			}
		case xml.EndElement:
			if len(open) == 0 || open[len(open)-1] != token.Name.Local {
				t.Fatalf("</%s> closes %q", token.Name.Local, open)
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		t.Fatalf("left open: %q", open)
	}
	return all
}

func TestPageMarkup(t *testing.T) {
	for _, lang := range []string{"en", "zh"} {
		for _, access := range []Access{AccessLoopback, AccessListed, AccessKeys} {
			t.Run(lang+" "+string(access), func(t *testing.T) {
				s := newSite(t, Options{Client: fakeClient(t), Push: Push{Addr: ":2121", Access: access}})
				page := body(t, ask(t, s, "GET", "/?lang="+lang))
				ids := map[string]bool{}
				for _, e := range parsePage(t, page) {
					if id := e.attr["id"]; id != "" && ids[id] {
						t.Errorf("id %q twice", id)
					} else if id != "" {
						ids[id] = true
					}
					if e.name == "script" && e.attr["src"] == "" && e.attr["type"] != "application/json" {
						t.Error("an inline script")
					}
					for name := range e.attr {
						if name == "style" || strings.HasPrefix(name, "on") {
							t.Errorf("<%s> has the inline attribute %s", e.name, name)
						}
					}
					for _, name := range []string{"src", "href"} {
						if ref := e.attr[name]; ref != "" && !strings.HasPrefix(ref, "/") {
							t.Errorf("<%s %s=%q> leaves this server", e.name, name, ref)
						}
					}
				}
				if len(ids) < 10 {
					t.Fatalf("only %d ids", len(ids))
				}
				setting := "api.keys"
				if access == AccessListed {
					setting = "api.allow"
				}
				if !strings.Contains(page, "<code>"+setting+"</code>") {
					t.Errorf("the note does not name %s", setting)
				}
			})
		}
	}
}

func readConfig(t *testing.T, page string) pageConfig {
	t.Helper()
	_, rest, ok := strings.Cut(page, `<script type="application/json" id="config">`)
	raw, _, closed := strings.Cut(rest, `</script>`)
	if !ok || !closed {
		t.Fatal("the page has no config")
	}
	var c pageConfig
	if err := json.Unmarshal([]byte(raw), &c); err != nil {
		t.Fatalf("config %s: %v", raw, err)
	}
	return c
}

func TestPageConfig(t *testing.T) {
	s := newSite(t, Options{Client: fakeClient(t), SocketIOPath: "/rt/", Push: Push{Addr: "10.0.0.5:9000", Access: AccessKeys}})
	page := body(t, ask(t, s, "GET", "/"))
	c := readConfig(t, page)
	if c.Path != "/rt/" || c.Push != (pushTarget{"10.0.0.5", 9000, AccessKeys}) {
		t.Errorf("config %+v", c)
	}
	if want := `<script defer src="/rt/socket.io.min.js"></script>`; !strings.Contains(page, want) {
		t.Errorf("the page lacks %s", want)
	}
}

func TestPageConfigIsEscaped(t *testing.T) {
	host := `</script><img src=x onerror="alert(1)">&`
	s := newSite(t, Options{Client: fakeClient(t), Push: Push{Addr: host + ":2121"}})
	page := body(t, ask(t, s, "GET", "/"))
	if strings.Contains(page, "<img") {
		t.Error("a setting reached the page as markup")
	}
	parsePage(t, page)
	if got := readConfig(t, page).Push.Host; got != host {
		t.Errorf("the script reads %q, want %q", got, host)
	}
}

func TestPageScriptFromCDN(t *testing.T) {
	s := newSite(t, Options{Client: fstest.MapFS{}})
	page := body(t, ask(t, s, "GET", "/"))
	scripts := readConfig(t, page).Scripts
	if len(scripts) != len(cdns) {
		t.Fatalf("%d places, want %d", len(scripts), len(cdns))
	}
	v4, _ := s.ClientVersions()
	for _, place := range scripts {
		if !strings.HasPrefix(place.Src, "https://") || !strings.Contains(place.Src, "@"+v4+"/") || !strings.HasPrefix(place.Integrity, "sha384-") {
			t.Errorf("place %+v", place)
		}
	}
	found := false
	for _, e := range parsePage(t, page) {
		if e.attr["src"] == scripts[0].Src {
			found = true
			if e.attr["integrity"] != scripts[0].Integrity || e.attr["crossorigin"] != "anonymous" {
				t.Errorf("script tag %v", e.attr)
			}
		}
	}
	if !found {
		t.Error("no script tag with the first place")
	}
}

func TestPushTarget(t *testing.T) {
	cases := []struct {
		push Push
		want pushTarget
	}{
		{Push{}, pushTarget{"", 0, AccessLoopback}},
		{Push{Access: AccessKeys}, pushTarget{"", 0, AccessKeys}},
		{Push{Addr: ":2121"}, pushTarget{"127.0.0.1", 2121, AccessLoopback}},
		{Push{Addr: "0.0.0.0:2121"}, pushTarget{"127.0.0.1", 2121, AccessLoopback}},
		{Push{Addr: "[::]:2121"}, pushTarget{"127.0.0.1", 2121, AccessLoopback}},
		{Push{Addr: "[::]:2121", Access: AccessKeys}, pushTarget{"", 2121, AccessKeys}},
		{Push{Addr: "0.0.0.0:2121", Access: AccessListed}, pushTarget{"", 2121, AccessListed}},
		{Push{Addr: "127.0.0.1:80", Access: AccessKeys}, pushTarget{"127.0.0.1", 80, AccessKeys}},
		{Push{Addr: "[::1]:2121"}, pushTarget{"[::1]", 2121, AccessLoopback}},
		{Push{Addr: "push.internal:2121", Access: AccessKeys}, pushTarget{"push.internal", 2121, AccessKeys}},
	}
	for _, c := range cases {
		t.Run(c.push.Addr+" "+string(c.push.Access), func(t *testing.T) {
			got, err := c.push.target()
			if err != nil || got != c.want {
				t.Errorf("got %+v, %v; want %+v", got, err, c.want)
			}
		})
	}
}

// TestWords: both languages have the same keys, and the page uses them all.
func TestWords(t *testing.T) {
	used := map[string]string{} // source text by which group of words it uses
	files, err := fs.Glob(demoFiles, "demo/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		raw, err := demoFiles.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case strings.HasSuffix(name, ".html"):
			used["page"] += string(raw)
		case strings.HasSuffix(name, ".js"):
			used["script"] += string(raw)
		}
	}
	en, err := loadTexts(demoFiles, "demo", english)
	if err != nil {
		t.Fatal(err)
	}
	zh, err := loadTexts(demoFiles, "demo", chinese)
	if err != nil {
		t.Fatal(err)
	}
	check := func(group string, en, zh map[string]string, uses *regexp.Regexp) {
		if len(en) == 0 || len(en) != len(zh) {
			t.Errorf("%s: %d English and %d Chinese words", group, len(en), len(zh))
		}
		for key := range en {
			if en[key] == "" || zh[key] == "" {
				t.Errorf("%s: %s is empty in a language", group, key)
			}
			if !regexp.MustCompile(`\b` + key + `\b`).MatchString(used[group]) {
				t.Errorf("%s: %s is not used", group, key)
			}
		}
		for _, m := range uses.FindAllStringSubmatch(used[group], -1) {
			if en[m[1]] == "" {
				t.Errorf("%s: %s is used but not written", group, m[1])
			}
		}
	}
	check("page", en.Page, zh.Page, regexp.MustCompile(`\.T\.(\w+)`))
	check("script", en.Script, zh.Script, regexp.MustCompile(`\btext\.(\w+)`))
}
