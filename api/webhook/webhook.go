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
	// MaxAttempts gives a callback up after so many failures; 0 means that only its age counts.
	MaxAttempts int
	// Concurrency is how many requests may be in flight, never two of one user; 0 means 16.
	Concurrency int
	// Batch, above 1, has up to so many callbacks sent in one request, as {"events":[…]}; for FormatJSON only. Users are
	// then spread over Concurrency lines, each of which has one request in flight.
	Batch int
	// MaxPending is how many callbacks may wait; 0 means 100,000, or 1,000,000 with an Outbox. Presence refuses more.
	MaxPending int
	// Node is the name of this server, for the field of that name.
	Node string
	// Outbox keeps what is to be sent beyond the end of the program; nil means in memory.
	Outbox Outbox
	// Queue, if not nil, is a durable queue that others add to, by a Composer, as TakeUp is told; there is no Outbox then, and
	// Presence is not to be called.
	Queue jobs.Queue
	// Transport sends the requests; nil means one of the Sender's own, which keeps connections open and uses the
	// proxy settings of the environment.
	Transport http.RoundTripper
	// Logger nil means slog.Default.
	Logger *slog.Logger
}

// Outbox is a durable queue of callbacks, and the record of who is online.
type Outbox interface {
	jobs.Queue
	// AddPresence stores jobs, as Add does, together with the changes that they tell of: all or nothing. There may be
	// fewer jobs than changes, or none.
	AddPresence(jobs []jobs.Job, changes []hub.PresenceChange) error
}

// Sender sends callbacks. Make one with New, and Close it.
type Sender struct {
	to      *endpoint
	form    bool
	events  []string
	node    string
	timeout time.Duration
	outbox  Outbox // nil: in memory, or a Queue
	kept    string // what the log says when the Sender is closed and others will send the rest; empty: nobody will
	log     *slog.Logger
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
		outbox:  opts.Outbox,
		log:     opts.Logger,
		report:  newReporter(opts.Logger.With("url", to.String())),
	}
	work := jobs.Options{
		Concurrency: opts.Concurrency,
		MaxJobs:     opts.MaxPending,
		MaxAttempts: opts.MaxAttempts,
		MaxAge:      opts.Retention,
		Failed:      s.report.failed,
		Logger:      opts.Logger,
	}
	if opts.Outbox != nil {
		work.Queue, s.kept = opts.Outbox, "callbacks wait in the store for the next start"
	} else if opts.Queue != nil {
		work.Queue, s.kept = opts.Queue, "callbacks wait for the next server that leads"
	}
	if opts.Batch > 1 {
		work.Batch = &jobs.Batch{Handler: s.deliverBatch, Max: opts.Batch}
	} else {
		work.Handler = s.deliver
	}
	if s.runner, err = jobs.New(work); err != nil {
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
	events, err := wanted(o.Events)
	if err != nil {
		return err
	}
	o.Events = events
	if o.Batch > 1 && o.Format == FormatForm {
		return fmt.Errorf("callbacks can be sent in batches of %d in the format %s only", o.Batch, FormatJSON)
	}
	if o.Batch < 0 || o.Timeout < 0 || o.Retention < 0 || o.MaxAttempts < 0 || o.Concurrency < 0 || o.MaxPending < 0 {
		return errors.New("a time or limit is negative")
	}
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Retention == 0 {
		o.Retention = 72 * time.Hour
	}
	if o.Concurrency == 0 {
		o.Concurrency = 16
	}
	if o.MaxPending == 0 && (o.Outbox != nil || o.Queue != nil) {
		o.MaxPending = 1_000_000
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return nil
}

// Presence takes changes, all or none, and sends the callbacks of those whose event is wanted. An Outbox has them all when
// it returns. Those of one user arrive in the order of the calls. It does not wait for the receiver. The error wraps
// jobs.ErrFull when too many callbacks wait already, jobs.ErrClosed after Close, or is the Outbox's.
func (s *Sender) Presence(changes []hub.PresenceChange) error {
	batch := make([]jobs.Job, 0, len(changes))
	for _, c := range changes {
		if !slices.Contains(s.events, eventType(c)) {
			continue
		}
		payload, err := newEvent(c, s.node).encode()
		if err != nil {
			return err
		}
		batch = append(batch, jobs.Job{Key: c.UID, Payload: payload})
	}
	var err error
	switch {
	case s.outbox != nil:
		err = s.runner.PutBy(func(js []jobs.Job) error { return s.outbox.AddPresence(js, changes) }, batch...)
	case len(batch) > 0:
		err = s.runner.Put(batch...)
	}
	if err != nil {
		return fmt.Errorf("queueing callbacks: %w", err)
	}
	s.report.waiting(s.runner.Stats().Waiting)
	return nil
}

// wanted checks the names of events; none means all.
func wanted(events []string) ([]string, error) {
	known := []string{UserOnline, UserOffline}
	for _, e := range events {
		if !slices.Contains(known, e) {
			return nil, fmt.Errorf("there is no event %q, only %s", e, strings.Join(known, " and "))
		}
	}
	if len(events) == 0 {
		return known, nil
	}
	return events, nil
}

// TakeUp sends callbacks that somebody else has added to the Queue.
func (s *Sender) TakeUp(callback jobs.Job) {
	s.runner.TakeUp(callback)
	s.report.waiting(s.runner.Stats().Waiting)
}

// Stats returns how many callbacks wait and what became of the others. A "job" of it is a callback.
func (s *Sender) Stats() jobs.Stats { return s.runner.Stats() }

// Dead returns up to limit callbacks that were given up, those whose number is greater than after, and whether there are
// more. A job's Payload is the callback as JSON, its Key the uid.
func (s *Sender) Dead(after uint64, limit int) (dead []jobs.Job, more bool, err error) {
	return s.runner.Dead(after, limit)
}

// Replay sends callbacks that were given up once more, with the same ids; see jobs.Runner.Replay.
func (s *Sender) Replay(numbers ...uint64) (int, error) { return s.runner.Replay(numbers...) }

// Tries returns the latest tries, newest first; see jobs.Runner.Tries. A Try's Payload is the callback as JSON, its Key the uid.
func (s *Sender) Tries(before uint64, limit int) (latest []jobs.Try, more bool) {
	return s.runner.Tries(before, limit)
}

// Close takes no more callbacks. Without an Outbox or a Queue it delivers what is pending until ctx ends; see jobs.Runner.Close for
// which are tried again. The error says how many were left, and wraps ErrUndelivered. With one, it lets the requests under
// way end; the rest is delivered after the next start, or by who has the Queue then.
func (s *Sender) Close(ctx context.Context) error {
	defer s.to.CloseIdle()
	if s.kept != "" {
		if left := s.runner.Stop(ctx); left > 0 {
			s.log.Info(s.kept, "callbacks", left)
		}
		return nil
	}
	if left := s.runner.Close(ctx); left > 0 {
		return fmt.Errorf("%d %w to %s", left, ErrUndelivered, s.to)
	}
	return nil
}
