package web

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

// askDashboard returns the answer of a dashboard without charts, or with those of client.
func askDashboard(t *testing.T, client fs.FS, method, target string, headers ...string) *http.Response {
	t.Helper()
	d, err := NewDashboard(DashboardOptions{Client: client})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w.Result()
}

func TestDashboardHeaders(t *testing.T) {
	res := askDashboard(t, nil, "GET", "/admin/")
	policy := res.Header.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "frame-ancestors 'none'", "form-action 'none'", "base-uri 'none'"} {
		if !strings.Contains(policy, part) {
			t.Errorf("the policy lacks %s: %s", part, policy)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") {
		t.Errorf("the policy lets in too much: %s", policy)
	}
	wantHeader(t, res, "X-Content-Type-Options", "nosniff")
	wantHeader(t, res, "Referrer-Policy", "same-origin")
	wantHeader(t, res, "Cross-Origin-Opener-Policy", "same-origin")
}

func TestDashboardPaths(t *testing.T) {
	for _, c := range []struct {
		method, target string
		status         int
		header, want   string
	}{
		{"GET", "/admin", 301, "Location", "/admin/"},
		{"GET", "/admin/", 200, "Content-Language", "en"},
		{"GET", "/admin/?lang=zh", 200, "Content-Language", "zh"},
		{"HEAD", "/admin/", 200, "Content-Type", "text/html; charset=utf-8"},
		{"GET", "/admin/admin.js", 200, "Content-Type", "text/javascript; charset=utf-8"},
		{"GET", "/admin/frame.css", 200, "Content-Type", "text/css; charset=utf-8"},
		{"GET", "/admin/icon.svg", 200, "Content-Type", "image/svg+xml"},
		{"GET", "/admin/en.json", 404, "", ""},
		{"GET", "/admin/page.html", 404, "", ""},
		{"POST", "/admin/", 405, "Allow", "GET, HEAD"},
	} {
		t.Run(c.method+" "+c.target, func(t *testing.T) {
			res := askDashboard(t, fakeClient(t), c.method, c.target)
			if res.StatusCode != c.status || c.header != "" && res.Header.Get(c.header) != c.want {
				t.Errorf("%d %v", res.StatusCode, res.Header)
			}
		})
	}
	res := askDashboard(t, fakeClient(t), "GET", "/admin/", "Accept-Language", "zh-CN,en;q=0.5")
	wantHeader(t, res, "Content-Language", "zh")
}

// The page loads nothing from elsewhere, has nothing inline, and no charts where the build has none.
func TestDashboardMarkup(t *testing.T) {
	for _, lang := range []string{"en", "zh"} {
		for _, client := range []fs.FS{fakeClient(t), fstest.MapFS{}} {
			page := body(t, askDashboard(t, client, "GET", "/admin/?lang="+lang))
			charts := false
			for _, e := range parsePage(t, page) {
				if e.name == "script" && e.attr["src"] == "" && e.attr["type"] != "application/json" {
					t.Error("an inline script")
				}
				for name, value := range e.attr {
					if name == "style" || strings.HasPrefix(name, "on") {
						t.Errorf("<%s> has the inline attribute %s", e.name, name)
					}
					if (name == "src" || name == "href") && !strings.HasPrefix(value, "/admin/") && !strings.HasPrefix(value, "#") {
						t.Errorf("<%s %s=%q> leaves the dashboard", e.name, name, value)
					}
					charts = charts || strings.HasPrefix(value, "/admin/charts/")
				}
			}
			if charts {
				t.Error("there are charts that the client has not")
			}
		}
	}
}

// TestDashboardWords: both languages have the same words, and the pages use them all.
func TestDashboardWords(t *testing.T) {
	var page, script strings.Builder
	names, err := fs.Glob(adminFiles, "admin/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		raw, err := adminFiles.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case strings.HasSuffix(name, ".html"):
			page.Write(raw)
		case strings.HasSuffix(name, ".js"):
			script.Write(raw)
		}
	}
	en, err := loadTexts(adminFiles, "admin", english)
	if err != nil {
		t.Fatal(err)
	}
	zh, err := loadTexts(adminFiles, "admin", chinese)
	if err != nil {
		t.Fatal(err)
	}
	check := func(source string, en, zh map[string]string, uses *regexp.Regexp) {
		if len(en) == 0 || len(en) != len(zh) {
			t.Errorf("%d English and %d Chinese words", len(en), len(zh))
		}
		for key := range en {
			if en[key] == "" || zh[key] == "" {
				t.Errorf("%s is empty in a language", key)
			}
			used := strings.Contains(source, key)
			for _, part := range []string{"inbox_", "callbacks_"} { // put together from what the server calls it
				if rest, is := strings.CutPrefix(key, part); is && strings.Contains(source, "`"+part+"${") && strings.Contains(source, `"`+rest+`"`) {
					used = true
				}
			}
			if !used {
				t.Errorf("%s is not used", key)
			}
			if open := regexp.MustCompile(`\{\w+[|}]`); strings.Join(open.FindAllString(en[key], -1), "") == "" != (strings.Join(open.FindAllString(zh[key], -1), "") == "") {
				t.Errorf("%s has places for values in one language alone", key)
			}
		}
		for _, m := range uses.FindAllStringSubmatch(source, -1) {
			if en[m[1]] == "" {
				t.Errorf("%s is used but not written", m[1])
			}
		}
	}
	check(page.String(), en.Page, zh.Page, regexp.MustCompile(`\.T\.(\w+)`))
	check(script.String(), en.Script, zh.Script, regexp.MustCompile(`\btext\.(\w+)`))
}
