package fallback

import (
	"encoding/json"
	"errors"
	"strconv"
	"sync"

	"crier/io/hub"
)

// Client is a connection that speaks no Socket.IO. It is the [hub.Asker] of it,
// and safe for concurrent use.
type Client struct {
	// static
	server *Server
	id     string
	line   line
	member *hub.Member // set before anybody but the hub has the client

	mu     sync.Mutex
	data   any
	asked  map[uint64]*hub.Ask // by the number of the answer
	opened bool                // the handler knows of it
	over   bool
}

// A line is how a client is reached. Its methods never block, and may be called
// by many goroutines at once, also after the end.
type line interface {
	// send takes w, or returns errFull, [hub.ErrSlow] for what is volatile and
	// cannot leave now, or [hub.ErrGone].
	send(w *wire, volatile bool) error
	// hears reports whether the client can say something.
	hears() bool
	// confirm has a told, outside of every lock, when all that was sent before has got to the client as far as the
	// line can know, or has ended; maybe before it returns. It reports false, and has not, if it has ended.
	confirm(a arrival) bool
	// close tells the client why, as far as that can be, and ends.
	close(why Reason)
	// abort ends at once.
	abort()
	// left is called once, after the end: timers stop, and who waits for arrivals is told. Before it, the line calls [Client.gone].
	left()
}

// errFull is what a line's send returns when the client is too far behind to stay.
var errFull = errors.New("the queue is full")

// ID implements [hub.Conn].
func (c *Client) ID() string { return c.id }

// Member is the client's place in the hub.
func (c *Client) Member() *hub.Member { return c.member }

// Data returns what SetData was given last, or nil.
func (c *Client) Data() any {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.data
}

// SetData keeps a value with the client.
func (c *Client) SetData(v any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.data = v
}

// Close ends the connection and tells the client why. It does not wait.
func (c *Client) Close(why Reason) { c.line.close(why) }

// Kick implements [hub.Conn].
func (c *Client) Kick() { c.line.close(Kicked) }

// Deliver implements [hub.Conn].
func (c *Client) Deliver(m *hub.Message) error {
	if m.Ask() != nil && c.line.hears() {
		return c.ask(m)
	}
	return c.send(c.server.wireOf(m), m.Volatile)
}

// send sends w. Who is too far behind is disconnected.
func (c *Client) send(w *wire, volatile bool) error {
	if w.err != nil {
		return w.err
	}
	err := c.line.send(w, volatile)
	if errors.Is(err, errFull) {
		c.server.slow.Add(1)
		c.line.close(TooSlow)
		return hub.ErrSlow
	}
	return err
}

// say sends what is no message. Who does not get it has gone.
func (c *Client) say(w *wire) {
	if err := c.send(w, false); err != nil {
		c.server.log.Debug("a client was not answered", "error", err)
	}
}

// ask sends m and waits for the answer.
func (c *Client) ask(m *hub.Message) error {
	w := c.server.questionOf(m)
	if w.err != nil {
		return w.err
	}
	c.mu.Lock()
	if c.over {
		c.mu.Unlock()
		return hub.ErrGone
	}
	m.Ask().Expect(c) // before anybody can say that the client has gone
	if c.asked == nil {
		c.asked = make(map[uint64]*hub.Ask)
	}
	c.asked[w.ack] = m.Ask()
	c.mu.Unlock()
	err := c.send(w, m.Volatile)
	if err != nil && c.takeAsked(w.ack) != nil {
		m.Ask().Miss(c)
	}
	return err
}

// Forget implements [hub.Asker].
func (c *Client) Forget(m *hub.Message) { c.takeAsked(c.server.questionOf(m).ack) }

// takeAsked ends the wait for an answer; nil if nobody waits for it.
func (c *Client) takeAsked(number uint64) *hub.Ask {
	c.mu.Lock()
	defer c.mu.Unlock()
	ask := c.asked[number]
	delete(c.asked, number)
	if len(c.asked) == 0 {
		c.asked = nil
	}
	return ask
}

// receive handles a text of the client, not two at a time. The error, a
// [Reason], is for the client.
func (c *Client) receive(text []byte) error {
	if string(text) == "ping" { // pages cannot send a WebSocket's own
		c.say(textWire([]byte("pong")))
		return nil
	}
	s, err := parseStatement(text)
	switch {
	case err != nil:
		return err
	case s.Event == nil:
		c.answered(s.Ack, s.Args)
	default:
		c.server.handler.Event(&Event{Client: c, Name: *s.Event, args: s.Args, ackID: s.Ack})
	}
	return nil
}

// answered is told what the client answers to an event. What was not asked for, or is late, counts for nothing.
func (c *Client) answered(id json.RawMessage, args []json.RawMessage) {
	number, err := strconv.ParseUint(string(id), 10, 64)
	if err != nil {
		return
	}
	if ask := c.takeAsked(number); ask != nil {
		ask.Answer(c, args, nil)
	}
}

// open gives the client, whose line is ready, its place in the hub. enter is
// what the handler admitted it with, after the last message that it has got.
// After an error it has no place.
func (c *Client) open(enter func(*Client) error, after string) error {
	var err error
	if c.member, err = c.server.hub.Connect(c); err != nil {
		c.line.left()
		return err
	}
	if c.server.add(c) {
		c.resume(after)
		err = enter(c)
	} else {
		err = Stopping
	}
	c.mu.Lock()
	c.opened = true
	if err == nil && c.over {
		err = hub.ErrGone
	}
	c.over = err != nil
	c.mu.Unlock()
	if err != nil {
		c.leave()
	}
	return err
}

// gone is called by the line when it has ended.
func (c *Client) gone() {
	c.mu.Lock()
	leave := c.opened && !c.over // else open does it, or somebody else has
	c.over = true
	c.mu.Unlock()
	if leave {
		c.leave()
	}
}

// leave ends what open has begun.
func (c *Client) leave() {
	c.line.left()
	c.mu.Lock()
	asked := c.asked
	c.asked = nil
	c.mu.Unlock()
	for _, ask := range asked {
		ask.Miss(c)
	}
	c.server.handler.Closed(c)
	c.member.Gone()
	c.server.remove(c)
}

// resume tells a client what it has missed since the message of that id, if it
// names one: that something may be missing, as nothing is kept for who is away.
func (c *Client) resume(after string) {
	if after != "" {
		c.say(missedWire(after))
	}
}
