package api

import (
	_ "embed" // for openapi.json
	"net/http"
)

//go:embed openapi.json
var openAPIDocument []byte

// openAPI answers GET /openapi.json: the description of /v1 for programs (OpenAPI 3.1).
func (s *Server) openAPI(w http.ResponseWriter, r *http.Request, _ *caller) {
	s.send(w, r, http.StatusOK, s.jsonType, openAPIDocument)
}

// Description is what the API says about itself.
type Description struct {
	OpenAPI []byte            // the answer to GET /openapi.json; not to be modified
	Rights  map[string]string // the right that a call needs, by method and path; calls for everybody are not in it
	Codes   []Code            // of errors
}

// Code is the code of an error.
type Code struct {
	Name   string
	Status int    // of HTTP
	Title  string // what every problem of the code is titled
}

// Describe returns the description of the API.
func Describe() Description {
	d := Description{OpenAPI: openAPIDocument, Rights: make(map[string]string)}
	for _, one := range (*Server)(nil).routes() {
		if one.right != 0 {
			d.Rights[one.method+" "+one.path] = one.right.String()
		}
	}
	for _, c := range codes() {
		status, title := c.about()
		d.Codes = append(d.Codes, Code{Name: string(c), Status: status, Title: title})
	}
	return d
}
