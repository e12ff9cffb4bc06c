package wsconn

import (
	"errors"

	"github.com/gobwas/ws"
)

// errStopped makes the decoder stop when the connection is closing.
var errStopped = errors.New("input ended")

// events is a Conn as its poller and its decoder see it: they call it from the
// reading goroutine.
type events Conn

// Data decodes what was read.
func (e *events) Data(p []byte) error {
	c := (*Conn)(e)
	if !c.beginReading() {
		return nil
	}
	err := c.decoder().feed(&c.in, p, e)
	if h, ok := c.h.(PauseHandler); ok {
		h.Pause()
	}
	c.endReading()
	if err == nil || errors.Is(err, errStopped) {
		return nil
	}
	var ce *CloseError
	hangup := errors.As(err, &ce) && ce.Remote
	c.shutdown(closeFrameFor(err), hangup, err)
	c.tell(err)
	return nil // what still arrives is ignored until the peer has seen the close frame
}

// complete gets a message or a control frame.
func (e *events) complete(op ws.OpCode, payload []byte) error {
	c := (*Conn)(e)
	switch op {
	case ws.OpClose:
		return parseClose(payload)
	case ws.OpPing:
		c.pong(payload)
	case ws.OpPong:
		if h, ok := c.h.(PongHandler); ok {
			h.Pong(payload)
		}
	default:
		if err := c.h.Message(op, payload); err != nil {
			return err
		}
	}
	if c.load() != open {
		return errStopped
	}
	return nil
}

// Closed is the last event.
func (e *events) Closed(err error) {
	c := (*Conn)(e)
	err = c.finish(err)
	c.mu.Lock()
	c.dead = c.h == nil
	dead := c.dead
	c.mu.Unlock()
	c.up.dec.release(&c.in)
	if !dead { // otherwise Upgrade tells
		c.tell(err)
	}
}

// evictee implements [evictable].
func (e *events) evictee() any {
	c := (*Conn)(e)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.h
}

// tell calls the handler's Closed, once.
func (c *Conn) tell(err error) {
	if c.told {
		return
	}
	c.told = true
	c.up.open.Add(-1)
	c.h.Closed(err)
}

// pong answers a ping.
func (c *Conn) pong(payload []byte) {
	c.mu.Lock()
	if c.load() != open {
		c.mu.Unlock()
		return
	}
	var err error
	switch {
	case c.held():
		c.out.keep(appendControl(nil, finPong, payload), 0)
	case c.out != nil:
		c.out.pushPong(payload) // which is counted when it is written
	default:
		err = c.write(appendControl(nil, finPong, payload), 0, false)
	}
	c.mu.Unlock()
	if err != nil {
		c.abort(err)
	}
}
