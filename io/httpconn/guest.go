package httpconn

import (
	"bufio"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"time"

	"crier/io/netpoll"
)

// guest is the [http.ResponseWriter] of a request that net/http has read.
type guest struct {
	http.ResponseWriter // net/http's; once the connection has been taken over, the exchange
	server              *Server
	request             *http.Request
	x                   *exchange // nil until then
	early               []byte    // what has been read behind the request
	lost                bool      // the connection has ended when it was taken over
}

// Unwrap is for [http.ResponseController].
func (g *guest) Unwrap() http.ResponseWriter { return g.ResponseWriter }

// adopt takes the connection over, if it has not been and can be. The body of the request must have been read.
func (g *guest) adopt() bool {
	if g.x != nil || g.lost {
		return g.x != nil
	}
	nc, rw, err := http.NewResponseController(g.ResponseWriter).Hijack()
	if err != nil {
		return false
	}
	if err := g.take(nc, rw.Reader); err != nil {
		g.lost = true
		g.server.log.Debug("a connection has ended when it was taken over", "remote", g.request.RemoteAddr, "error", err)
	}
	return !g.lost
}

// take makes the connection the server's. After an error it is closed.
func (g *guest) take(nc net.Conn, in *bufio.Reader) error {
	s := g.server
	nc = bare(nc)
	c := &conn{server: s, remote: g.request.RemoteAddr, busy: true, since: s.now()}
	c.blank.Follow(g.request)
	g.early = make([]byte, in.Buffered())
	_, err := io.ReadFull(in, g.early)
	if err = errors.Join(err, nc.SetDeadline(time.Time{})); err != nil {
		return errors.Join(err, nc.Close())
	}
	if err := s.o.Upgrader.Take(&c.Stream, nc, c); err != nil {
		return err
	}
	s.add(c)
	if limit := s.o.Server.IdleTimeout; limit > 0 {
		s.wheel.Set(&c.timer, c, time.Now().Add(limit))
	}
	g.x = s.exchange(c)
	maps.Copy(g.x.Header(), g.Header())
	g.ResponseWriter = g.x
	return nil
}

// bare returns what is inside a connection that was handed back before.
func bare(nc net.Conn) net.Conn {
	for {
		w, ok := nc.(netpoll.Wrapper)
		if !ok {
			return nc
		}
		inside := w.Bare()
		if inside == nil {
			return nc
		}
		nc = inside
	}
}

// finish follows the handler; done is false if that has panicked.
func (g *guest) finish(done bool) {
	x := g.x
	if x == nil {
		return // net/http has the rest
	}
	c := x.conn
	if !done {
		c.cutOff()
		return
	}
	if !x.parked {
		if err := c.reply(x.Response); err != nil {
			g.server.log.Debug("a request was not answered", "remote", c.remote, "error", err)
		}
	}
	g.server.release(x)
	c.Start(g.early)
}
