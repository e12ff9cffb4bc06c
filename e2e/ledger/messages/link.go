package messages

import (
	"context"
	"errors"
	"time"

	"crier/api/client"
	"crier/e2e/ledger/stage"
)

// links pushes messages over a lasting link, and over another one when that breaks: first what was not answered.
func (p *publisher) links(ctx context.Context) error {
	var waiting []message
	for {
		left, err := p.link(ctx, waiting)
		if err == nil {
			return nil
		}
		if waiting = left; ctx.Err() != nil {
			return context.Cause(ctx)
		}
		tries := 1
		if len(waiting) > 0 {
			tries = waiting[0].tries
		}
		if err := p.again(ctx, err, max(tries, 1)); err != nil {
			return err
		}
		gone, err := p.abandon(waiting)
		if err != nil {
			return err
		}
		if gone {
			waiting = nil
		}
	}
}

// link pushes waiting messages, and then new ones, over a link until there are enough. It returns what was not answered.
func (p *publisher) link(ctx context.Context, waiting []message) (left []message, err error) {
	l, err := p.client().Link(ctx)
	if err != nil {
		return waiting, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	return p.converse(ctx, l, waiting)
}

func (p *publisher) converse(ctx context.Context, l *client.Link, waiting []message) (left []message, err error) {
	sent := 0 // of those that wait for an answer
	for more := true; more || len(waiting) > 0; {
		for ; sent < len(waiting); sent++ {
			if err := l.Send(waiting[sent].push()); err != nil {
				return waiting, err
			}
		}
		if more && len(waiting) < window {
			fresh, err := p.next(1 + p.random.IntN(window-len(waiting)))
			if err != nil {
				return waiting, err
			}
			more = len(fresh) > 0
			waiting = append(waiting, fresh...)
			continue
		}
		a, err := l.Receive()
		switch {
		case err != nil:
			return waiting, err
		case a.Problem != nil:
			return waiting, a.Problem
		}
		if err := p.accept(waiting[0], a.Result); err != nil {
			return waiting, err
		}
		waiting, sent = waiting[1:], sent-1
		if p.random.IntN(4) == 0 {
			if err := stage.Sleep(ctx, time.Duration(p.random.Int64N(int64(40*time.Millisecond)))); err != nil {
				return waiting, err
			}
		}
	}
	return nil, nil
}
