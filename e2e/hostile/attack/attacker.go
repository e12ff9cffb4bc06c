package attack

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// An Attacker attacks one server, once. Close ends what it has begun.
type Attacker struct {
	// Public and Port are the server's addresses: that of browsers, and that of business servers.
	Public, Port string
	// Long has it do as much as was ever reported, not the tenth or hundredth of that.
	Long bool
	// Patience is how long it waits for what the server has to do at once.
	Patience time.Duration

	ctx   context.Context
	conns []*conn
}

// Begin makes the attacker ready; when ctx ends it gives up.
func (a *Attacker) Begin(ctx context.Context) { a.ctx = ctx }

// Close ends all connections: the first of two in order, the second by a reset.
func (a *Attacker) Close() error {
	var err error
	for n, c := range a.conns {
		var lerr error
		if n%2 == 1 {
			lerr = c.tcp.SetLinger(0)
		}
		for _, one := range []error{lerr, c.tcp.Close()} {
			if !errors.Is(one, net.ErrClosed) { // it has been ended before
				err = errors.Join(err, one)
			}
		}
	}
	a.conns = nil
	return err
}

// count is how often something is done.
func (a *Attacker) count(short, long int) int {
	if a.Long {
		return long
	}
	return short
}

// conn is a connection to the server.
type conn struct {
	a   *Attacker
	tcp *net.TCPConn
	out io.Writer // tcp, or the TLS on it
	in  *bufio.Reader

	agreed http.Header // of the handshake, if it is a WebSocket
	before []byte      // the end of all compressed messages that it has sent so far
}

// dial connects, and shakes hands where the way has TLS.
func (a *Attacker) dial(w Way) (*conn, error) {
	c, err := a.dialTCP(w)
	if err != nil || !w.TLS {
		return c, err
	}
	protocol := "http/1.1"
	if w.H2 {
		protocol = "h2"
	}
	secure := tls.Client(c.tcp, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocol}})
	if err := secure.HandshakeContext(a.ctx); err != nil {
		return nil, fmt.Errorf("shaking hands: %w", err)
	}
	if got := secure.ConnectionState().NegotiatedProtocol; got != protocol {
		return nil, fmt.Errorf("the server speaks %q, not %s", got, protocol)
	}
	c.out, c.in = secure, bufio.NewReader(secure)
	return c, nil
}

// dialTCP connects.
func (a *Attacker) dialTCP(w Way) (*conn, error) {
	address := a.Public
	if w.Push {
		address = a.Port
	}
	var d net.Dialer
	nc, err := d.DialContext(a.ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	c := &conn{a: a, tcp: nc.(*net.TCPConn), out: nc, in: bufio.NewReader(nc)}
	a.conns = append(a.conns, c)
	return c, c.tcp.SetDeadline(time.Now().Add(a.Patience))
}

// write sends; that the server has ended the connection is no error.
func (c *conn) write(p []byte) error {
	_, err := c.out.Write(p)
	if err != nil && ended(err) {
		return nil
	}
	return err
}

func (c *conn) say(text string) error { return c.write([]byte(text)) }

// flood sends p so often, or until the server takes nothing any more for a while.
func (c *conn) flood(p []byte, times int) error {
	const chunk = 64 << 10
	joined := []byte(strings.Repeat(string(p), max(1, min(times, chunk/len(p)))))
	for sent := 0; sent < times; sent += len(joined) / len(p) {
		if err := c.tcp.SetWriteDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
			return err
		}
		if _, err := c.out.Write(joined); err != nil {
			break // it is full, or has been ended
		}
	}
	return c.tcp.SetDeadline(time.Now().Add(c.a.Patience))
}

// closeWrite ends the client's side; that the server has ended the connection is no error.
func (c *conn) closeWrite() error {
	if secure, ok := c.out.(*tls.Conn); ok {
		if err := secure.CloseWrite(); err != nil && !ended(err) {
			return err
		}
	}
	if err := c.tcp.CloseWrite(); err != nil && !ended(err) {
		return err
	}
	return nil
}

// ended tells the end of a connection from other errors.
func ended(err error) bool {
	var op *net.OpError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &op) && !op.Timeout()
}

// end waits until the server ends the connection.
func (c *conn) end() error {
	if _, err := io.Copy(io.Discard, c.in); err != nil && !ended(err) {
		return fmt.Errorf("the connection was not ended: %w", err)
	}
	return nil
}

// answer is a response.
type answer struct {
	status int
	header http.Header
	body   string
}

// answer reads a response. Status 0 is that the connection has been ended instead.
func (c *conn) answer() (answer, error) {
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		if ended(err) {
			return answer{}, nil
		}
		return answer{}, fmt.Errorf("no answer: %w", err)
	}
	if resp.StatusCode == http.StatusOK && strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		return answer{resp.StatusCode, resp.Header, ""}, nil // which has no end
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil && !ended(err) {
		return answer{}, fmt.Errorf("half an answer: %w", err)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}, resp.Body.Close()
}

// head begins a request.
func head(method, path string, lines ...string) string {
	text := method + " " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\n"
	for _, line := range lines {
		text += line + "\r\n"
	}
	return text + "\r\n"
}

// ask makes a request of its own connection, as it stands, and reads the answer.
func (a *Attacker) ask(w Way, text string) (answer, error) {
	c, err := a.dial(w)
	if err != nil {
		return answer{}, err
	}
	if err := c.say(text); err != nil {
		return answer{}, err
	}
	return c.answer()
}

// post posts a body, by its length.
func (a *Attacker) post(w Way, path, contentType, body string) (answer, error) {
	return a.ask(w, head("POST", path, "Content-Type: "+contentType, fmt.Sprintf("Content-Length: %d", len(body)))+body)
}

// refused checks that the answer is no success, and no fault of the server's.
func (r answer) refused() error {
	if r.status >= 200 && r.status < 300 || r.status == 500 {
		return fmt.Errorf("answered %d, %.100q", r.status, r.body)
	}
	return nil
}

// sound checks that the answer is no fault of the server's.
func (r answer) sound() error {
	if r.status == 500 {
		return fmt.Errorf("answered %d, %.100q", r.status, r.body)
	}
	return nil
}
