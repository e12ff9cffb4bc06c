package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"crier/api/outbound"
)

const (
	maxReply      = 64 << 10        // bytes of a reply
	maxAsking     = 64              // questions under way at once
	maxWaiting    = 4096            // questions under way and waiting for their turn
	maxRemembered = 10000           // answers in the cache
	warnEvery     = 5 * time.Second // the least time between two complaints in the log
)

// CallbackOptions are the settings of a [Callback].
type CallbackOptions struct {
	// URL is the business API: http or https, with user, password and query if need be.
	URL string
	// Timeout is how long a question may take, the wait for its turn included. 0: 3 s.
	Timeout time.Duration
	// Sign adds the headers that prove where the question comes from. Nil: none.
	Sign func(h http.Header, id string, at time.Time, body []byte)
	// Transport sends the questions. Nil: one of the Callback's own, which keeps connections open and uses the proxy
	// settings of the environment.
	Transport http.RoundTripper
	// Logger is told when the business API fails, not who was refused. Nil: nothing is logged.
	Logger *slog.Logger
}

// Callback asks the business API who a client is:
//
//	POST {"uid":"…","token":"…","headers":{"cookie":"…","authorization":"…",…},"query":{"name":"value"},"ip":"…"}
//
// uid and token are left out if the client gave none. 200 with {"uid","rooms"?,"expires"?} is who it is; expires is seconds
// since 1970 or an RFC 3339 time, and until then the answer holds for the same question, or until [Callback.Forget]. 401 and
// 403 refuse. Anything else is a failure, [ErrUnavailable]. All its methods may be called by many goroutines at once.
type Callback struct {
	// static
	to      *outbound.Endpoint
	timeout time.Duration
	sign    func(h http.Header, id string, at time.Time, body []byte)
	log     *slog.Logger
	turns   chan struct{}
	salt    []byte          // of the cache's keys
	ctx     context.Context // ends the questions; not a request's
	cancel  context.CancelFunc
	asking  sync.WaitGroup

	mu     sync.Mutex
	closed bool
	open   map[question]*inquiry
	known  memory
	forgot uint64 // how often Forget was called
	warned time.Time
}

// A question is a hash of what is asked.
type question [sha256.Size]byte

// An inquiry is a question under way. id and err are set when done is closed.
type inquiry struct {
	done   chan struct{}
	forgot uint64 // the Callback's, when it began
	id     Identity
	err    error
}

// NewCallback returns a Callback; the caller must call [Callback.Close] in the end. The error does not repeat the URL.
func NewCallback(o CallbackOptions) (*Callback, error) {
	to, err := outbound.New(o.URL, maxAsking, o.Transport)
	if err != nil {
		return nil, fmt.Errorf("asking who clients are: %w", err)
	}
	if o.Timeout < 0 {
		return nil, errors.New("asking who clients are: the time-out is negative")
	}
	if o.Timeout == 0 {
		o.Timeout = 3 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Callback{
		to: to, timeout: o.Timeout, sign: o.Sign, log: o.Logger,
		turns: make(chan struct{}, maxAsking),
		salt:  []byte(rand.Text()),
		open:  make(map[question]*inquiry),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c, nil
}

// Authenticate asks, or remembers; who asks the same at the same time shares one question. The error wraps [ErrRefused],
// [ErrExpired] or [ErrUnavailable]. It takes up to the time-out, and not longer than ctx.
func (c *Callback) Authenticate(ctx context.Context, r Request) (Identity, error) {
	if len(r.Token) > maxToken {
		return Identity{}, refused("it is too long")
	}
	body, err := encode(r)
	if err != nil {
		return Identity{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	inq, id, err := c.inquire(c.hash(body), body)
	if inq == nil {
		return id, err
	}
	select {
	case <-inq.done:
		return inq.id, inq.err
	case <-ctx.Done():
		return Identity{}, unavailable("the server stopped waiting")
	}
}

// inquire finds the answer, or the question under way, or begins one.
func (c *Callback) inquire(q question, body []byte) (*inquiry, Identity, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if id, ok := c.known.find(q, time.Now()); ok {
		return nil, id, nil
	}
	if inq := c.open[q]; inq != nil {
		return inq, Identity{}, nil
	}
	if c.closed {
		return nil, Identity{}, unavailable("the server is stopping")
	}
	if len(c.open) >= maxWaiting {
		return nil, Identity{}, unavailable("too many are waiting")
	}
	inq := &inquiry{done: make(chan struct{}), forgot: c.forgot}
	c.open[q] = inq
	c.asking.Go(func() { c.settle(q, inq, body) })
	return inq, Identity{}, nil
}

// settle gets the answer of a question.
func (c *Callback) settle(q question, inq *inquiry, body []byte) {
	ctx, cancel := context.WithTimeout(c.ctx, c.timeout)
	defer cancel()
	id, err := c.ask(ctx, body)
	c.complain(err)
	c.mu.Lock()
	defer c.mu.Unlock()
	inq.id, inq.err = id, err
	if err == nil && !id.Expires.IsZero() && inq.forgot == c.forgot { // else the answer may be from before
		c.known.keep(q, id)
	}
	delete(c.open, q)
	close(inq.done)
}

// complain logs a failure of the business API, not too often.
func (c *Callback) complain(err error) {
	if !errors.Is(err, ErrUnavailable) || c.ctx.Err() != nil {
		return
	}
	c.mu.Lock()
	quiet := time.Since(c.warned) < warnEvery
	if !quiet {
		c.warned = time.Now()
	}
	c.mu.Unlock()
	if !quiet {
		c.log.Warn("the business API does not say who clients are (setting `auth.callback.url`)", "url", c.to.String(), "error", err)
	}
}

// ask makes the request, when its turn has come.
func (c *Callback) ask(ctx context.Context, body []byte) (Identity, error) {
	select {
	case c.turns <- struct{}{}:
		defer func() { <-c.turns }()
	case <-ctx.Done():
		return Identity{}, unavailable("too many are waiting")
	}
	req, err := c.to.Request(ctx, http.MethodPost, body)
	if err != nil {
		return Identity{}, unavailable("the request cannot be made")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	outbound.Repeatable(req)
	if c.sign != nil {
		c.sign(req.Header, "auth_"+rand.Text(), time.Now(), body)
	}
	resp, err := c.to.Do(req)
	switch {
	case err != nil && ctx.Err() != nil:
		return Identity{}, unavailable("no answer within " + c.timeout.String())
	case err != nil:
		return Identity{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	reply, err := io.ReadAll(io.LimitReader(resp.Body, maxReply+1))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return Identity{}, unavailable("the answer broke off")
	}
	return judge(resp.StatusCode, reply)
}

// Forget has the business API asked again about clients who are the user, whatever expires it answered.
func (c *Callback) Forget(uid string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgot++
	c.known.forget(uid)
}

// Close ends the questions under way, as failures, and waits for that.
func (c *Callback) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.asking.Wait()
	c.to.CloseIdle()
}

// hash is what an answer is remembered by: nobody who reads memory finds the token in it.
func (c *Callback) hash(body []byte) (q question) {
	mac := hmac.New(sha256.New, c.salt)
	mac.Write(body)
	return question(mac.Sum(nil))
}

// judge says what an answer means. Nothing of it is repeated in an error but the status.
func judge(status int, reply []byte) (Identity, error) {
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return Identity{}, refused(fmt.Sprintf("the business API answered %d", status))
	case status != http.StatusOK:
		return Identity{}, unavailable(fmt.Sprintf("the answer is %d, want 200, 401 or 403, and no redirect", status))
	case len(reply) > maxReply:
		return Identity{}, unavailable(fmt.Sprintf("the answer has more than %d bytes", maxReply))
	}
	var who struct {
		UID     uidText  `json:"uid"`
		Rooms   []string `json:"rooms"`
		Expires moment   `json:"expires"`
	}
	if err := json.Unmarshal(reply, &who); err != nil {
		return Identity{}, unavailable(`the answer is not {"uid","rooms","expires"}`)
	}
	id := Identity{UID: string(who.UID), Rooms: who.Rooms, Expires: time.Time(who.Expires)}
	switch {
	case id.UID == "":
		return Identity{}, unavailable("the answer is 200 but names no uid; 401 or 403 would refuse")
	case !id.Expires.IsZero() && !time.Now().Before(id.Expires):
		return Identity{}, expired("what the business API answered is over")
	}
	return id, nil
}

// encode writes the question. The same client asking the same gives the same bytes.
func encode(r Request) ([]byte, error) {
	ask := struct {
		UID     string            `json:"uid,omitempty"`
		Token   string            `json:"token,omitempty"`
		Headers map[string]string `json:"headers"`
		Query   map[string]string `json:"query"`
		IP      string            `json:"ip"`
	}{r.UID, r.Token, make(map[string]string), make(map[string]string), r.IP}
	for name, values := range r.Header {
		name = strings.ToLower(name)
		separator := ", " // RFC 9110 section 5.3
		if name == "cookie" {
			separator = "; " // RFC 9113 section 8.2.3
		}
		if !ofTheHop(name) {
			ask.Headers[name] = strings.Join(values, separator)
		}
	}
	for name, values := range r.Query {
		if !OfTheEngine(name) && len(values) > 0 {
			ask.Query[name] = values[len(values)-1] // as PHP has it
		}
	}
	body, err := json.Marshal(ask)
	if err != nil {
		return nil, errors.New("the question cannot be written")
	}
	return body, nil
}

// ofTheHop reports whether a header is about this connection or this very request, and says nothing about the client
// (RFC 9110 section 7.6.1, RFC 6455 section 4.1).
func ofTheHop(name string) bool {
	return strings.HasPrefix(name, "sec-websocket-") || strings.HasPrefix(name, "proxy-") || strings.HasPrefix(name, "content-") ||
		slices.Contains([]string{"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "accept", "accept-encoding", "cache-control", "pragma"}, name)
}

// OfTheEngine reports whether a query parameter is Engine.IO's own, and says nothing about the client.
func OfTheEngine(name string) bool {
	return slices.Contains([]string{"EIO", "transport", "sid", "t", "b64", "j"}, name)
}
