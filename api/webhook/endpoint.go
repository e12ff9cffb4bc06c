package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

var errTimeout = errors.New("the receiver did not answer in time")

// endpoint is an address of the business API, and what is needed to post to it.
type endpoint struct {
	url       *url.URL
	signer    *Signer
	transport http.RoundTripper
	closeIdle func()
}

// newEndpoint checks the address and the secrets. Its errors repeat neither. A nil transport means one of its own, which
// keeps so many connections.
func newEndpoint(address string, secrets []string, transport http.RoundTripper, connections int) (*endpoint, error) {
	u, err := parseURL(address)
	if err != nil {
		return nil, err
	}
	signer, err := NewSigner(secrets...)
	if err != nil {
		return nil, err
	}
	e := &endpoint{url: u, signer: signer, transport: transport, closeIdle: func() {}}
	if transport == nil {
		t := newTransport(connections)
		e.transport, e.closeIdle = t, t.CloseIdleConnections
	}
	return e, nil
}

// post makes one signed request and returns the answer, whatever its status; the caller closes its body. A ctx that ends
// with the cause errTimeout makes the error that. A repeatable request may be made again when a kept connection turns out
// to be dead, without anybody knowing what became of the first.
func (e *endpoint) post(ctx context.Context, id, contentType string, body []byte, repeatable bool) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, redact(e.url), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("making the request: %w", err)
	}
	req.URL.RawQuery, req.URL.ForceQuery = e.url.RawQuery, e.url.ForceQuery
	if user := e.url.User; user != nil {
		password, _ := user.Password() // none is the same as an empty one
		req.SetBasicAuth(user.Username(), password)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("User-Agent", "crier")
	if repeatable {
		req.Header["Idempotency-Key"] = nil // not sent: it tells net/http
	}
	e.signer.Header(req.Header, id, time.Now(), body)
	// Not through a http.Client, which has an opinion on redirects, and errors with URLs in them.
	resp, err := e.transport.RoundTrip(req)
	switch {
	case err != nil && errors.Is(context.Cause(ctx), errTimeout):
		return nil, errTimeout
	case err != nil:
		return nil, fmt.Errorf("calling the receiver: %w", err)
	}
	return resp, nil
}
