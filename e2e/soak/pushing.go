//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// pushing are the calls of the business's servers.
type pushing struct {
	at                      string
	http                    *http.Client
	pushed, stored, toEvery atomic.Int64
}

func newPushing(addr string) *pushing {
	return &pushing{at: "http://" + addr, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}}
}

// rest closes the connections that wait for the next call.
func (p *pushing) rest() { p.http.CloseIdleConnections() }

func (p *pushing) counts() (pushed, stored, toAll int) {
	return int(p.pushed.Load()), int(p.stored.Load()), int(p.toEvery.Load())
}

// refusal is an answer without what it has to hold.
type refusal struct{ push, answer, want string }

func (e *refusal) Error() string {
	return fmt.Sprintf("the push %s was answered %.300q, not %s", e.push, e.answer, e.want)
}

// call makes a call, whose answer has to hold this.
func (p *pushing) call(ctx context.Context, path, kind, body, want string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.at+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", kind)
	resp, err := p.http.Do(r)
	if err != nil {
		return fmt.Errorf("pushing: %w", err)
	}
	answer, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return fmt.Errorf("pushing: %w", err)
	}
	if !strings.Contains(string(answer), want) {
		return &refusal{body, string(answer), want}
	}
	return nil
}

const form = "application/x-www-form-urlencoded"

// to pushes to a user who is there.
func (p *pushing) to(ctx context.Context, uid, content string, legacy bool) error {
	p.pushed.Add(1)
	if legacy {
		return p.call(ctx, "/", form, url.Values{"type": {"publish"}, "to": {uid}, "content": {content}}.Encode(), "ok")
	}
	return p.call(ctx, "/v1/push", "application/json", fmt.Sprintf(`{"to":{"users":[%q]},"data":%q}`, uid, content), `"connections":1`)
}

// soon pushes to a user who is about to be there.
func (p *pushing) soon(ctx context.Context, uid, content string, legacy bool) error {
	for {
		var absent *refusal
		if err := p.to(ctx, uid, content, legacy); !errors.As(err, &absent) || ctx.Err() != nil {
			return err
		}
	}
}

// store pushes to a user who is not there yet, for as long as it may take until it comes.
func (p *pushing) store(ctx context.Context, uid, content string) error {
	p.stored.Add(1)
	return p.call(ctx, "/v1/push", "application/json", fmt.Sprintf(`{"to":{"users":[%q]},"data":%q,"ttl":"30s"}`, uid, content), `"stored":true`)
}

// toAll is what contents for everybody begin with.
const toAll = "to all "

// everybody pushes to everybody, ten times a second, until ctx ends.
func (p *pushing) everybody(ctx context.Context) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		n := p.toEvery.Add(1)
		err := p.call(ctx, "/", form, url.Values{"type": {"publish"}, "content": {fmt.Sprint(toAll, n)}}.Encode(), "ok")
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
}
