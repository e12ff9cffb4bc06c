package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"crier/api/outbound"
)

var errTimeout = errors.New("the receiver did not answer in time")

// endpoint is an address of the business API, and what signs what is posted to it.
type endpoint struct {
	*outbound.Endpoint
	signer *Signer
}

// newEndpoint checks the address and the secrets. Its errors repeat neither. A nil transport means one of its own, which
// keeps so many connections.
func newEndpoint(address string, secrets []string, transport http.RoundTripper, connections int) (*endpoint, error) {
	to, err := outbound.New(address, connections, transport)
	if err != nil {
		return nil, err
	}
	signer, err := NewSigner(secrets...)
	if err != nil {
		return nil, err
	}
	return &endpoint{to, signer}, nil
}

// post makes one signed request and returns the answer, of which it reads up to limit+1 bytes of the body. A ctx that ends
// with the cause errTimeout makes the error that, unless there is an answer, which [outbound.ErrBroken] says. A repeatable request may be made again when a kept connection turns out
// to be dead, without anybody knowing what became of the first.
func (e *endpoint) post(ctx context.Context, id, contentType string, body []byte, limit int64, repeatable bool) (outbound.Answer, error) {
	req, err := e.Request(ctx, http.MethodPost, body)
	if err != nil {
		return outbound.Answer{}, err
	}
	req.Header.Set("Content-Type", contentType)
	if repeatable {
		outbound.Repeatable(req)
	}
	e.signer.Header(req.Header, id, time.Now(), body)
	answer, err := e.Do(req, limit)
	switch {
	case err == nil, errors.Is(err, outbound.ErrBroken):
		return answer, err
	case errors.Is(context.Cause(ctx), errTimeout):
		return outbound.Answer{}, errTimeout
	default:
		return outbound.Answer{}, fmt.Errorf("calling the receiver: %w", err)
	}
}
