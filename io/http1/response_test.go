package http1

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// answers are what handlers do.
func answers() []http.HandlerFunc {
	header := func(status int, body string, fields ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(fields); i += 2 {
				w.Header().Add(fields[i], fields[i+1])
			}
			if status != 0 {
				w.WriteHeader(status)
			}
			if body != "" {
				_, _ = io.WriteString(w, body)
			}
		}
	}
	many := make([]string, 0, 2*(maxShape+1))
	for i := range maxShape + 1 {
		many = append(many, fmt.Sprintf("X-%d", i), "1")
	}
	return []http.HandlerFunc{
		header(0, ""),
		header(200, "a"),
		header(404, "a"),
		header(0, "{}", "Content-Type", "application/json"),
		header(0, "{}", "Content-Type", "application/problem+json"),
		header(200, "{}", "Content-Type", "application/json", "Cache-Control", "no-store"),
		header(200, "{}", "Content-Type", "application/json", "Cache-Control", "no-cache"),
		header(200, "{}", "Content-Type", "application/json", "Pragma", "no-store"),
		header(200, "ab", "Content-Type", "text/plain", "Content-Length", "2"),
		header(200, "ab", "Content-Type", "text/plain", "Content-Length", "3"),
		header(200, "ab", "Content-Type", "text/plain", "Connection", "close"),
		header(200, "ab", "Content-Type", "text/plain", "Connection", "keep-alive"),
		header(200, "ab", "X-A", "1", "X-A", "2"),
		header(200, "ab", "X-A", "1"),
		header(200, "ab", "X-A", ""),
		header(304, "", "Content-Type", "text/plain"),
		header(204, ""),
		header(200, "ab", many...),
		header(200, "ab", "Date", "then"),
		header(200, "ab", "X-Long", strings.Repeat("a", maxShapeText)),
		header(200, "ab", "X-Long", strings.Repeat("b", maxShapeText/2)),
		header(200, "ab", "X-Long", strings.Repeat("b", maxShapeText/2-1)+"c"),
		header(200, "ab", "no token", "1"),
	}
}

// What an answer is does not depend on the one before, for whose fields there is memory.
func TestResponseAfterAnother(t *testing.T) {
	var stopping atomic.Bool
	now := time.Now()
	all := answers()
	if len(all) < 20 {
		t.Fatalf("%d answers", len(all))
	}
	say := func(w *Response, closes bool, h http.HandlerFunc) string {
		w.Reset(closes)
		h(w, nil)
		return string(w.Finish(now))
	}
	seen := NewResponse(&stopping)
	for i, before := range all {
		for j, h := range all {
			say(seen, i%2 == 0, before)
			closes := (i+j)%2 == 0
			want := say(NewResponse(&stopping), closes, h)
			for range 2 {
				if got := say(seen, closes, h); got != want {
					t.Fatalf("%d after %d, closes %v:\n%.300q\nwant\n%.300q", j, i, closes, got, want)
				}
			}
		}
	}
}
