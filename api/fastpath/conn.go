package fastpath

import (
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"crier/io/http1"
	"crier/io/netpoll"
)

const (
	// bufferSize is the most bytes that a request may have, with its body.
	bufferSize = 8 << 10
	// patience is how long the rest of a request may take to come. Some clients send the body behind the head, in a packet
	// of its own; for who is slower than that net/http can wait.
	patience = time.Second
	// slack is how much longer than its time-out an idle connection may stay, so that its deadline need not be set anew
	// for each request.
	slack = time.Second
)

// conn is a connection while the listener has it. All but idle is owned by the connection's goroutine.
type conn struct {
	listener *Listener
	nc       net.Conn
	guest    *guest // that nc is, while the poller has it or may have it back; nil: a goroutine serves nc
	remote   string
	idle     atomic.Bool // it waits for a request

	buf    [bufferSize]byte
	have   int // bytes in buf
	blank  http1.Blank
	until  time.Time // the read deadline; zero: unknown
	now    time.Time // when the latest answer was sent
	broken bool      // a handler runs, or has not returned

	reader   *http1.Reader
	context  *requestContext
	template *http.Request // has context
	response response
}

// newConn returns a conn to be used for one connection after the other.
func newConn(l *Listener) *conn {
	c := &conn{listener: l}
	c.reader = http1.NewReader(func(method, path, _ string) bool { return l.takes != nil && l.takes(method, path) })
	c.reader.TakeUpgrades(l.upgrades)
	c.response = response{http1.NewResponse(&l.stopping), c}
	c.renew()
	return c
}

// renew gives the next request a context that nobody has seen.
func (c *conn) renew() {
	c.context = &requestContext{conn: c}
	c.template = (&http.Request{Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}).WithContext(c.context)
}

// serve answers the requests of nc until it ends, or the server has it.
func (c *conn) serve(nc net.Conn) {
	c.nc, c.remote, c.now = nc, nc.RemoteAddr().String(), time.Now()
	c.have, c.blank, c.until = 0, 0, time.Time{}
	c.serveOn(c.listener.server.ReadHeaderTimeout)
}

// serveOn does so with what has come, and waits no longer than limit for the first request.
func (c *conn) serveOn(limit time.Duration) {
	for c.receive(limit) && c.answer() {
		limit = c.listener.server.IdleTimeout
	}
}

// receive waits for a request and reads it; false means that none is to be answered here.
func (c *conn) receive(limit time.Duration) bool {
	for {
		if c.have > 0 {
			switch v := c.reader.Parse(c.buf[:c.have], len(c.buf)); {
			case v == http1.Whole:
				return !c.listener.stopping.Load()
			case v == http1.Foreign, c.have == len(c.buf):
				c.handOver()
				return false
			}
		}
		if !c.read(limit) {
			if c.have > 0 {
				c.handOver() // which meets the same error, or waits longer
			}
			return false
		}
	}
}

// read reads once, for as long as limit if nothing has come yet.
func (c *conn) read(limit time.Duration) bool {
	fresh := c.have == 0
	if !fresh {
		limit = patience
	}
	if !c.bound(limit, fresh) {
		return false
	}
	c.idle.Store(fresh)
	if fresh && c.listener.stopping.Load() { // Close has seen idle, or is seen
		return false
	}
	n, err := c.nc.Read(c.buf[c.have:])
	c.idle.Store(false)
	c.have += n
	if fresh {
		c.skipBlank()
	}
	return err == nil
}

// bound sets the read deadline, unless it is right already, give or take the slack.
func (c *conn) bound(limit time.Duration, idle bool) bool {
	if idle {
		if left := c.until.Sub(c.now); limit > 0 && left >= limit && left <= limit+slack {
			return true
		}
		c.until = c.now.Add(limit + slack)
	} else {
		c.until = time.Now().Add(limit)
	}
	if limit == 0 {
		c.until = time.Time{}
	}
	return c.nc.SetReadDeadline(c.until) == nil
}

// skipBlank drops line ends in front of a request.
func (c *conn) skipBlank() {
	if rest := c.blank.Skip(c.buf[:c.have]); len(rest) < c.have {
		c.have = copy(c.buf[:], rest)
	}
}

// answer has the request in hand answered, and reports whether another may come.
func (c *conn) answer() bool {
	for !c.context.begin() { // somebody has kept it, and asked when its request was over
		c.renew()
	}
	request := c.reader.Request(c.template, c.remote)
	c.blank.Follow(request)
	c.response.Reset(request.Close)
	c.broken = true
	c.listener.server.Handler.ServeHTTP(&c.response, request)
	c.broken = false
	if !c.release() || c.nc == nil {
		return false
	}
	c.now = time.Now()
	_, err := c.nc.Write(c.response.Finish(c.now))
	return err == nil && !c.response.Closes() && !c.listener.stopping.Load()
}

// release takes the request back from the handler.
func (c *conn) release() bool {
	behind, _ := c.reader.Upgrade() // a client whose handshake is refused may have gone on
	c.have = copy(c.buf[:], behind)
	asked, err := c.context.end()
	if asked {
		c.have += copy(c.buf[c.have:], c.context.early[:c.context.count])
		c.skipBlank()
		c.until = time.Time{}
		c.renew()
	}
	return err == nil
}

// handOver gives the connection to the server, with what has been read.
func (c *conn) handOver() {
	if err := c.nc.SetReadDeadline(time.Time{}); err != nil {
		return // it has been closed
	}
	c.pass(c.buf[:c.have])
}

// pass gives the connection to the server, with p of it.
func (c *conn) pass(p []byte) {
	nc, err := c.bare()
	if err != nil {
		return // likewise
	}
	if s, ok := nc.(*netpoll.Socket); ok {
		if nc, err = s.Whole(); err != nil {
			c.listener.logf("http: serving the connection of %v: %v", c.remote, err)
			return
		}
	}
	c.nc = nil
	c.listener.pass(http1.NewEarly(nc, p))
}

// bare returns the connection for somebody else.
func (c *conn) bare() (net.Conn, error) {
	if g, ok := c.nc.(*guest); ok {
		return g.release()
	}
	return c.nc, nil
}

// logPanic logs what a handler has panicked with, as net/http does.
func (c *conn) logPanic(reason any) {
	if stack, logged := http1.PanicStack(reason); logged {
		c.listener.logf("http: panic serving %v: %v\n%s", c.remote, reason, stack)
	}
}
