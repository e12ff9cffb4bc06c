package load

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"net/netip"
	"net/textproto"
	"strings"
	"sync/atomic"
	"time"
)

const (
	linesAtOnce = 64 // pushes that a link sends in one piece
	window      = 16 // pieces that it sends ahead of the answers
	// dialLinkTimeout bounds the making of its connection.
	dialLinkTimeout = 10 * time.Second
)

// LinkOptions say where a link goes.
type LinkOptions struct {
	Addr netip.AddrPort
	Host string
	Form Form
}

// Link is one lasting connection that carries many pushes.
type Link struct {
	// Answered are the pushes that the server says it has delivered, and Refused the others.
	Answered, Refused atomic.Int64
	// Fault is the first answer of a push that was refused, once Run has returned.
	Fault error

	form  Form
	conn  net.Conn
	in    *bufio.Reader
	users *Users
	wrap  func(dst, lines []byte) []byte // makes a piece of lines
	next  func() ([]byte, error)         // the next answer
}

// DialLines opens Crier's POST /v1/push/batch for lines of JSON, in chunks of HTTP.
func DialLines(o LinkOptions, users *Users) (*Link, error) {
	l, err := dialLink(o, users, "POST /v1/push/batch HTTP/1.1\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n")
	if err != nil {
		return nil, err
	}
	lines := bufio.NewReader(httputil.NewChunkedReader(l.in))
	l.wrap = func(dst, lines []byte) []byte {
		dst = fmt.Appendf(dst, "%x\r\n", len(lines))
		return append(append(dst, lines...), "\r\n"...)
	}
	l.next = func() ([]byte, error) { return lines.ReadSlice('\n') }
	return l, nil
}

// DialStream opens the WebSocket of Crier's GET /v1/stream.
func DialStream(o LinkOptions, users *Users) (*Link, error) {
	l, err := dialLink(o, users, "GET /v1/stream HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n")
	if err != nil {
		return nil, err
	}
	l.wrap = AppendClientFrame[[]byte]
	l.next = l.frame
	return l, nil
}

func dialLink(o LinkOptions, users *Users, request string) (*Link, error) {
	conn, err := net.DialTimeout("tcp", o.Addr.String(), dialLinkTimeout)
	if err != nil {
		return nil, fmt.Errorf("opening a link: %w", err)
	}
	l := &Link{conn: conn, in: bufio.NewReaderSize(conn, 64<<10), users: users, form: o.Form}
	request += "Host: " + o.Host + "\r\n" + o.Form.Header + "\r\n"
	if err := l.open(request); err != nil {
		return nil, errors.Join(fmt.Errorf("opening a link: %w", err), conn.Close())
	}
	return l, nil
}

// open sends the request and reads the head of the answer.
func (l *Link) open(request string) error {
	if err := l.conn.SetDeadline(time.Now().Add(dialLinkTimeout)); err != nil {
		return err
	}
	if _, err := io.WriteString(l.conn, request); err != nil {
		return err
	}
	head := textproto.NewReader(l.in)
	status, err := head.ReadLine()
	if err == nil {
		_, err = head.ReadMIMEHeader()
	}
	if err != nil {
		return err
	}
	if !strings.HasPrefix(status, "HTTP/1.1 200 ") && !strings.HasPrefix(status, "HTTP/1.1 101 ") {
		return fmt.Errorf("the server answered %q", status)
	}
	return nil
}

// Close ends the link.
func (l *Link) Close() error { return l.conn.Close() }

// frame returns the next message, valid until the next call.
func (l *Link) frame() ([]byte, error) {
	for need := 2; ; {
		p, err := l.in.Peek(max(need, l.in.Buffered()))
		if err != nil {
			return nil, err
		}
		_, payload, rest, ok, err := CutFrame(p)
		if err != nil {
			return nil, err
		}
		if ok {
			_, err := l.in.Discard(len(p) - len(rest))
			return payload, err // the buffer moves with the next Peek only
		}
		need = len(p) + 1
	}
}

// Run pushes for d, or until ctx ends, and waits for the answers, for patience at most.
func (l *Link) Run(ctx context.Context, d, patience time.Duration) error {
	until := time.Now().Add(d)
	if err := l.conn.SetDeadline(until.Add(patience)); err != nil {
		return fmt.Errorf("bounding a link's time: %w", err)
	}
	pieces := make(chan struct{}, window) // sent, or about to be, and not answered
	sent := make(chan error, 1)
	go func() {
		defer close(pieces)
		sent <- l.send(ctx, until, pieces)
	}()
	var err error
	for range pieces {
		for range linesAtOnce {
			if err != nil {
				break
			}
			if err = l.answer(); err != nil {
				err = errors.Join(err, l.conn.Close()) // which ends send
			}
		}
	}
	return errors.Join(err, <-sent)
}

func (l *Link) send(ctx context.Context, until time.Time, pieces chan<- struct{}) error {
	var lines, piece []byte
	for time.Now().Before(until) && ctx.Err() == nil {
		lines = lines[:0]
		for range linesAtOnce {
			lines = append(l.users.AppendPush(lines), '\n')
		}
		piece = l.wrap(piece[:0], lines)
		pieces <- struct{}{}
		if _, err := l.conn.Write(piece); err != nil {
			return fmt.Errorf("sending on a link: %w", err)
		}
	}
	return nil
}

func (l *Link) answer() error {
	answer, err := l.next()
	switch {
	case err != nil:
		return fmt.Errorf("reading from a link: %w", err)
	case l.form.reached(answer) == 1:
		l.Answered.Add(1)
		return nil
	}
	l.Refused.Add(1)
	if l.Fault == nil {
		l.Fault = fmt.Errorf("the server answered %q", bytes.TrimSpace(answer))
	}
	return nil
}
