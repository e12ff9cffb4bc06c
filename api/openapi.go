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
