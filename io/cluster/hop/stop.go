package hop

import (
	"context"
	"crypto/sha256"
	"errors"
	"maps"
	"net"
	"net/http"
	"slices"
	"time"
)

const (
	// nudgeTimeout bounds the request that has another server answer a poll.
	nudgeTimeout = 3 * time.Second
	// releaseInterval is how often Release looks for polls that wait.
	releaseInterval = 50 * time.Millisecond
)

func (p *Passer) enter(x *passing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.under[x] = struct{}{}
}

func (p *Passer) leave(x *passing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.under, x)
}

func (p *Passer) remember(t *tunnel) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tunnels[t] = struct{}{}
}

func (p *Passer) forget(t *tunnel) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.tunnels, t)
}

// Stats counts what goes through this server to others now.
type Stats struct {
	Requests   int // polls that wait, most of them
	WebSockets int
}

// Stats returns the counts.
func (p *Passer) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Stats{Requests: len(p.under), WebSockets: len(p.tunnels)}
}

// Retire returns what ends each of the WebSockets that go through this server; their clients come back.
func (p *Passer) Retire() []func() {
	p.mu.Lock()
	defer p.mu.Unlock()
	var ends []func()
	for t := range p.tunnels {
		ends = append(ends, t.end)
	}
	return ends
}

// end has the client find its WebSocket ended.
func (t *tunnel) end() { t.owner.Closed(net.ErrClosed) }

// Release has the polls that wait at this server for others answered by those, so that their clients notice nothing and poll
// elsewhere. It is for a server that takes no more requests, and ends with the last one under way, or with ctx.
func (p *Passer) Release(ctx context.Context) {
	again := time.NewTicker(releaseInterval)
	defer again.Stop()
	nudged := make(map[*passing]struct{})
	for {
		p.mu.Lock()
		waiting := slices.Collect(maps.Keys(p.under))
		p.mu.Unlock()
		if len(waiting) == 0 {
			return
		}
		for _, x := range waiting {
			if _, done := nudged[x]; !done && x.badge.kind == Visit && x.sent.Method == http.MethodGet {
				nudged[x] = struct{}{}
				p.nudge(ctx, x)
			}
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
	}
}

// nudge has a poll answered that waits.
func (p *Passer) nudge(ctx context.Context, x *passing) {
	ctx, cancel := context.WithTimeout(ctx, nudgeTimeout)
	defer cancel()
	address := *x.to
	address.Path, address.RawPath, address.RawQuery = x.sent.URL.Path, x.sent.URL.RawPath, x.sent.URL.RawQuery
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		p.complain(x.tag, err)
		return
	}
	again := *x
	again.badge.kind, again.badge.body = Nudge, sha256.Sum256(nil)
	again.sign(r)
	resp, err := p.carrier.RoundTrip(r)
	if err == nil {
		err = errors.Join(refusal(resp), resp.Body.Close())
	}
	if err != nil {
		p.complain(x.tag, err)
	}
}

// Close lets go of idle connections. What is under way ends with its requests, and WebSockets with their poller.
func (p *Passer) Close() { p.carrier.CloseIdleConnections() }
