package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// keepFor is how long a connection that has not been used is used again: servers close them after five seconds or more.
const keepFor = 3 * time.Second

// Publisher pushes to everybody, over one connection that is kept alive.
type Publisher struct {
	addr netip.AddrPort
	head []byte
	body template
	conn net.Conn // nil: there is none
	used time.Time
	out  []byte
	in   []byte
}

// NewPublisher returns one that pushes as form says.
func NewPublisher(addr netip.AddrPort, host string, form Form) *Publisher {
	return &Publisher{addr: addr, head: form.head(form.Path, host), body: parseTemplate(form.All)}
}

// Publish sends contents, all in one piece, and waits until the server has taken each.
func (p *Publisher) Publish(ctx context.Context, contents [][]byte, patience time.Duration) error {
	p.out = p.out[:0]
	for _, content := range contents {
		body := p.body.append(nil, 0, func(dst []byte) []byte { return append(dst, content...) })
		p.out = appendRequest(p.out, p.head, body)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("the server has not answered for %s", patience))
	defer cancel()
	err := p.exchange(ctx, len(contents))
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("pushing to all: %w", err)
	}
	return nil
}

func (p *Publisher) exchange(ctx context.Context, answers int) error {
	if time.Since(p.used) > keepFor {
		if err := p.Close(); err != nil {
			return err
		}
	}
	p.used = time.Now()
	if p.conn == nil {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.addr.String())
		if err != nil {
			return err
		}
		p.conn, p.in = conn, nil
	}
	conn := p.conn
	unblock := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) }) //nolint:errcheck // or it is closed
	defer unblock()
	if _, err := p.conn.Write(p.out); err != nil {
		return err
	}
	var buf [8192]byte
	for answers > 0 {
		r, rest, ok, err := cutResponse(p.in)
		switch {
		case err != nil:
			return err
		case ok && r.status != 200 && r.status != 202:
			return r.errorText()
		case ok:
			answers--
			p.in = rest
			if closes, _ := r.header("connection"); string(closes) == "close" {
				if answers > 0 {
					return errors.New("the server takes no second request on a connection, and so no burst")
				}
				return p.Close()
			}
			continue
		}
		n, err := p.conn.Read(buf[:])
		if err != nil {
			return fmt.Errorf("reading the answer: %w", err)
		}
		p.in = append(p.in, buf[:n]...)
	}
	return nil
}

// Close ends the connection.
func (p *Publisher) Close() error {
	if p.conn == nil {
		return nil
	}
	err := p.conn.Close()
	p.conn = nil
	return err
}
