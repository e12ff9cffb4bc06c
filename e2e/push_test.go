package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// A reply is an HTTP response, read.
type reply struct {
	status int
	header http.Header
	body   string
}

// try sends a request and reads the response. A Host in header is the one asked for.
func try(ctx context.Context, method, address, body string, header http.Header) (r reply, err error) {
	request, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		return reply{}, fmt.Errorf("making a request: %w", err)
	}
	for name, values := range header {
		request.Header[name] = values
	}
	if host := header.Get("Host"); host != "" {
		request.Host = host
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return reply{}, fmt.Errorf("asking: %w", err)
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return reply{}, fmt.Errorf("reading the response of %s %s: %w", method, address, err)
	}
	return reply{response.StatusCode, response.Header, string(text)}, nil
}

// do is try that has to succeed.
func do(t *testing.T, method, address, body string, header http.Header) reply {
	t.Helper()
	r, err := try(t.Context(), method, address, body, header)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// form returns the fields of a legacy push; to "" is everybody.
func form(to, content string) url.Values {
	return url.Values{"type": {"publish"}, "to": {to}, "content": {content}}
}

// urlencoded are the headers of a form.
func urlencoded() http.Header {
	return http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
}

// tryPublish makes a legacy push.
func (s *server) tryPublish(ctx context.Context, to, content string) (reply, error) {
	return try(ctx, http.MethodPost, s.pushURL("/"), form(to, content).Encode(), urlencoded())
}

// publish makes a legacy push that has to be answered by 200, and returns the text of the answer.
func (s *server) publish(t *testing.T, to, content string) string {
	t.Helper()
	r, err := s.tryPublish(t.Context(), to, content)
	if err != nil {
		t.Fatal(err)
	}
	if r.status != http.StatusOK {
		t.Fatalf("a push was answered %d: %s", r.status, r.body)
	}
	return r.body
}

// deliver makes a legacy push that has to be answered ok.
func (s *server) deliver(t *testing.T, to, content string) {
	t.Helper()
	if said := s.publish(t, to, content); said != "ok" {
		t.Fatalf("the push to %q was answered %q, want ok", to, said)
	}
}
