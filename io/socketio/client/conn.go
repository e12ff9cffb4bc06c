package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"crier/io/engineio"
	"crier/io/socketio"
)

// Conn is one connection that has joined its namespace. Its methods may be called by many goroutines at once.
type Conn struct {
	// static
	socket    *socket
	namespace string
	id        string        // of the client in the namespace
	patience  time.Duration // in which the server says something, at least a ping

	// owned by the reader
	partial     *socketio.Packet // which waits for attachments
	attachments [][]byte

	mu      sync.Mutex
	lastAck uint64
	acks    map[uint64]AckFunc
}

// AckFunc is called with what the server answered to an event, on Run's goroutine. Its error ends Run.
type AckFunc func(args socketio.Args) error

// ID is the client's id in the namespace, a new one for each connection.
func (c *Conn) ID() string { return c.id }

// Event is an event of the server.
type Event struct {
	Name string
	socketio.Args

	conn    *Conn
	ackID   uint64
	wantAck bool
}

// WantsAck reports whether the server asked for an acknowledgement.
func (e *Event) WantsAck() bool { return e.wantAck }

// Ack acknowledges the event, once.
func (e *Event) Ack(args ...socketio.Arg) error {
	if !e.wantAck {
		return socketio.ErrNoAck
	}
	e.wantAck = false
	m, err := socketio.NewMessage("ack", args...) // the name is not used
	if err != nil {
		return err
	}
	return e.conn.send(socketio.Packet{Type: socketio.PacketAck, ID: e.ackID, HasID: true}, m.Args, m.Attachments)
}

// Emit sends an event. With ack, which may be nil, it asks for an acknowledgement; if none comes, ack is not called. The
// errors are those of [socketio.NewMessage] and of writing.
func (c *Conn) Emit(event string, ack AckFunc, args ...socketio.Arg) error {
	m, err := socketio.NewMessage(event, args...)
	if err != nil {
		return err
	}
	name, err := json.Marshal(event)
	if err != nil {
		return fmt.Errorf("encoding the name of an event: %w", err)
	}
	p := socketio.Packet{Type: socketio.PacketEvent}
	if ack != nil {
		p.ID, p.HasID = c.expect(ack), true
	}
	return c.send(p, append([]json.RawMessage{name}, m.Args...), m.Attachments)
}

// expect files ack under the id that it returns.
func (c *Conn) expect(ack AckFunc) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.acks == nil {
		c.acks = make(map[uint64]AckFunc)
	}
	c.lastAck++
	c.acks[c.lastAck] = ack
	return c.lastAck
}

// taken returns who waits for an acknowledgement, nil if nobody does.
func (c *Conn) taken(id uint64) AckFunc {
	c.mu.Lock()
	defer c.mu.Unlock()
	ack := c.acks[id]
	delete(c.acks, id)
	return ack
}

// send sends an event or an ack with list as its data, and attachments behind it.
func (c *Conn) send(p socketio.Packet, list []json.RawMessage, attachments [][]byte) error {
	if len(attachments) > 0 {
		p.Attachments = len(attachments)
		p.Type += socketio.PacketBinaryEvent - socketio.PacketEvent
	}
	p.Namespace = c.namespace
	p.Data = append(p.Data, '[')
	for i, one := range list {
		if i > 0 {
			p.Data = append(p.Data, ',')
		}
		p.Data = append(p.Data, one...)
	}
	p.Data = append(p.Data, ']')
	text := socketio.AppendPacket([]byte{'0' + byte(engineio.Message)}, p)
	return c.socket.write(writeTimeout, text, attachments)
}

// session is one connection from the attempt to its end, for whose reason it returns an error, never nil.
func session(ctx context.Context, o Options, address string, h Handler, joined func()) (err error) {
	auth, err := o.auth()
	if err != nil {
		return handled(err) // which no return would mend
	}
	s, err := dial(ctx, o, address)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	stop := context.AfterFunc(ctx, s.interrupt)
	defer stop()
	c := &Conn{socket: s, namespace: o.Namespace}
	if err := errors.Join(s.expect(connectTimeout), c.join(auth)); err != nil {
		return err
	}
	joined()
	if err := h.Connected(c); err != nil {
		return handled(err)
	}
	for {
		err := s.expect(c.patience)
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = c.receive(h)
		}
		switch {
		case err != nil && ctx.Err() != nil:
			return errors.Join(err, c.goodbye())
		case err != nil:
			return err
		}
	}
}

// goodbye tells the server that the client leaves, so that it waits for nothing.
func (c *Conn) goodbye() error {
	text := socketio.AppendPacket([]byte{'0' + byte(engineio.Message)}, socketio.Packet{Type: socketio.PacketDisconnect, Namespace: c.namespace})
	return errors.Join(c.socket.write(goodbyeTimeout, text, nil), c.socket.writeClose())
}

// join shakes hands (v4-current.md, "Handshake"; v5-current.md, "Connection to a namespace").
func (c *Conn) join(auth json.RawMessage) error {
	opened, err := c.socket.packet()
	if err != nil {
		return err
	}
	var hello struct {
		PingInterval, PingTimeout int64 // milliseconds
	}
	if opened.Type != engineio.Open || json.Unmarshal(opened.Data, &hello) != nil || hello.PingInterval <= 0 || hello.PingTimeout <= 0 {
		return errors.New("the server does not begin as an Engine.IO 4 server does")
	}
	c.patience = time.Duration(hello.PingInterval+hello.PingTimeout) * time.Millisecond
	text := socketio.AppendPacket([]byte{'0' + byte(engineio.Message)}, socketio.Packet{Type: socketio.PacketConnect, Namespace: c.namespace, Data: auth})
	if err := c.socket.write(writeTimeout, text, nil); err != nil {
		return err
	}
	for {
		p, _, err := c.next()
		switch {
		case err != nil:
			return err
		case p == nil || p.Namespace != c.namespace:
		case p.Type == socketio.PacketConnect:
			var joined struct{ SID string }
			if err := json.Unmarshal(p.Data, &joined); err != nil || joined.SID == "" {
				return errors.New("the server does not speak Socket.IO protocol 5")
			}
			c.id = joined.SID
			return nil
		case p.Type == socketio.PacketConnectError:
			refused := &socketio.ConnectError{}
			if err := json.Unmarshal(p.Data, refused); err != nil {
				return fmt.Errorf("reading a refusal: %w", err)
			}
			return refused
		}
	}
}

// receive reads one message and does what it says.
func (c *Conn) receive(h Handler) error {
	p, attachments, err := c.next()
	if err != nil || p == nil || p.Namespace != c.namespace {
		return err
	}
	switch p.Type {
	case socketio.PacketDisconnect:
		return ErrDisconnected
	case socketio.PacketEvent, socketio.PacketBinaryEvent:
		return c.event(h, p, attachments)
	case socketio.PacketAck, socketio.PacketBinaryAck:
		ack := c.taken(p.ID)
		if ack == nil {
			return nil
		}
		args, err := arguments(p.Data, 0, attachments)
		if err != nil {
			return err
		}
		return handled(ack(args))
	default:
		return nil
	}
}

// event hands an event to the handler.
func (c *Conn) event(h Handler, p *socketio.Packet, attachments [][]byte) error {
	e := &Event{conn: c, ackID: p.ID, wantAck: p.HasID}
	list, err := socketio.SplitArray(p.Data)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(list[0], &e.Name); err != nil {
		e.Name = string(list[0]) // a number, which is allowed
	}
	if e.Args, err = arguments(p.Data, 1, attachments); err != nil {
		return err
	}
	return handled(h.Event(e))
}

// arguments returns the elements of an array from the given one on.
func arguments(data json.RawMessage, from int, attachments [][]byte) (socketio.Args, error) {
	list, err := socketio.SplitArray(data)
	if err != nil {
		return socketio.Args{}, err
	}
	return socketio.NewArgs(list[from:], attachments)
}

// next reads one message: a whole Socket.IO packet with its attachments, or nil for anything else, heartbeats included,
// which it answers.
func (c *Conn) next() (*socketio.Packet, [][]byte, error) {
	packet, err := c.socket.packet()
	switch {
	case err != nil:
		return nil, nil, err
	case packet.Binary:
		return c.attach(packet.Data)
	}
	switch packet.Type {
	case engineio.Ping:
		pong, _ := engineio.AppendFrame(nil, engineio.Revision4, false, engineio.Packet{Type: engineio.Pong, Data: packet.Data})
		return nil, nil, c.socket.write(writeTimeout, pong, nil)
	case engineio.Close:
		return nil, nil, errClosed
	case engineio.Message:
	default:
		return nil, nil, nil
	}
	if c.partial != nil {
		return nil, nil, errors.New("the server sent text where bytes are due")
	}
	p, err := socketio.ParsePacket(packet.Data, maxAttachments)
	if err != nil {
		return nil, nil, err
	}
	if p.Attachments > 0 {
		c.partial = &p
		return nil, nil, nil
	}
	return &p, nil, nil
}

// attach takes the bytes of an attachment, and returns the packet once it has all of them.
func (c *Conn) attach(data []byte) (*socketio.Packet, [][]byte, error) {
	if c.partial == nil {
		return nil, nil, errors.New("the server sent bytes that belong to nothing")
	}
	c.attachments = append(c.attachments, data)
	if len(c.attachments) < c.partial.Attachments {
		return nil, nil, nil
	}
	p, all := c.partial, c.attachments
	c.partial, c.attachments = nil, nil
	return p, all, nil
}
