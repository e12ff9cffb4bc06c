package webhook

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"
	"unicode/utf8"
)

// ClientEventType is the type of a forwarded event.
const ClientEventType = "client.event"

// Why a forwarded event has no answer. The business API may have taken it all the same, except with ErrBusy and ErrStopping.
var (
	ErrBusy        = errors.New("too many events are waiting for the business API")
	ErrStopping    = errors.New("the server is stopping")
	ErrNoAnswer    = errors.New("the business API did not answer in time")
	ErrUnavailable = errors.New("the business API could not be reached, or failed")
	ErrRefused     = errors.New("the business API refused the event")
	ErrBadAnswer   = errors.New("the business API did not answer with JSON")
)

const (
	forwardsAtOnce       = 64       // requests under way
	maxForwards          = 4096     // events under way and waiting
	maxForwardsOfOne     = 64       // the same, of one connection
	maxForwardBytes      = 16 << 20 // arguments of them all
	defaultForwardAnswer = 1 << 20
)

// ForwardOptions says where events of clients go and how.
type ForwardOptions struct {
	// URL gets the POSTs: http or https. User and password in it become Basic authorization. Required.
	URL string
	// Secrets sign each request, as those of [Options].
	Secrets []string
	// Timeout is how long an event may take from its arrival to the end of its answer, the wait for its turn included;
	// 0 means 5 s.
	Timeout time.Duration
	// MaxAnswer is the greatest size of an answer in bytes; 0 means 1 MiB.
	MaxAnswer int64
	// Node is the name of this server, for the field of that name.
	Node string
	// Transport and Logger are as those of [Options].
	Transport http.RoundTripper
	Logger    *slog.Logger
}

// Forwarder hands events of clients to the business API:
//
//	POST {"id","type":"client.event","time","node","data":{"uid"?,"connection","event","args":[…]}}
//
// signed like a callback. Events of one connection are handed over one after the other, in their order; those of
// different connections do not wait for each other. Nothing is tried twice: the client hears of a failure and decides.
type Forwarder struct {
	// static
	to        *endpoint
	node      string
	timeout   time.Duration
	maxAnswer int64
	log       *slog.Logger
	turns     chan struct{}
	ctx       context.Context // ends the requests under way
	cancel    context.CancelFunc
	tasks     sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	waiting int                   // events in lines and under way
	bytes   int                   // of their bodies
	lines   map[string]*eventLine // by connection; with one goroutine each
	failed  gate
}

// ClientEvent is an event that a client sent.
type ClientEvent struct {
	UID        string            `json:"uid,omitempty"` // empty: not logged in
	Connection string            `json:"connection"`
	Event      string            `json:"event"`
	Args       []json.RawMessage `json:"args"` // not kept after Forward
}

// eventLine is what one connection has sent and nobody has begun to forward yet.
type eventLine struct {
	events []forwarded
}

type forwarded struct {
	id      string
	body    []byte
	expires time.Time
	answer  func(json.RawMessage, error)
}

// NewForwarder checks the options and returns a Forwarder, which must be closed in the end. Its errors repeat neither
// the URL nor a secret.
func NewForwarder(o ForwardOptions) (*Forwarder, error) {
	to, err := newEndpoint(o.URL, o.Secrets, o.Transport, forwardsAtOnce)
	if err != nil {
		return nil, fmt.Errorf("forwarding events: %w", err)
	}
	if o.Timeout < 0 || o.MaxAnswer < 0 {
		return nil, errors.New("forwarding events: a time or limit is negative")
	}
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second
	}
	if o.MaxAnswer == 0 {
		o.MaxAnswer = defaultForwardAnswer
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	f := &Forwarder{
		to: to, node: o.Node, timeout: o.Timeout, maxAnswer: o.MaxAnswer,
		log:   o.Logger.With("url", to.String()),
		turns: make(chan struct{}, forwardsAtOnce),
		lines: make(map[string]*eventLine),
	}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	return f, nil
}

// Forward takes an event and calls answer once, from another goroutine, with the JSON that the business API answered
// (nil for an empty answer) or an error that wraps one of those of this package. It does not block. If it returns an
// error, ErrBusy or ErrStopping, answer is not called.
func (f *Forwarder) Forward(e ClientEvent, answer func(json.RawMessage, error)) error {
	if e.Args == nil {
		e.Args = []json.RawMessage{}
	}
	now := time.Now()
	id := "evt_" + rand.Text()
	body, err := encodeJSON(struct {
		ID   string      `json:"id"`
		Type string      `json:"type"`
		Time string      `json:"time"`
		Node string      `json:"node"`
		Data ClientEvent `json:"data"`
	}{id, ClientEventType, now.UTC().Format(timeFormat), f.node, e})
	if err != nil {
		return fmt.Errorf("encoding an event: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.lines[e.Connection]
	switch {
	case f.closed:
		return ErrStopping
	case f.waiting >= maxForwards, f.bytes+len(body) > maxForwardBytes, l != nil && len(l.events) >= maxForwardsOfOne:
		return ErrBusy
	}
	f.waiting++
	f.bytes += len(body)
	if l == nil {
		l = new(eventLine)
		f.lines[e.Connection] = l
		f.tasks.Go(func() { f.run(e.Connection, l) })
	}
	l.events = append(l.events, forwarded{id, body, now.Add(f.timeout), answer})
	return nil
}

// run forwards the events of one connection until there are none.
func (f *Forwarder) run(connection string, l *eventLine) {
	for {
		f.mu.Lock()
		if len(l.events) == 0 {
			delete(f.lines, connection)
			f.mu.Unlock()
			return
		}
		e := l.events[0]
		l.events[0] = forwarded{}
		l.events = l.events[1:]
		f.mu.Unlock()

		answer, err := f.forward(e)
		f.complain(err)
		e.answer(answer, err)

		f.mu.Lock()
		f.waiting--
		f.bytes -= len(e.body)
		f.mu.Unlock()
	}
}

// forward makes the request when its turn has come.
func (f *Forwarder) forward(e forwarded) (json.RawMessage, error) {
	ctx, cancel := context.WithDeadlineCause(f.ctx, e.expires, errTimeout)
	defer cancel()
	select {
	case f.turns <- struct{}{}:
		defer func() { <-f.turns }()
	case <-ctx.Done():
	}
	switch {
	case f.ctx.Err() != nil:
		return nil, ErrStopping
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%w, %v", ErrNoAnswer, f.timeout)
	}
	resp, err := f.to.post(ctx, e.id, "application/json", e.body, false)
	switch {
	case errors.Is(err, errTimeout):
		return nil, fmt.Errorf("%w, %v", ErrNoAnswer, f.timeout)
	case err != nil && f.ctx.Err() != nil:
		return nil, ErrStopping
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, f.maxAnswer+1))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		if errors.Is(context.Cause(ctx), errTimeout) {
			return nil, fmt.Errorf("%w, %v", ErrNoAnswer, f.timeout)
		}
		return nil, fmt.Errorf("%w: the answer broke off", ErrUnavailable)
	}
	return f.judge(resp.StatusCode, body)
}

// judge says what an answer means. Nothing of its body is repeated in an error.
func (f *Forwarder) judge(status int, body []byte) (json.RawMessage, error) {
	switch {
	case status >= 400 && status <= 499:
		return nil, fmt.Errorf("%w: it answered %d", ErrRefused, status)
	case status < 200 || status > 299:
		return nil, fmt.Errorf("%w: it answered %d, want 2xx, and no redirect", ErrUnavailable, status)
	case int64(len(body)) > f.maxAnswer:
		return nil, fmt.Errorf("%w: it has more than %d bytes", ErrBadAnswer, f.maxAnswer)
	}
	if body = bytes.TrimSpace(body); len(body) == 0 {
		return nil, nil
	}
	if !utf8.Valid(body) || !json.Valid(body) {
		return nil, ErrBadAnswer
	}
	return body, nil
}

// complain logs that the business API fails, at most once a minute; what it refuses is between it and the client.
func (f *Forwarder) complain(err error) {
	if err == nil || errors.Is(err, ErrRefused) || errors.Is(err, ErrStopping) {
		return
	}
	f.mu.Lock()
	n, ok := f.failed.pass()
	f.mu.Unlock()
	if ok {
		f.log.Warn("events of clients are not being forwarded (setting `forward.url`); this is the latest", "error", err, "failures_since_last_report", n)
	}
}

// Close takes no more events and waits for those that there are until ctx ends; what is left then is answered with
// ErrStopping. It may be called again.
func (f *Forwarder) Close(ctx context.Context) {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	idle := make(chan struct{})
	go func() {
		f.tasks.Wait()
		close(idle)
	}()
	select {
	case <-idle:
	case <-ctx.Done():
	}
	f.cancel()
	<-idle
	f.to.CloseIdle()
}
