package web

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func newTour(t *testing.T) *Tour {
	t.Helper()
	tour, err := NewTour(TourOptions{Port: 2120})
	if err != nil {
		t.Fatal(err)
	}
	return tour
}

func TestTourPages(t *testing.T) {
	tour := newTour(t)
	for _, page := range tourPages {
		for _, lang := range []string{"en", "zh"} {
			t.Run(page+" "+lang, func(t *testing.T) {
				res := ask(t, tour, "GET", "/"+page+"?lang="+lang)
				wantHeader(t, res, "Content-Language", lang)
				if csp := res.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "connect-src http://example.com:2120 ws://example.com:2120;") {
					t.Errorf("policy %q", csp)
				}
				text := body(t, res)
				ids := map[string]bool{}
				scripts := 0
				for _, e := range parsePage(t, text) {
					if id := e.attr["id"]; id != "" && ids[id] {
						t.Errorf("id %q twice", id)
					} else {
						ids[id] = true
					}
					if src := e.attr["src"]; src == "http://example.com:2120/socket.io/socket.io.min.js" || src == "/tour/"+page+".js" {
						scripts++
					}
				}
				if scripts != 2 {
					t.Errorf("%d of its two scripts", scripts)
				}
				js, err := fs.ReadFile(tourFiles, "tour/"+page+".js")
				if err != nil {
					t.Fatal(err)
				}
				for _, m := range regexp.MustCompile(`\$\("(\w+)"\)`).FindAllStringSubmatch(string(js), -1) {
					if !ids[m[1]] {
						t.Errorf("the script uses #%s, which the page has not", m[1])
					}
				}
			})
		}
	}
}

func TestTourHosts(t *testing.T) {
	tour := newTour(t)
	for host, want := range map[string]string{
		"127.0.0.1:8080": "http://127.0.0.1:2120/",
		"[::1]:8080":     "http://[::1]:2120/",
		"box.local":      "http://box.local:2120/",
		"a;b":            "", `a"b`: "", "": "",
	} {
		r := httptest.NewRequest("GET", "/chat", nil)
		r.Host = host
		w := httptest.NewRecorder()
		tour.ServeHTTP(w, r)
		if want == "" && w.Code != 400 || want != "" && !strings.Contains(w.Body.String(), `src="`+want) {
			t.Errorf("Host %q: %d %s", host, w.Code, w.Body)
		}
	}
}

func TestTourRoutes(t *testing.T) {
	tour := newTour(t)
	for target, want := range map[string]int{
		"/": 302, "/chat": 200, "/tour/tour.css": 200, "/tour/tour.js": 200, "/tour/icon.svg": 200,
		"/tour/chat.html": 404, "/tour/en.json": 404, "/tour/chat": 404, "/chat/": 404, "/x/chat": 404,
	} {
		if res := ask(t, tour, "GET", target); res.StatusCode != want {
			t.Errorf("%s: %d, want %d", target, res.StatusCode, want)
		}
	}
	if _, err := NewTour(TourOptions{}); !errors.Is(err, ErrOptions) {
		t.Errorf("without a port: %v", err)
	}
}

// TestTourIsShort holds each page, with its script, to 100 lines.
func TestTourIsShort(t *testing.T) {
	for _, page := range tourPages {
		lines := 0
		for _, kind := range []string{".html", ".js"} {
			text, err := fs.ReadFile(tourFiles, "tour/"+page+kind)
			if err != nil {
				t.Fatal(err)
			}
			lines += strings.Count(string(text), "\n")
		}
		if lines > 100 {
			t.Errorf("%s has %d lines", page, lines)
		}
	}
}

// TestTourWords: both languages have the same words for the same pages, and all are used.
func TestTourWords(t *testing.T) {
	var all [2]map[string]map[string]string
	for i, lang := range []string{"en", "zh"} {
		raw, err := fs.ReadFile(tourFiles, "tour/"+lang+".json")
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(raw, &all[i]); err != nil {
			t.Fatal(err)
		}
	}
	source := func(names ...string) (text string) {
		for _, name := range names {
			raw, err := fs.ReadFile(tourFiles, "tour/"+name)
			if err != nil {
				t.Fatal(err)
			}
			text += string(raw)
		}
		return text
	}
	for page, words := range all[0] {
		if got, want := slices.Sorted(maps.Keys(all[1][page])), slices.Sorted(maps.Keys(words)); !slices.Equal(got, want) {
			t.Errorf("%s: the words are %q in Chinese, %q in English", page, got, want)
		}
		text := source("layout.html", "tour.js")
		if page != "all" {
			text += source(page+".html", page+".js")
		}
		for word := range words {
			if !regexp.MustCompile(`(\.T\.|text\.)` + word + `\b|show\("` + word + `"|"` + word + `" :|: "` + word + `"`).MatchString(text) {
				t.Errorf("%s: the word %q is not used", page, word)
			}
		}
	}
}
