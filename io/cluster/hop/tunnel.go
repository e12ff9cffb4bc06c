package hop

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"time"

	"crier/io/netpoll"
)

const (
	// writeTimeout is how long one side of a tunnel may take nothing of what the other has sent.
	writeTimeout = 30 * time.Second
	// farewell is how long a side may stay when the other has gone.
	farewell = 5 * time.Second
)

// tunnel carries the bytes of a WebSocket between a client and the server that has its session. It holds no buffer while
// nothing comes, and takes no more from one side than the other takes.
type tunnel struct {
	// static
	passer        *Passer
	client, owner end
	joined        bool // both ends have a connection
}

// end is one side of a tunnel.
type end struct {
	tunnel *tunnel
	conn   netpoll.Conn
	other  *end
}

// Data implements [netpoll.Handler].
func (e *end) Data(b []byte) error {
	to := &e.other.conn
	if err := to.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err := to.Write(b)
	return err
}

// Closed implements [netpoll.Handler]. What the other side has been sent arrives, if it listens; then it ends too.
func (e *end) Closed(error) {
	if !e.tunnel.joined {
		return
	}
	to := &e.other.conn
	err := errors.Join(to.SetReadDeadline(time.Now().Add(farewell)), to.CloseWrite())
	if err != nil {
		err = to.Close()
	}
	if err != nil {
		e.tunnel.passer.log.Debug("ending a WebSocket for another server", "error", err)
	}
	if e == &e.tunnel.owner {
		e.tunnel.passer.forget(e.tunnel)
	}
}

// carry passes a request on that asks for a WebSocket, and carries that. An answer that is none is passed back.
func (p *Passer) carry(w http.ResponseWriter, r *http.Request, x *passing) {
	conn, err := p.dial(r.Context(), x)
	if err != nil {
		x.err = err
		return
	}
	release := context.AfterFunc(r.Context(), func() { conn.Close() }) // who waits has gone
	from := bufio.NewReader(conn)
	resp, err := p.ask(conn, from, r, x)
	if !release() && err == nil {
		err = r.Context().Err()
	}
	switch {
	case err != nil:
		x.err = errors.Join(err, conn.Close())
	case resp.StatusCode != http.StatusSwitchingProtocols:
		p.back(w, resp)
		if err := conn.Close(); err != nil {
			p.log.Debug("closing a connection to another server", "error", err)
		}
	default:
		p.join(w, conn, from, resp)
	}
}

// ask sends a request and reads the head of the answer.
func (p *Passer) ask(conn net.Conn, from *bufio.Reader, r *http.Request, x *passing) (*http.Response, error) {
	if err := conn.SetDeadline(time.Now().Add(p.o.AnswerTimeout)); err != nil {
		return nil, err
	}
	out := r.Clone(r.Context())
	if _, named := out.Header["User-Agent"]; !named {
		out.Header["User-Agent"] = []string{""} // or net/http names itself
	}
	x.sign(out)
	if err := out.Write(conn); err != nil {
		return nil, fmt.Errorf("asking another server: %w", err)
	}
	resp, err := http.ReadResponse(from, out)
	if err != nil {
		return nil, fmt.Errorf("asking another server: %w", err)
	}
	return resp, errors.Join(refusal(resp), conn.SetDeadline(time.Time{}))
}

// back passes an answer back that is no WebSocket.
func (p *Passer) back(w http.ResponseWriter, resp *http.Response) {
	maps.Copy(w.Header(), resp.Header)
	w.Header().Del("Connection")
	w.WriteHeader(resp.StatusCode)
	if _, err := io.Copy(w, resp.Body); err != nil {
		p.log.Debug("an answer of another server did not arrive in full", "error", err)
	}
}

// join answers a client with what the server has answered, and carries what comes from now on.
func (p *Passer) join(w http.ResponseWriter, owner net.Conn, from *bufio.Reader, resp *http.Response) {
	client, sent, err := http.NewResponseController(w).Hijack()
	if err != nil {
		p.log.Debug("a WebSocket for another server was not taken over", "error", errors.Join(err, owner.Close()))
		return
	}
	t := &tunnel{passer: p}
	t.client.tunnel, t.owner.tunnel = t, t
	t.client.other, t.owner.other = &t.owner, &t.client
	err = client.SetDeadline(time.Time{}) // those of the server
	if err == nil {
		err = p.o.Poller.Add(&t.client.conn, client, &t.client)
	}
	if err != nil {
		p.log.Debug("a WebSocket for another server has ended", "error", errors.Join(err, client.Close(), owner.Close()))
		return
	}
	if err := p.o.Poller.Add(&t.owner.conn, owner, &t.owner); err != nil { // the server stops
		p.log.Debug("a WebSocket for another server has ended", "error", errors.Join(err, t.client.conn.Close(), owner.Close()))
		return
	}
	t.joined = true
	p.remember(t)
	t.owner.conn.Start(append(head(resp), buffered(from)...))
	t.client.conn.Start(buffered(sent.Reader))
}

// buffered returns what has been read already and not taken.
func buffered(r *bufio.Reader) []byte {
	b := make([]byte, r.Buffered())
	io.ReadFull(r, b) // never fails: it is in memory
	return b
}

// head is the head of an answer without a body.
func head(resp *http.Response) []byte {
	b := fmt.Appendf(nil, "HTTP/1.1 %s\r\n", resp.Status)
	for name, values := range resp.Header {
		for _, value := range values {
			b = fmt.Appendf(b, "%s: %s\r\n", name, value)
		}
	}
	return append(b, "\r\n"...)
}

// dial connects to the server that a request is for.
func (p *Passer) dial(ctx context.Context, x *passing) (net.Conn, error) {
	address := x.to.Host
	if x.to.Port() == "" {
		port := "80"
		if x.to.Scheme == "https" {
			port = "443"
		}
		address = net.JoinHostPort(x.to.Hostname(), port)
	}
	if x.to.Scheme != "https" {
		return p.dialer.DialContext(ctx, "tcp", address)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*dialTimeout)
	defer cancel()
	secure := p.secure.Clone()
	secure.ServerName = x.to.Hostname()
	return (&tls.Dialer{NetDialer: &p.dialer, Config: secure}).DialContext(ctx, "tcp", address)
}
