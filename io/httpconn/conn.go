package httpconn

import (
	"errors"
	"net"
	"sync"
	"time"

	"crier/io/http1"
	"crier/io/netpoll"
	"crier/io/wsconn"
)

// maxRequest is the most bytes that a request may have, with its body.
const maxRequest = 8 << 10

// conn is a connection that the server has.
type conn struct {
	wsconn.Stream
	// static
	server *Server
	remote string
	timer  wsconn.Timer // closes it when it has been idle for long

	blank http1.Blank // owned by the reader

	mu       sync.Mutex    // held while an answer is written, which does not wait
	busy     bool          // a request has come and not been answered
	waiting  *Waiting      // that request, once its handler has parked it
	answered chan struct{} // closed with its answer; nil unless the reader waits for that
	over     bool
	since    time.Duration // when the latest answer was sent
}

// Data implements [netpoll.Handler].
func (c *conn) Data(p []byte) error {
	if p = c.blank.Skip(p); len(p) == 0 {
		return nil
	}
	if !c.begin() {
		return net.ErrClosed
	}
	x := c.server.exchange(c)
	if v := x.reader.Parse(p, maxRequest); v != http1.Whole || x.reader.Closes() {
		c.server.release(x)
		return c.handBack(p)
	}
	r := x.reader.Request(x.template, c.remote)
	c.blank.Follow(r)
	return x.serve(r)
}

// begin notes that a request has come; false means that it can have no answer. If the one before it has none yet, that is waited for:
// nothing more is read meanwhile.
func (c *conn) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.waiting != nil && !c.over {
		answered := make(chan struct{})
		c.answered = answered
		c.mu.Unlock()
		<-answered
		c.mu.Lock()
	}
	c.busy = true
	return !c.over
}

// handBack gives the connection to net/http, with what has been read.
func (c *conn) handBack(p []byte) error {
	nc := c.Release()
	if nc == nil {
		c.Close(nil) // behind the end of an answer, which would be overtaken
		return nil
	}
	c.server.remove(c)
	if nc = http1.NewEarly(nc, p); !c.server.handBack(nc) {
		return errors.Join(netpoll.ErrDetached, nc.Close())
	}
	return netpoll.ErrDetached
}

// reply sends the answer to the request in hand.
func (c *conn) reply(w *http1.Response) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.replyLocked(w)
}

func (c *conn) replyLocked(w *http1.Response) error {
	now := time.Now()
	c.busy, c.since = false, now.Sub(c.server.start)
	err := c.SendCopy(w.Finish(now), 0)
	if err == nil && w.Closes() {
		c.Close(nil)
	}
	return err
}

// releaseLocked has the reader go on that waits for an answer.
func (c *conn) releaseLocked() {
	if c.answered != nil {
		close(c.answered)
		c.answered = nil
	}
}

// Closed implements [netpoll.Handler].
func (c *conn) Closed(error) {
	c.end()
	c.server.remove(c)
}

// Evict implements [wsconn.Evictee].
func (c *conn) Evict() { c.cutOff() }

// end notes that the connection has ended, and tells who is to answer the request that waits.
func (c *conn) end() {
	c.mu.Lock()
	p := c.waiting
	c.waiting, c.over = nil, true
	c.releaseLocked()
	c.mu.Unlock()
	if p != nil {
		p.owner.Gone(p)
	}
}

// waits reports whether a request waits on the connection.
func (c *conn) waits() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.waiting != nil
}

// cutOff ends the connection, whatever waits on it.
func (c *conn) cutOff() {
	c.Abort()
	c.end()
}

// closeIdle closes the connection if no request is in hand, and reports whether one is.
func (c *conn) closeIdle() (busy bool) {
	c.mu.Lock()
	busy = c.busy
	c.mu.Unlock()
	if !busy {
		c.Close(nil)
	}
	return busy
}

// Tick implements [wsconn.Timed]: it closes a connection on which nothing has come for long.
func (c *conn) Tick(now time.Time) time.Time {
	limit := c.server.o.Server.IdleTimeout
	c.mu.Lock()
	at := c.server.start.Add(c.since + limit)
	c.mu.Unlock()
	switch {
	case at.After(now):
		return at
	case c.closeIdle():
		return now.Add(limit)
	}
	return time.Time{}
}

// logPanic logs what a handler has panicked with, as net/http does.
func (c *conn) logPanic(reason any) {
	if stack, logged := http1.PanicStack(reason); logged {
		c.server.log.Error("a request's handler has panicked", "remote", c.remote, "reason", reason, "stack", string(stack))
	}
}
