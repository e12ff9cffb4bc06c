package httpconn

import "net/http"

// Owner is who has the answer to a request that waits.
type Owner interface {
	// Gone says that the request can have no answer: its client has gone. No lock is held, and it is called once at most; not
	// after [Waiting.Respond] has returned, but maybe meanwhile.
	Gone(p *Waiting)
}

// Waiting is a request that waits for its answer.
type Waiting struct {
	owner Owner

	// of a request whose connection a Server has
	conn   *conn // nil: it is another one
	header *fields

	// of another one, whose handler's goroutine waits
	w      http.ResponseWriter
	left   <-chan struct{} // closed when the client has gone
	answer chan func(w http.ResponseWriter)
}

// Park has the request of a handler wait; its body must have been read. What is in the header of w by then is in the header of the answer.
// w must not be used any more. The handler tells whoever has the answer of it, then calls [Waiting.Wait], and returns.
func Park(w http.ResponseWriter, r *http.Request, owner Owner) *Waiting {
	left := r.Context().Done()
	switch w := w.(type) {
	case *exchange:
		return w.park(owner)
	case *guest:
		if w.adopt() {
			return w.x.park(owner)
		}
		if w.lost {
			ended := make(chan struct{})
			close(ended)
			left = ended
		}
	}
	return &Waiting{owner: owner, w: w, left: left, answer: make(chan func(http.ResponseWriter), 1)}
}

// Take has a Server take over the connection of a request whose body has been read, so that the next ones on it cost less. It may not be possible; w
// is used as before.
func Take(w http.ResponseWriter) {
	if g, ok := w.(*guest); ok {
		g.adopt()
	}
}

// Wait returns at once if the request's connection is a Server's. For another one it waits, and has it answered.
func (p *Waiting) Wait() {
	if p.conn != nil {
		return
	}
	select {
	case f := <-p.answer:
		f(p.w)
	case <-p.left:
		p.owner.Gone(p)
	}
}

// Respond has f write the answer; it must be called once. It does not wait, and may be called with locks held, but then f must not take
// them unless writing fails: that can be only where it is the handler's goroutine that calls f, in [Waiting.Wait].
func (p *Waiting) Respond(f func(w http.ResponseWriter)) {
	if p.conn == nil {
		p.answer <- f // has room for one
		return
	}
	p.conn.respond(p, f)
}

// respond answers the request that waits, if it still does.
func (c *conn) respond(p *Waiting, f func(w http.ResponseWriter)) {
	x := c.server.exchange(c)
	defer c.server.release(x)
	p.header.fill(x.Header(), &x.values)
	f(x.Response)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting != p {
		return
	}
	if err := c.replyLocked(x.Response); err != nil {
		c.over = true // and Closed tells the owner
	} else {
		c.waiting = nil
	}
	c.releaseLocked()
}
