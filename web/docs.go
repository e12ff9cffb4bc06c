package web

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"strings"
)

//go:embed docs
var docsFiles embed.FS

// DocsOptions are what a manual is made of.
type DocsOptions struct {
	// Description is an OpenAPI 3.1 document, JSON. Required.
	Description []byte
	// Rights says which right a call needs, by method and path: "POST /v1/push". A call that is not named is for any caller.
	Rights map[string]string
	// Codes are the errors' codes, with what is to be said about each.
	Codes []DocsCode
	// Logger gets what goes wrong while answering, at debug level. Default: discarded.
	Logger *slog.Logger
}

// DocsCode is one code of an error.
type DocsCode struct {
	Code   string
	Status int
	Title  string
}

// Docs is the manual of the push port: a page without a script, made of the API's own description. It is an
// [http.Handler] for /docs and what is under it. Safe for concurrent use.
type Docs struct {
	log   *slog.Logger
	files map[string]*resource // by URL path
}

// NewDocs renders the manual. It fails on a description that it cannot read.
func NewDocs(o DocsOptions) (*Docs, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	page, err := renderDocs(o)
	if err != nil {
		return nil, fmt.Errorf("rendering the manual: %w", err)
	}
	d := &Docs{log: o.Logger, files: map[string]*resource{}}
	d.files["/docs"] = newResource(page, "", map[string]string{
		"Content-Type":  "text/html; charset=utf-8",
		"Cache-Control": "no-cache",
		"Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; " +
			"form-action 'none'; frame-ancestors 'none'",
		"Referrer-Policy": "same-origin",
	})
	for path, file := range map[string]struct {
		from embed.FS
		name string
		kind string
	}{
		"/docs/docs.css": {docsFiles, "docs/docs.css", "text/css; charset=utf-8"},
		"/docs/icon.svg": {demoFiles, "demo/icon.svg", "image/svg+xml"},
	} {
		body, err := file.from.ReadFile(file.name)
		if err != nil {
			return nil, fmt.Errorf("reading the manual's files: %w", err)
		}
		d.files[path] = newResource(body, "", map[string]string{"Content-Type": file.kind, "Cache-Control": "no-cache"})
	}
	return d, nil
}

// ServeHTTP answers the manual and its files.
func (d *Docs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !allowMethod(w, r) {
		return
	}
	if file := d.files[r.URL.Path]; file != nil {
		file.serve(w, r, d.log)
		return
	}
	if r.URL.Path == "/docs/" {
		http.Redirect(w, r, "/docs", http.StatusMovedPermanently)
		return
	}
	http.Error(w, "nothing is here; the manual is at /docs", http.StatusNotFound)
}

// docsData is what the template reads.
type docsData struct {
	Title, Description string
	Calls              []*docsCall
	Problem            []field
	Codes              []DocsCode
}

// docsCall is one call.
type docsCall struct {
	ID, Method, Path, Summary, Description, Right string
	Parameters                                    []field
	Bodies                                        []docsBody
	Answers                                       []docsBody
	Refusals                                      []string // statuses of problems
	Curl                                          string   // "" for a WebSocket
}

// docsBody is a request's body or an answer.
type docsBody struct {
	Status, Description, Media, Kind string
	Fields                           []field
	As                               *docsCall // which shows the fields already
	Example                          string

	schema string // what the fields are called
}

func renderDocs(o DocsOptions) ([]byte, error) {
	var doc openAPI
	if err := json.Unmarshal(o.Description, &doc); err != nil {
		return nil, fmt.Errorf("reading the description: %w", err)
	}
	shown := map[string]*docsCall{} // where the fields of a schema are
	data := docsData{Title: doc.Info.Title, Description: doc.Info.Description, Codes: o.Codes}
	for _, path := range doc.Paths {
		for _, one := range path.value {
			call, err := doc.call(strings.ToUpper(one.name), path.name, one.value)
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", one.name, path.name, err)
			}
			call.Right = o.Rights[call.Method+" "+call.Path]
			data.Calls = append(data.Calls, call)
			call.refer(shown)
		}
	}
	var err error
	if data.Problem, err = doc.fields(doc.Components.Schemas["Problem"], 0, nil); err != nil {
		return nil, err
	}
	tmpl, err := template.New("page.html").Option("missingkey=error").ParseFS(docsFiles, "docs/page.html")
	if err != nil {
		return nil, fmt.Errorf("parsing the template: %w", err)
	}
	var page bytes.Buffer
	if err := tmpl.Execute(&page, data); err != nil {
		return nil, fmt.Errorf("filling the template: %w", err)
	}
	return page.Bytes(), nil
}

// refer leaves out the fields that another call shows.
func (c *docsCall) refer(shown map[string]*docsCall) {
	for _, list := range [][]docsBody{c.Bodies, c.Answers} {
		for i := range list {
			b := &list[i]
			if b.schema == "" {
				continue
			}
			if at := shown[b.schema]; at == nil {
				shown[b.schema] = c
			} else {
				b.As, b.Fields = at, nil
			}
		}
	}
}

// call describes one call.
func (d *openAPI) call(method, path string, o operation) (*docsCall, error) {
	c := &docsCall{ID: o.OperationID, Method: method, Path: path, Summary: o.Summary, Description: o.Description}
	for _, p := range o.Parameters {
		f, err := d.field(p.Name, p.Schema, nil)
		if err != nil {
			return c, err
		}
		f.Description, f.Required = p.Description, p.Required
		c.Parameters = append(c.Parameters, f)
	}
	for _, m := range o.RequestBody.Content {
		body, err := d.body(m)
		if err != nil {
			return c, err
		}
		c.Bodies = append(c.Bodies, body)
	}
	webSocket := false
	for _, one := range o.Responses {
		r, err := d.answer(one.value)
		if err != nil {
			return c, err
		}
		webSocket = webSocket || one.name == "101"
		if len(r.Content) == 1 && r.Content[0].name == "application/problem+json" {
			c.Refusals = append(c.Refusals, one.name)
			continue
		}
		answer := docsBody{Status: one.name, Description: r.Description}
		if len(r.Content) > 0 { // the others are the same, in another form
			if answer, err = d.body(r.Content[0]); err != nil {
				return c, err
			}
			answer.Status, answer.Description = one.name, r.Description
		}
		c.Answers = append(c.Answers, answer)
	}
	if !webSocket {
		c.Curl = curl(method, path, o)
	}
	return c, nil
}

// body describes a body of one media type.
func (d *openAPI) body(m member[media]) (docsBody, error) {
	b := docsBody{Media: m.name}
	var err error
	if b.Kind, err = d.kind(m.value.Schema, nil); err != nil {
		return b, err
	}
	if b.Fields, err = d.fields(m.value.Schema, 0, nil); err != nil {
		return b, err
	}
	b.schema = m.value.Schema.named()
	b.Example, err = compact(m.value.Example)
	return b, err
}

// compact returns JSON on one line.
func compact(data json.RawMessage) (string, error) {
	if data == nil {
		return "", nil
	}
	var b bytes.Buffer
	if err := json.Compact(&b, data); err != nil {
		return "", fmt.Errorf("an example: %w", err)
	}
	return b.String(), nil
}

// curl returns a command that makes the call, by the examples of its description.
func curl(method, path string, o operation) string {
	for _, p := range o.Parameters {
		if p.In == "path" {
			path = strings.ReplaceAll(path, "{"+p.Name+"}", strings.Trim(string(p.Example), `"`))
		}
	}
	command := "curl "
	if method != http.MethodGet && method != http.MethodPost {
		command += "-X " + method + " "
	}
	command += `"$CRIER_URL` + path + `" -H "Authorization: Bearer $CRIER_KEY"`
	if len(o.RequestBody.Content) > 0 {
		if example, err := compact(o.RequestBody.Content[0].value.Example); err == nil && example != "" {
			command += " \\\n  -d '" + strings.ReplaceAll(example, "'", `'\''`) + "'"
		}
	}
	return command
}
