package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"crier/api/outbound"
	"crier/io/jobs"
)

const (
	maxReply = 64 << 10 // bytes of a reply that are read, so that its connection can be used again
	farAhead = 365 * 24 * time.Hour
)

// deliver is the jobs.Handler: one try.
func (s *Sender) deliver(ctx context.Context, job jobs.Job) (retry bool, err error) {
	e, err := decodeEvent(job.Payload)
	if err != nil {
		return false, err
	}
	body := job.Payload
	if s.form {
		body = e.form()
	}
	return s.attempt(ctx, e.ID, body, job)
}

// deliverBatch is the jobs.BatchHandler. The body of a batch is the same on every try, like its id.
func (s *Sender) deliverBatch(ctx context.Context, id string, batch []jobs.Job) (retry bool, err error) {
	body := []byte(`{"events":[`)
	for i, job := range batch {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, job.Payload...)
	}
	return s.attempt(ctx, id, append(body, "]}"...), batch...)
}

// attempt posts a body that tells of callbacks.
func (s *Sender) attempt(ctx context.Context, id string, body []byte, callbacks ...jobs.Job) (retry bool, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, errTimeout)
	defer cancel()
	retry, err = s.post(ctx, id, body)
	if err == nil {
		s.report.delivered(callbacks)
	}
	return retry, err
}

// post makes the request. Only a status of 2xx is success.
func (s *Sender) post(ctx context.Context, id string, body []byte) (retry bool, err error) {
	contentType := "application/json"
	if s.form {
		contentType = "application/x-www-form-urlencoded"
	}
	answer, err := s.to.post(ctx, id, contentType, body, maxReply, true) // the webhook-id makes a repetition harmless
	switch {
	case errors.Is(err, errTimeout):
		return true, fmt.Errorf("%w, %v", errTimeout, s.timeout)
	case errors.Is(err, outbound.ErrBroken): // the status is all that matters
		s.report.log.Debug("the body of the answer to a callback could not be read", "error", err)
	case err != nil:
		return true, err
	}
	return judge(answer)
}

// judge says what an answer means.
func judge(answer outbound.Answer) (retry bool, err error) {
	code := answer.Status
	switch {
	case code >= 200 && code <= 299:
		return false, nil
	case code == http.StatusGone:
		return false, errors.New("the receiver answered 410 Gone, it wants this callback no more")
	case code >= 300 && code <= 399 && answer.Header.Get("Location") != "":
		err = fmt.Errorf("the receiver answered %d, a redirect to %s; redirects are not followed, set webhook.url to the final address",
			code, location(answer))
	default:
		err = fmt.Errorf("the receiver answered %s", strings.TrimSpace(fmt.Sprint(code, " ", http.StatusText(code))))
	}
	if wait, ok := retryAfter(answer.Header.Get("Retry-After"), time.Now()); ok {
		err = jobs.After(err, wait)
	}
	return true, err
}

// retryAfter reads the header of that name, seconds or an HTTP date (RFC 9110, section 10.2.3).
func retryAfter(value string, now time.Time) (time.Duration, bool) {
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil {
		return time.Duration(min(seconds, uint64(farAhead/time.Second))) * time.Second, true
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(at.Sub(now), farAhead), true
	}
	return 0, false
}

// location returns where a redirect leads, without what could be secret.
func location(answer outbound.Answer) string {
	if answer.Location == nil {
		return "an address that cannot be read"
	}
	const enough = 200
	text := outbound.Redact(answer.Location)
	if len(text) > enough {
		text = text[:enough] + "…"
	}
	return text
}
