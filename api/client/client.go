// Package client calls the push port of Crier from Go: pushes, one by one or over a lasting link, and who is online.
//
//	c, err := client.New(client.Options{URL: "http://127.0.0.1:2121", Key: key})
//	…
//	result, err := c.Push(ctx, client.Push{
//		ID:    "order-7-shipped", // a retry with the same id pushes nothing twice
//		To:    client.Audience{Users: []string{"42"}},
//		Event: "order.shipped",
//		Data:  map[string]int{"order": 7},
//	})
//
// What the server refuses is a [*Problem]. docs/API.md says what each call and each code means.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// DefaultURL is where a server listens for pushes that nobody configured otherwise.
	DefaultURL = "http://127.0.0.1:2121"
	// DefaultTries is how often a call is made at most, if that is harmless, when Options.Tries is zero.
	DefaultTries = 3

	firstPause  = 200 * time.Millisecond // before the second try; doubled before each further one
	longestWait = 10 * time.Second       // of Retry-After: a server that is not back by then is for the caller to wait for
	maxAnswer   = 64 << 20               // bytes of one answer
)

// ErrUnreachable means that no answer came from the push port.
var ErrUnreachable = errors.New("the push port cannot be reached")

// Options say which server to call, and as whom.
type Options struct {
	// URL is the push port, http or https. A path in it is put before that of each call. Empty: DefaultURL.
	URL string

	// Key is one of api.keys, for servers that ask for one. It is sent in a header, and is in no error.
	Key string

	// Tries is how often a call is made, at most, when the server could not be reached or says 429, 502, 503 or 504. Only
	// calls that are harmless to repeat are: reading, and pushes with an id. Zero: DefaultTries. One: no repetition.
	Tries int

	// HTTP makes the requests. Nil: a client that shares http.DefaultTransport and has no time-out but that of the context.
	// Its CheckRedirect is not used: redirects are not followed.
	HTTP *http.Client
}

// Client calls one server. Its methods may be called by many goroutines at once.
type Client struct {
	base   *url.URL
	bearer string // the Authorization header; "": none
	tries  int
	http   *http.Client
}

// New returns a Client. It connects to nothing yet.
func New(o Options) (*Client, error) {
	if o.URL == "" {
		o.URL = DefaultURL
	}
	base, err := url.Parse(o.URL)
	switch {
	case err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "":
		return nil, errors.New("the URL of the push port is not of the form http://host:port or https://host")
	case base.User != nil || base.RawQuery != "" || base.Fragment != "":
		return nil, errors.New("the URL of the push port has a user, a query or a fragment: a key goes into Options.Key")
	case o.Tries < 0:
		return nil, fmt.Errorf("Options.Tries %d is negative", o.Tries)
	case strings.ContainsFunc(o.Key, func(r rune) bool { return r <= ' ' || r > '~' }):
		return nil, errors.New("the key has a blank or a character that is not ASCII")
	}
	c := &Client{base: base, tries: o.Tries, http: &http.Client{}}
	if c.tries == 0 {
		c.tries = DefaultTries
	}
	if o.Key != "" {
		c.bearer = "Bearer " + o.Key
	}
	if o.HTTP != nil {
		*c.http = *o.HTTP
	}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c, nil
}

// call is one request and what becomes of its answer.
type call struct {
	method string
	path   []string // segments, not escaped
	query  url.Values
	body   any  // sent as JSON; nil: none
	repeat bool // harmless to make twice
}

// do makes a call and decodes the answer into v.
func (c *Client) do(ctx context.Context, one call, v any) error {
	var body []byte
	if one.body != nil {
		var err error
		if body, err = encode(one.body); err != nil {
			return fmt.Errorf("encoding the request: %w", err)
		}
	}
	for try := 1; ; try++ {
		wait, err := c.once(ctx, one, body, v)
		if err == nil || wait < 0 || !one.repeat || try >= c.tries || ctx.Err() != nil {
			return err
		}
		pause := firstPause << (try - 1)
		pause = max(wait, pause/2+rand.N(pause)) // callers that failed together must not come back together
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}

// once makes a call once. wait is negative if it is no use to make it again, else the least time until then.
func (c *Client) once(ctx context.Context, one call, body []byte, v any) (wait time.Duration, err error) {
	request, err := c.request(ctx, one.method, one.path, bytes.NewReader(body))
	if err != nil {
		return -1, err
	}
	request.URL.RawQuery = one.query.Encode()
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := c.http.Do(request)
	if err != nil {
		return 0, unreachable(err)
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case err != nil:
		return 0, fmt.Errorf("reading the answer: %w", err)
	case len(answer) > maxAnswer:
		return -1, fmt.Errorf("the answer has more than %d bytes", maxAnswer)
	case response.StatusCode != http.StatusOK:
		p := problemOf(response, answer)
		return p.wait(), p
	}
	if err := json.Unmarshal(answer, v); err != nil {
		return -1, fmt.Errorf("the answer is not one of Crier's: %w", err)
	}
	return -1, nil
}

// request returns a request with the key in it.
func (c *Client) request(ctx context.Context, method string, path []string, body io.Reader) (*http.Request, error) {
	escaped := make([]string, len(path))
	for i, segment := range path {
		escaped[i] = escapeSegment(segment)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base.JoinPath(escaped...).String(), body)
	if err != nil {
		return nil, fmt.Errorf("making the request: %w", err)
	}
	if c.bearer != "" {
		request.Header.Set("Authorization", c.bearer)
	}
	request.Header.Set("User-Agent", "crier-go")
	return request, nil
}

// escapeSegment escapes a segment of a path, the dots of "." and ".." included, which would be taken for directories.
func escapeSegment(segment string) string {
	if segment == "." || segment == ".." {
		return strings.ReplaceAll(segment, ".", "%2E")
	}
	return url.PathEscape(segment)
}

// unreachable returns the error of a request that got no answer, without the noise of its method.
func unreachable(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, err)
}

// encode returns v as JSON, without the escaping meant for HTML.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
