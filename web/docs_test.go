package web

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

// newDocs returns the manual of the real description.
func newDocs(t *testing.T) (*Docs, map[string]map[string]any) {
	t.Helper()
	description, err := os.ReadFile("../api/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct{ Paths map[string]map[string]any }
	if err := json.Unmarshal(description, &doc); err != nil || len(doc.Paths) == 0 {
		t.Fatalf("%d paths, %v", len(doc.Paths), err)
	}
	d, err := NewDocs(DocsOptions{
		Description: description, Rights: map[string]string{"POST /v1/push": "push"},
		Codes: []DocsCode{{"bad_json", 400, "Not valid JSON"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return d, doc.Paths
}

func TestDocs(t *testing.T) {
	d, paths := newDocs(t)
	res := ask(t, d, "GET", "/docs")
	wantHeader(t, res, "Content-Type", "text/html; charset=utf-8")
	wantHeader(t, res, "Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	page := body(t, res)
	for path, calls := range paths {
		for method := range calls {
			if !strings.Contains(page, `<b class="method `+strings.ToUpper(method)+`">`+strings.ToUpper(method)+`</b> <code>`+path+`</code></h2>`) {
				t.Errorf("%s %s is not in the manual", method, path)
			}
		}
	}
	for _, want := range []string{
		`right: push`, `<code>dry_run</code>`, `<code>bad_json</code>`, `Not valid JSON`,
		`<code>except</code> <span class="type">object, as its own audience</span>`,
		`-d &#39;{&#34;to&#34;:{&#34;users&#34;:[&#34;42&#34;]}`, // the example of a push
		`curl -X DELETE &#34;$CRIER_URL/v1/users/42&#34;`,
		`As in <a href="#push">POST /v1/push</a>.`, // a batch
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the manual lacks %s", want)
		}
	}
	// Nothing comes from another host, and nothing needs what the policy forbids.
	if found := regexp.MustCompile(`(?i)<script|<style| style=| on\w+=|(src|href)="[^/#]|url\(`).FindString(page); found != "" {
		t.Errorf("the manual has %s", found)
	}
	for _, link := range regexp.MustCompile(`href="#([^"]+)"`).FindAllStringSubmatch(page, -1) {
		if !strings.Contains(page, `id="`+link[1]+`"`) {
			t.Errorf("#%s leads nowhere", link[1])
		}
	}
}

func TestDocsRoutes(t *testing.T) {
	d, _ := newDocs(t)
	for _, c := range []struct {
		method, target string
		status         int
		contentType    string
	}{
		{"HEAD", "/docs", 200, "text/html; charset=utf-8"},
		{"GET", "/docs/docs.css", 200, "text/css; charset=utf-8"},
		{"GET", "/docs/icon.svg", 200, "image/svg+xml"},
		{"GET", "/docs/", 301, "text/html; charset=utf-8"},
		{"GET", "/docs/page.html", 404, "text/plain; charset=utf-8"},
		{"POST", "/docs", 405, "text/plain; charset=utf-8"},
	} {
		res := ask(t, d, c.method, c.target)
		if res.StatusCode != c.status {
			t.Errorf("%s %s: status %d, want %d", c.method, c.target, res.StatusCode, c.status)
		}
		wantHeader(t, res, "Content-Type", c.contentType)
	}
}

func TestDocsErrors(t *testing.T) {
	for name, text := range map[string]string{
		"no JSON":       `{`,
		"no object":     `{"paths":[]}`,
		"no schema":     `{"paths":{"/a":{"get":{"responses":{"200":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/X"}}}}}}}}}`,
		"no response":   `{"paths":{"/a":{"get":{"responses":{"200":{"$ref":"#/components/responses/X"}}}}}}`,
		"nested badly":  `{"paths":{"/a":{"get":{"parameters":[{"name":"x","schema":{"enum":1}}],"responses":{}}}}}`,
		"a bad example": `{"paths":{"/a":{"get":{"responses":{"200":{"content":{"x":{"schema":{"type":1}}}}}}}}}`,
	} {
		if _, err := NewDocs(DocsOptions{Description: []byte(text)}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
