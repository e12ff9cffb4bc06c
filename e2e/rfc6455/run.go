package rfc6455

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"time"
)

// A Target is a server under test.
type Target struct {
	Addr string // host:port
	Path string // with a query, if any
	Wrap Wrap
	// Hello are texts that a client says first, and Welcome is how many messages it is told before it is answered.
	Hello   []string
	Welcome int
	// Offer is the extension that clients offer, and the server has to take; "" for none.
	Offer string
	// TLS is how it is spoken; nil: it is not.
	TLS *tls.Config
	// Header are lines that every request has.
	Header []string
	// LatestPong says that of pings that have come together only the last may be answered (§5.5.3), and before messages are.
	LatestPong bool
}

// greet begins a script with what comes before its messages.
func (t Target) greet(s *script) {
	for _, text := range t.Hello {
		s.send(fin(opText, []byte(text)))
	}
	for range t.Welcome {
		s.want = append(s.want, wanted{"a welcome", func(r received) bool { return r.op == opText }, false})
	}
}

// ErrUnfit says that a target's envelope has no room for a case.
var ErrUnfit = errors.New("the messages of this case do not fit the server's envelope")

// Run performs a case. It is given up when ctx ends. In pieces, what the client sends arrives byte by
// byte; what is long is left out then.
func Run(ctx context.Context, t Target, c Case, pieces bool) error {
	s := &script{wrap: t.Wrap, deflates: t.Offer != "", latest: t.LatestPong}
	t.greet(s)
	c.build(s)
	s.finish()
	if s.unfit {
		return ErrUnfit
	}
	if pieces && len(s.out) > maxPieces {
		return nil
	}
	return t.perform(ctx, s, pieces)
}

// dial connects, until ctx ends.
func (t Target) dial(ctx context.Context) (net.Conn, error) {
	var d interface {
		DialContext(ctx context.Context, network, address string) (net.Conn, error)
	} = &net.Dialer{}
	if t.TLS != nil {
		d = &tls.Dialer{Config: t.TLS}
	}
	conn, err := d.DialContext(ctx, "tcp", t.Addr)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	if end, ok := ctx.Deadline(); ok {
		err = conn.SetDeadline(end)
	}
	return conn, err
}

// perform has the client send and compares what comes.
func (t Target) perform(ctx context.Context, s *script, pieces bool) (err error) {
	conn, err := t.dial(ctx)
	if err != nil {
		return err
	}
	written := make(chan error, 1)
	defer func() {
		err = errors.Join(err, conn.Close())
		if werr := <-written; werr != nil && !s.closing {
			err = errors.Join(err, fmt.Errorf("writing: %w", werr))
		}
	}()
	in := bufio.NewReader(conn)
	if err := shakeHands(conn, in, t); err != nil {
		written <- nil
		return err
	}
	go func() { written <- write(conn, s, pieces) }()
	return s.compare(in)
}

// shakeHands opens the WebSocket.
func shakeHands(conn net.Conn, in *bufio.Reader, t Target) error {
	request := usual()
	if t.Offer != "" {
		request = request.but("Sec-WebSocket-Extensions: " + t.Offer)
	}
	if _, err := io.WriteString(conn, request.text(t)); err != nil {
		return fmt.Errorf("shaking hands: %w", err)
	}
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return fmt.Errorf("shaking hands: %w", err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return errors.Join(fmt.Errorf("shaking hands: status %s", resp.Status), resp.Body.Close())
	}
	if got := resp.Header.Get("Sec-WebSocket-Extensions"); (got != "") != (t.Offer != "") {
		return fmt.Errorf("shaking hands: the extension %q was taken of the offer %q", got, t.Offer)
	}
	return nil
}

// maxPieces is the most that is sent byte by byte.
const maxPieces = 2048

func write(conn net.Conn, s *script, pieces bool) error {
	if !pieces {
		if _, err := conn.Write(s.out); err != nil {
			return err
		}
	} else {
		for i := range s.out {
			if _, err := conn.Write(s.out[i : i+1]); err != nil {
				return err
			}
		}
	}
	if s.eof {
		return conn.(interface{ CloseWrite() error }).CloseWrite()
	}
	return nil
}

// apart are the pongs that are wanted, and all else.
func (s *script) apart() (rest, pongs []wanted) {
	for _, w := range s.want {
		if w.pong {
			pongs = append(pongs, w)
		} else {
			rest = append(rest, w)
		}
	}
	return rest, pongs
}

// compare reads until the end. Pings may come at any time.
func (s *script) compare(in *bufio.Reader) error {
	want, pongs := s.want, []wanted(nil)
	if s.latest {
		want, pongs = s.apart()
	}
	var last received // pong
	for _, w := range want {
		r, err := readFrame(in, s.deflates)
		for err == nil && (r.op == opPing || s.latest && r.op == opPong) {
			if r.op == opPong {
				n := slices.IndexFunc(pongs, func(p wanted) bool { return p.is(r) })
				if n < 0 {
					return fmt.Errorf("%s answers no ping, or one before the last that was answered", r)
				}
				pongs, last = pongs[n+1:], r
			}
			r, err = readFrame(in, s.deflates)
		}
		if s.eof && errors.Is(err, io.EOF) {
			return nil // nobody is there to be told
		}
		if err != nil {
			return fmt.Errorf("instead of %s: %w", w.what, err)
		}
		if !w.is(r) {
			return fmt.Errorf("instead of %s came %s (code %d)", w.what, r, code(r.payload))
		}
	}
	if n := len(pongs); n > 0 && !pongs[n-1].is(last) {
		return errors.New("the last ping was not answered")
	}
	n, err := io.Copy(io.Discard, in)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errors.New("the server left the connection open")
	case n > 0 && !s.eof: // who ends without a close frame may be told so
		return fmt.Errorf("%d bytes came behind the close frame", n)
	default: // the end, or a reset
		return nil
	}
}

// Patience is how long a case may take, where nothing shows that it hangs.
const Patience = 30 * time.Second
