package api

import (
	"encoding/json"
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
	for _, field := range []string{"id", "to", "event", "data", "args", "volatile", "ack", "dry_run"} {
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
