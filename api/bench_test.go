package api

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"crier/io/hub"
)

// deafHub is a Pusher that everybody is online at.
type deafHub struct{}

func (deafHub) Push(context.Context, hub.Push) (hub.Result, error) {
	return hub.Result{Users: 1, Connections: 1, Delivered: 1}, nil
}

// sink is a ResponseWriter that costs nothing.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(status int)      { s.status = status }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }

func BenchmarkLegacy(b *testing.B) {
	fields := url.Values{"type": {"publish"}, "to": {"user-12345"}, "content": {strings.Repeat("<b>hello</b> ", 8)}}.Encode()
	multi, multiBody := multipartBody(b, "type", "publish", "to", "user-12345", "content", strings.Repeat("<b>hello</b> ", 8))
	for _, c := range []struct{ name, target, contentType, body string }{
		{"query", "/?" + fields, "", ""},
		{"urlencoded", "/", "application/x-www-form-urlencoded", fields},
		{"multipart", "/", multi, multiBody},
		{"json", "/", "application/json", `{"type":"publish","to":"user-12345","content":"` + strings.Repeat("<b>hello</b> ", 8) + `"}`},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := newServer(b, Options{Pusher: deafHub{}, Access: Access{Keys: []string{"k"}}})
			r := httptest.NewRequest("POST", c.target, nil)
			r.Header.Set("Content-Type", c.contentType)
			r.Header.Set("X-Api-Key", "k")
			r.ContentLength = int64(len(c.body))
			body := strings.NewReader(c.body)
			r.Body = io.NopCloser(body)
			w := &sink{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				body.Reset(c.body)
				s.ServeHTTP(w, r)
			}
			if w.status != 200 {
				b.Fatalf("status %d", w.status)
			}
		})
	}
}

func BenchmarkEscape(b *testing.B) {
	in := []byte(strings.Repeat("中文 <b>hello</b> world, ", 50))
	var dst []byte
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		dst = appendEscaped(dst[:0], in)
	}
}
