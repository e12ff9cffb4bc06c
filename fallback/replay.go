package fallback

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"slices"

	"crier/io/hub"
)

// claim returns what the connection has left behind with which the client was at that position, if it is the same user's who
// may still be in its rooms; else nil, and it is left alone. A connection whose loss has not been noticed ends.
func (s *Server) claim(a *Admission, at position) *hub.Past {
	if at.pid == "" {
		return nil
	}
	conn, uid := s.hub.Tracked(at.pid)
	if last, ok := conn.(*Client); ok {
		if uid != a.UID {
			return nil
		}
		last.line.abort()
		last.awaitEnd()
	}
	uid, kept, there := s.hub.Left(at.pid)
	if !there { // here, at least
		uid, there = s.hub.LeftElsewhere(at.pid)
	}
	if !there || uid != a.UID {
		return nil
	}
	if w, ok := kept.(*waits); ok && w != nil {
		w.reach(at.count)
	}
	past := s.hub.Claim(at.pid, at.offset)
	if past == nil {
		return nil
	}
	barred := func(room string) bool { return a.MayEnter != nil && !a.MayEnter(room) }
	if past.UID() != a.UID || slices.ContainsFunc(past.Rooms(), barred) {
		past.Release()
		return nil
	}
	return past
}

// comeIn is what open does once the client has its place: it goes on where past was left, or begins.
func (c *Client) comeIn(a *Admission, q *Request, past *hub.Past) error {
	if past != nil {
		if err := a.Enter(c); err != nil {
			return err
		}
		err := c.member.Recover(past, func(b hub.Beginning) error { return c.begin(b, parsePosition(q.after), nil) })
		if err != nil {
			return err // so that it comes back, and is told what has become of it
		}
		c.member.Ready()
		return nil
	}
	if c.tracked {
		err := c.member.Track(func(b hub.Beginning) error { return c.begin(b, position{}, helloWire(q.after)) })
		if err != nil {
			return err
		}
	} else if q.after != "" && !c.cursor {
		c.say(missedWire(q.after))
	}
	return a.Enter(c)
}

// begin has a client that can come back begin: with hello, or with what it has missed, behind what it had got
// at that position. Nothing was delivered before.
func (c *Client) begin(b hub.Beginning, at position, hello *wire) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pid, c.offset = b.PID, b.Offset
	var list []*wire
	if hello != nil && !c.cursor {
		list = append(list, c.placed(hello, b.Offset, at.count+1).own())
	}
	for _, m := range b.Missed {
		list = append(list, c.placed(c.server.wireOf(m), m.Offset(), at.count+uint64(len(list))+1).own())
	}
	if err := c.line.begin(position{c.pid, at.count, cmp.Or(at.offset, b.Offset)}, list); errors.Is(err, errFull) {
		c.Drop()
	} else if err != nil {
		c.server.log.Debug("a client that has come back has gone", "error", err)
	}
	return nil // the end shows at the line, and what is missed is not lost with it
}

// placed is w as it is sent to a client that can come back, the message of that number.
func (c *Client) placed(w *wire, offset string, number uint64) placed {
	if c.cursor {
		return placed{w, position{offset: offset}}
	}
	return placed{w, position{c.pid, number, offset}}
}

// deliverInOrder is Deliver for a client that can come back: its offset must never go back.
func (c *Client) deliverInOrder(w *wire, m *hub.Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	offset := m.Offset()
	switch {
	case c.pid == "" || offset == "" && !m.Late():
		return hub.ErrGone // it was on its way before the client was there
	case offset == "":
		offset = c.offset
	}
	err := c.send(c.placed(w, offset, c.line.count()+1), m.Volatile)
	if err == nil {
		c.offset = offset
	}
	return err
}

// Present implements [hub.Confirmer]: who goes on where it was is first given what it has missed.
func (c *Client) Present() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.returning || c.pid != ""
}

// Confirm implements [hub.Confirmer]. What it goes by depends on the line: a pong of the WebSocket protocol, or the next
// request. A stream of events confirms when its client comes back and says what it got last.
func (c *Client) Confirm(taken func(), arrived func(ok bool)) { c.line.confirm(taken, arrived) }

// SendBack implements [hub.Returner].
func (c *Client) SendBack() { c.line.close(sentBack) }

// Tell sends the client an event that is for nobody else and that no push brings. The arguments are valid JSON, whose memory is
// the caller's again when it returns.
func (c *Client) Tell(event string, args []json.RawMessage) error {
	own := make([]json.RawMessage, len(args))
	for i, arg := range args {
		own[i] = bytes.Clone(arg)
	}
	return c.send(placed{wire: &wire{event: event, args: own}}, false)
}

// ended reports whether the client has gone.
func (c *Client) ended() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.over
}

// awaitEnd waits until the client, whose line has ended, has left the hub.
func (c *Client) awaitEnd() {
	c.mu.Lock()
	if c.end == nil {
		c.end = make(chan struct{})
		if c.out {
			close(c.end)
		}
	}
	end := c.end
	c.mu.Unlock()
	<-end
}

// leftHub ends the wait of awaitEnd.
func (c *Client) leftHub() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = true
	if c.end != nil {
		close(c.end)
	}
}

// helloWire tells a client that can come back where it begins: with the event ready, or missed if it says that it has been
// here and that is not known.
func helloWire(after string) *wire {
	if after != "" {
		return missedWire(after)
	}
	return &wire{event: "ready", args: []json.RawMessage{}}
}

// missedWire says that there may have been messages since the one of that id which the client does not get any more.
func missedWire(after string) *wire {
	if len(after) > maxAfter {
		after = ""
	}
	arg := append(appendJSONString([]byte(`{"after":`), after), '}')
	return &wire{event: "missed", args: []json.RawMessage{arg}}
}
