package api

import (
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// kind is a class of problem, and decides the status of its answer.
type kind uint8

const (
	failed    kind = iota // a push that could not be done: 200 and "fail", as web-msg-sender says it
	forbidden             // who may not call: 403
	badMethod             // 405
	tooLarge              // a body over api.max_body: 413
	badBody               // a body that could not be read to its end: 400
	notReady              // 503
	tooMany               // more than the caller may: 429
)

// status returns the HTTP status of k.
func (k kind) status() int {
	switch k {
	case forbidden:
		return http.StatusForbidden
	case badMethod:
		return http.StatusMethodNotAllowed
	case tooLarge:
		return http.StatusRequestEntityTooLarge
	case badBody:
		return http.StatusBadRequest
	case notReady:
		return http.StatusServiceUnavailable
	case tooMany:
		return http.StatusTooManyRequests
	default:
		return http.StatusOK
	}
}

// problem is an error for the caller's eyes.
type problem struct {
	kind  kind
	text  string        // one sentence that says what to do; free of keys and of message text
	allow string        // of badMethod: the methods that are allowed
	code  code          // what /v1 calls it, unless the kind says it
	retry time.Duration // of tooMany: when to come back
}

// Error returns the sentence.
func (p *problem) Error() string { return p.text }

// fail returns the problem of a push that cannot be done.
func fail(text string) *problem { return &problem{kind: failed, text: text} }

// forbid returns the problem of a caller who may not.
func forbid(text string) *problem { return &problem{kind: forbidden, text: text} }

// reasonHeader carries the sentence behind a "fail", whose body callers compare as a whole.
const reasonHeader = "X-Crier-Error"

// refuse answers p and logs it.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, p *problem) {
	level, message := slog.LevelDebug, "call refused"
	switch p.kind {
	case forbidden:
		level = slog.LevelWarn
	case failed:
		message = "push failed"
	}
	// Neither the path nor the query is logged: a key can be in either.
	s.log.LogAttrs(r.Context(), level, message, slog.Int("status", p.kind.status()),
		slog.String("reason", p.text), slog.String("method", r.Method), slog.String("remote", r.RemoteAddr))

	body := p.text + "\n"
	switch p.kind {
	case failed:
		w.Header().Set(reasonHeader, printable(p.text))
		body = "fail"
	case badMethod:
		w.Header().Set("Allow", p.allow)
	case tooMany:
		w.Header().Set("Retry-After", seconds(p.retry))
	case badBody, tooLarge:
		w.Header().Set("Connection", "close") // what is left of the body is not read
	}
	s.write(w, r, p.kind.status(), []byte(body))
}

// printable returns text fit for a header value.
func printable(text string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return '?'
		}
		return c
	}, text)
}
