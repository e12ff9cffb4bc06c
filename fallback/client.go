package fallback

import (
	"encoding/json"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"crier/io/hub"
	"crier/io/wsconn"
)

// Client is a connection that speaks no Socket.IO. It is the [hub.Asker] of it,
// and safe for concurrent use.
type Client struct {
	// static
	server *Server
	id     string
	line   line
	member hub.Member // has entered before anybody but the hub has the client
	// Set before the hub has the client.
	tracked   bool        // it can come back to where it was
	returning bool        // it has
	cursor    bool        // it is told where it is beside the messages, not by their ids
	entered   func()      // told when the client is there no more; nil if nobody wants to know
	pace      wsconn.Pace // owned by receive
	lags      atomic.Bool // it was counted as one that reads too slowly

	mu     sync.Mutex
	data   any
	asked  map[uint64]*hub.Ask // by the number of the answer
	opened bool                // the handler knows of it
	over   bool
	out    bool          // it has left the hub
	end    chan struct{} // closed when out; nil unless somebody waits for that
	pid    string        // its name when it comes back; "" until it has begun, and if it cannot
	offset string        // of the last message that the hub has delivered, if it can come back
}

// A line is how a client is reached. Its methods never block, and may be called
// by many goroutines at once, also after the end.
type line interface {
	// send takes p, or returns errFull, [hub.ErrSlow] for what is volatile and
	// cannot leave now, or [hub.ErrGone].
	send(p placed, volatile bool) error
	// kind is the name of the transport.
	kind() string
	// queued is how many bytes wait.
	queued() int
	// hears reports whether the client can say something.
	hears() bool
	// close tells the client why, as far as that can be, and ends.
	close(why Reason)
	// abort ends at once.
	abort()
	// begin brings the first messages of a client that can come back and is at that position, however many they are.
	begin(at position, list []*wire) error
	// count is how many messages the line has brought, if its client shows by their number what it has got; else 0.
	count() uint64
	// confirm is [hub.Confirmer]'s.
	confirm(taken func(), arrived func(ok bool))
	// left is called once, after the end: timers stop. Before it, the line calls [Client.gone]. It returns what the client
	// may still confirm when it comes back, or nil.
	left() *waits
}

// errFull is what a line's send returns when the client is too far behind to stay.
var errFull = errors.New("the queue is full")

// ID implements [hub.Conn].
func (c *Client) ID() string { return c.id }

// Member is the client's place in the hub.
func (c *Client) Member() *hub.Member { return &c.member }

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
	return c.transmit(c.server.wireOf(m), m)
}

// transmit sends m, of which w is what clients are sent.
func (c *Client) transmit(w *wire, m *hub.Message) error {
	if c.tracked {
		return c.deliverInOrder(w, m)
	}
	return c.send(placed{wire: w}, m.Volatile)
}

// send sends p. Who is too far behind is disconnected.
func (c *Client) send(p placed, volatile bool) error {
	if p.err != nil {
		return p.err
	}
	return c.taken(c.line.send(p, volatile))
}

// taken returns what the hub is told that a line has answered.
func (c *Client) taken(err error) error {
	if errors.Is(err, errFull) {
		c.Drop()
		return hub.ErrSlow
	}
	return err
}

// Drop ends the client, which is too far behind. It implements [hub.Confirmer].
func (c *Client) Drop() {
	c.lag(wsconn.Full, c.line.queued())
	c.line.close(TooSlow)
}

// lag counts the client, once, as one that reads too slowly, with the bytes that wait for it.
func (c *Client) lag(why wsconn.Lag, bytes int) {
	if c.lags.CompareAndSwap(false, true) {
		c.server.slow.Add(why, c.line.kind(), bytes)
	}
}

// say sends what is no message. Who does not get it has gone.
func (c *Client) say(w *wire) {
	if err := c.send(placed{wire: w}, false); err != nil {
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
	err := c.transmit(w, m)
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
	c.rest()
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
		c.server.handler.Event(&Event{Client: c, Name: *s.Event, size: len(text), args: s.Args, ackID: s.Ack})
	}
	return nil
}

// rest has a client that says too much wait: nothing more is read of it meanwhile.
func (c *Client) rest() {
	most := c.server.o.EventsPerSecond
	if most == 0 {
		return
	}
	if pause := c.pace.Next(time.Since(c.server.start), most); pause > 0 {
		c.server.rests.Add(1)
		c.Uncork()
		time.Sleep(pause)
	}
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

// open gives the client, whose line is ready, its place in the hub, as it was admitted. After an error it has none.
func (c *Client) open(a *Admission, q *Request) error {
	c.tracked = q.returns && c.server.hub.Recovers()
	var past *hub.Past
	if c.tracked {
		past = c.server.claim(a, parsePosition(q.after))
	}
	if past != nil {
		defer past.Release() // which does nothing if the client has gone on
		c.id, c.returning = past.ID(), true
	}
	err := c.server.hub.Enter(&c.member, c)
	if err != nil {
		c.lineLeft()
		return err
	}
	if c.tracked {
		c.member.WillTrack()
	}
	if c.server.add(c) {
		err = c.comeIn(a, q, past)
	} else {
		err = Stopping
	}
	c.mu.Lock()
	c.opened = true
	refused := err != nil
	if err == nil && c.over {
		err = hub.ErrGone
	}
	c.over = err != nil
	c.mu.Unlock()
	if err != nil {
		c.leave(!refused)
	}
	return err
}

// lost is gone for a connection that has ended with err.
func (c *Client) lost(err error) {
	c.stalled(err)
	c.gone()
}

// stalled reports whether a connection has ended since nothing of what waited was taken, and counts that.
func (c *Client) stalled(err error) bool {
	e, ok := errors.AsType[*wsconn.StalledError](err)
	if ok {
		c.lag(wsconn.Stalled, e.Bytes)
	}
	return ok
}

// gone is called by the line when it has ended.
func (c *Client) gone() {
	c.mu.Lock()
	leave := c.opened && !c.over // else open does it, or somebody else has
	c.over = true
	c.mu.Unlock()
	if leave {
		c.leave(true)
	}
}

// isOpen reports whether the client is in the hub, and known to the handler.
func (c *Client) isOpen() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.opened && !c.over
}

// evict ends the client since too much waits for all clients together, and most for it.
func (c *Client) evict() {
	if c.isOpen() {
		c.lag(wsconn.Evicted, 0)
	}
	c.line.close(TooMuch)
}

// lineLeft tells the line that it is no longer needed. Who cannot come back confirms nothing any more.
func (c *Client) lineLeft() *waits {
	c.exit()
	w := c.line.left()
	if w != nil && !c.tracked {
		w.lose()
	}
	return w
}

// leave ends what open has begun. back says that the client may come back.
func (c *Client) leave(back bool) {
	confirms := c.lineLeft()
	c.mu.Lock()
	asked := c.asked
	c.asked = nil
	c.mu.Unlock()
	for _, ask := range asked {
		ask.Miss(c)
	}
	c.server.handler.Closed(c)
	if back {
		c.member.Away(confirms)
	} else {
		c.member.Gone()
	}
	c.leftHub()
	c.server.remove(c)
}
