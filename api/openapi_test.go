package api

import (
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
)

// The description and the manual have every call and every code, and no others.
func TestOpenAPI(t *testing.T) {
	s := newServer(t, Options{})
	var doc struct {
		OpenAPI    string
		Paths      map[string]map[string]struct{ Responses map[string]json.RawMessage }
		Components struct {
			Schemas struct {
				Problem struct {
					Properties struct{ Code struct{ Enum []code } }
				}
				Push struct {
					Properties map[string]json.RawMessage
				}
			}
		}
	}
	w := do(s, "GET", "/openapi.json", "", "")
	decodeAnswer(t, w, &doc)
	if !strings.HasPrefix(doc.OpenAPI, "3.1.") {
		t.Errorf("openapi: %q", doc.OpenAPI)
	}
	manual, err := os.ReadFile("../docs/API.md")
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	for _, r := range s.routes() {
		if _, found := doc.Paths[r.path][strings.ToLower(r.method)]; !found {
			t.Errorf("%s %s is not in the description", r.method, r.path)
		}
		if !strings.Contains(string(manual), "`"+r.method+" "+r.path+"`") {
			t.Errorf("%s %s is not in the manual", r.method, r.path)
		}
	}
	for _, methods := range doc.Paths {
		calls += len(methods)
	}
	if calls != len(s.routes()) {
		t.Errorf("the description has %d calls, the server %d", calls, len(s.routes()))
	}
	if got := doc.Components.Schemas.Problem.Properties.Code.Enum; !slices.Equal(got, codes()) {
		t.Errorf("the description has the codes %v", got)
	}
	for _, c := range codes() {
		if !strings.Contains(string(manual), "| `"+string(c)+"` |") {
			t.Errorf("%s is not in the manual", c)
		}
	}
	for _, field := range []string{"id", "to", "event", "data", "args", "volatile", "ack", "dry_run", "ttl", "store", "receipt"} {
		if doc.Components.Schemas.Push.Properties[field] == nil {
			t.Errorf("the field %s is not in the description", field)
		}
	}
	checkReferences(t, w.Body.Bytes())
}

// checkReferences checks that every $ref names something.
func checkReferences(t *testing.T, doc []byte) {
	t.Helper()
	var root any
	if err := json.Unmarshal(doc, &root); err != nil {
		t.Fatal(err)
	}
	n := 0
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			if ref, is := v["$ref"].(string); is {
				n++
				at := root
				for step := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
					object, _ := at.(map[string]any)
					at = object[step]
				}
				if at == nil {
					t.Errorf("%s names nothing", ref)
				}
			}
			for _, e := range v {
				walk(e)
			}
		}
	}
	if walk(root); n == 0 {
		t.Error("there is no $ref")
	}
}

// The manual is for anybody to read, and only where there is one.
func TestDocs(t *testing.T) {
	manual := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := w.Write([]byte("manual " + r.URL.Path)); err != nil {
			t.Error(err)
		}
	})
	s := newServer(t, Options{Docs: manual, Access: Access{Keys: []string{"k"}}})
	for _, path := range []string{"/docs", "/docs/docs.css"} {
		if w := do(s, "GET", path, "", "", header("Peer", stranger)); w.Body.String() != "manual "+path {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	for _, path := range []string{"/docs2", "/doc"} {
		if w := do(s, "GET", path, "", ""); w.Code != http.StatusForbidden {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	checkAnswer(t, do(newServer(t, Options{}), "GET", "/docs?type=publish&to=u1&content=x", "", ""), "ok")
}

func TestDescribe(t *testing.T) {
	d := Describe()
	if d.Rights["DELETE /v1/users/{uid}"] != "admin" || d.Rights["POST /v1/push"] != "push" || d.Rights["GET /openapi.json"] != "" {
		t.Errorf("rights: %v", d.Rights)
	}
	if len(d.Codes) != len(codes()) || d.Codes[0] != (Code{"bad_json", 400, "Not valid JSON"}) || !json.Valid(d.OpenAPI) {
		t.Errorf("codes: %v", d.Codes)
	}
}
