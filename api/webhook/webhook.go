// Package webhook tells a business server over HTTP who came and who went: signed callbacks in the form of Standard
// Webhooks 1.0, in order per user, repeated until the server takes them.
package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"crier/io/hub"
	"crier/io/jobs"
)

// The formats of a callback's body.
const (
	FormatJSON = "json" // {"id","type","time","node","data":{"uid","version","connections","cause"}}
	FormatForm = "form" // event=online|offline&uid=&version=&time=&id=, urlencoded, as PHP's $_POST reads it
)

// ErrUndelivered is wrapped by the error of Close when callbacks were left.
var ErrUndelivered = errors.New("callbacks were not delivered")

// Options says where callbacks go and how.
type Options struct {
	// URL gets the POSTs: http or https. User and password in it become Basic authorization. Required.
	URL string
	// Secrets sign each callback, several of them while one replaces another; see NewSigner for their form. With none the
	// callbacks are not signed.
	Secrets []string
	// Format is FormatJSON or FormatForm; empty means JSON.
	Format string
	// Events says which to send; none means all, that is UserOnline and UserOffline.
	Events []string
	// Timeout is for one try, from the dialling to the end of the reply; 0 means 10 s.
	Timeout time.Duration
	// Retention is how long after its event a callback that fails is given up; 0 means 72 h. Until then the later ones
	// of the same user wait.
	Retention time.Duration
	// MaxAttempts gives a callback up after so many failures; 0 means 2,000, more than fit into 72 h.
	MaxAttempts int
	// Concurrency is how many requests may be in flight, never two of one user; 0 means 16.
	Concurrency int
	// MaxPending is how many callbacks may wait; 0 means 100,000. Newer ones are then dropped, counted and logged.
	MaxPending int
	// Node is the name of this server, for the field of that name.
	Node string
	// Queue keeps what is to be sent; nil means in memory.
	Queue jobs.Queue
	// Transport sends the requests; nil means one of the Sender's own, which keeps connections open and uses the
	// proxy settings of the environment.
	Transport http.RoundTripper
	// Logger nil means slog.Default.
	Logger *slog.Logger
}

// Sender sends callbacks. Make one with New, and Close it.
type Sender struct {
	to      *endpoint
	form    bool
	events  []string
	node    string
	timeout time.Duration
	report  *reporter
	runner  *jobs.Runner
}

// New checks the options and starts a Sender. Its errors name the mistake, but neither the URL nor a secret.
func New(opts Options) (*Sender, error) {
	if err := opts.complete(); err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	to, err := newEndpoint(opts.URL, opts.Secrets, opts.Transport, opts.Concurrency)
	if err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	s := &Sender{
		to:      to,
		form:    opts.Format == FormatForm,
		events:  opts.Events,
		node:    opts.Node,
		timeout: opts.Timeout,
		report:  newReporter(opts.Logger.With("url", redact(to.url))),
	}
	s.runner, err = jobs.New(jobs.Options{
		Handler:     s.deliver,
		Queue:       opts.Queue,
		Concurrency: opts.Concurrency,
		MaxJobs:     opts.MaxPending,
		MaxAttempts: opts.MaxAttempts,
		MaxAge:      opts.Retention,
		Failed:      s.report.failed,
		Logger:      opts.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	return s, nil
}

func (o *Options) complete() error {
	switch o.Format {
	case "", FormatJSON, FormatForm:
	default:
		return fmt.Errorf("the format is %q, but must be %s or %s", o.Format, FormatJSON, FormatForm)
	}
	known := []string{UserOnline, UserOffline}
	for _, e := range o.Events {
		if !slices.Contains(known, e) {
			return fmt.Errorf("there is no event %q, only %s", e, strings.Join(known, " and "))
		}
	}
	if len(o.Events) == 0 {
		o.Events = known
	}
	if o.Timeout < 0 || o.Retention < 0 || o.MaxAttempts < 0 || o.Concurrency < 0 || o.MaxPending < 0 {
		return errors.New("a time or limit is negative")
	}
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Retention == 0 {
		o.Retention = 72 * time.Hour
	}
	if o.MaxAttempts == 0 {
		o.MaxAttempts = 2000
	}
	if o.Concurrency == 0 {
		o.Concurrency = 16
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return nil
}

// Presence sends the callback of a change, if that event is wanted. Those of one user arrive in the order of the
// calls. It does not wait for the receiver. What cannot be queued is counted and logged.
func (s *Sender) Presence(c hub.PresenceChange) {
	if !slices.Contains(s.events, eventType(c)) {
		return
	}
	e := newEvent(c, s.node)
	payload, err := e.encode()
	if err == nil {
		err = s.runner.Put(jobs.Job{Key: c.UID, Payload: payload})
	}
	if err != nil {
		s.report.refused(e, err)
	}
}

// Stats returns how many callbacks wait and what became of the others. A "job" of it is a callback.
func (s *Sender) Stats() jobs.Stats { return s.runner.Stats() }

// Close takes no more callbacks and delivers what is pending until ctx ends; see jobs.Runner.Close for which are
// tried again. The error says how many were left, and wraps ErrUndelivered.
func (s *Sender) Close(ctx context.Context) error {
	left := s.runner.Close(ctx)
	s.to.closeIdle()
	if left > 0 {
		return fmt.Errorf("%d %w to %s", left, ErrUndelivered, redact(s.to.url))
	}
	return nil
}
