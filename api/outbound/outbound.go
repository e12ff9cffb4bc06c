// Package outbound makes HTTP requests to addresses that the settings name: the business API, a key set. Redirects are not
// followed. What can be secret in such an address – user, password, query – stands in no error and no log.
package outbound

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const maxHeaders = 64 << 10 // bytes of an answer's headers

// Endpoint is an address, and the connections to it that are kept. All its methods may be called by many goroutines at
// once.
type Endpoint struct {
	url       *url.URL
	transport http.RoundTripper
	idle      func()
}

// New returns the Endpoint of an http or https address, which may have a user, a password and a query; what is behind a
// # does not count. The error does not repeat the address. With a nil transport it has one of its own, which uses the
// proxy settings of the environment and keeps so many connections, until [Endpoint.CloseIdle].
func New(address string, connections int, transport http.RoundTripper) (*Endpoint, error) {
	address = strings.TrimSpace(address)
	if address == "" {
		return nil, errors.New("no URL given")
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("the URL is not of the form https://host/path or http://host/path")
	}
	u.Fragment, u.RawFragment = "", ""
	e := &Endpoint{url: u, transport: transport, idle: func() {}}
	if transport == nil {
		own := newTransport(connections)
		e.transport, e.idle = own, own.CloseIdleConnections
	}
	return e, nil
}

func newTransport(connections int) *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           connections,
		MaxIdleConnsPerHost:    connections,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    10 * time.Second,
		MaxResponseHeaderBytes: maxHeaders,
		DisableCompression:     true,
	}
}

// String returns the address without what can be secret.
func (e *Endpoint) String() string { return Redact(e.url) }

// Request returns a request to the address; user and password become Basic authorization.
func (e *Endpoint) Request(ctx context.Context, method string, body []byte) (*http.Request, error) {
	// From the redacted address, so that no error made of it has what can be secret.
	req, err := http.NewRequestWithContext(ctx, method, e.String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("making the request: %w", err)
	}
	req.URL.RawQuery, req.URL.ForceQuery = e.url.RawQuery, e.url.ForceQuery
	if user := e.url.User; user != nil {
		password, _ := user.Password() // none is the same as an empty one
		req.SetBasicAuth(user.Username(), password)
	}
	req.Header.Set("User-Agent", "crier")
	return req, nil
}

// Repeatable lets net/http make a POST again when a kept connection turns out to be dead, without anybody knowing what
// became of the first.
func Repeatable(req *http.Request) {
	req.Header["Idempotency-Key"] = nil // not sent
}

// Do makes a request and returns the answer, whatever its status; the caller closes its body.
func (e *Endpoint) Do(req *http.Request) (*http.Response, error) {
	// Not through a http.Client, which follows redirects and has URLs in its errors.
	return e.transport.RoundTrip(req)
}

// CloseIdle closes the connections that are kept, unless New was given a transport.
func (e *Endpoint) CloseIdle() { e.idle() }

// Redact returns a URL without user, password, query and fragment.
func Redact(u *url.URL) string {
	c := *u
	c.User, c.RawQuery, c.ForceQuery, c.Fragment, c.RawFragment = nil, "", false, "", ""
	return c.String()
}
