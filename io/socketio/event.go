package socketio

import (
	"encoding/json"
	"sync/atomic"
	"unicode/utf8"
)

// Event is an event that a client sent.
type Event struct {
	Socket *Socket
	Name   string
	Args

	size  int
	ackID uint64
	wants bool // an acknowledgement
	acked atomic.Bool
}

// received is an event with room for what most consist of.
type received struct {
	Event
	room [4]json.RawMessage
}

// reset takes out what the event was. What is in room is overwritten before it is looked at: to clear it was 3 % of an event.
func (r *received) reset() {
	r.Socket, r.Args = nil, Args{}
	r.wants = false
	r.acked = atomic.Bool{} // nobody else has the event any more
}

// Handler handles an event. Handlers of one connection run one at a time, in
// the order of arrival, and hold up only that connection; one that waits for
// the same client must do so in a goroutine of its own.
type Handler func(*Event)

// WantsAck reports whether the client asked for an acknowledgement.
func (e *Event) WantsAck() bool { return e.wants }

// Ack answers the event. It may be called after the handler returned. Its errors
// are [ErrNoAck], those of the arguments, after which another Ack is possible, and
// those of [Socket.Emit].
func (e *Event) Ack(args ...Arg) error {
	if !e.wants {
		return ErrNoAck
	}
	var room [1]json.RawMessage
	list, attachments, err := join(room[:], args)
	if err != nil {
		return err
	}
	if e.acked.Swap(true) {
		return ErrNoAck
	}
	return e.Socket.send(Packet{Type: PacketAck, ID: e.ackID, HasID: true}, list, attachments)
}

// AckJSON is [Event.Ack] with one argument that is known to be valid JSON, which is neither looked at again nor kept.
func (e *Event) AckJSON(data json.RawMessage) error {
	if !e.wants || e.acked.Swap(true) {
		return ErrNoAck
	}
	if !e.Socket.present() {
		return ErrDisconnected
	}
	return sendError(e.Socket.client.answer(e.Socket.namespace.name, e.ackID, data))
}

// A Registry takes handlers: a [Namespace] or a [Parent].
type Registry interface {
	On(event string, fn Handler)
}

// Handle registers fn for an event whose first argument decodes, as by
// [Args.Decode], into a T. What does not decode is handed to failed, which
// may be nil.
func Handle[T any](r Registry, event string, fn func(*Event, T), failed func(*Event, error)) {
	r.On(event, func(e *Event) {
		var v T
		if err := e.Decode(0, &v); err != nil {
			if failed != nil {
				failed(e, err)
			}
			return
		}
		fn(e, v)
	})
}

// HandleAck is [Handle] for events that are acknowledged with what fn or failed
// returns, as [JSON]. Without failed, what does not decode is not acknowledged.
// The answer to a client that wants none, or has gone, is dropped.
func HandleAck[T, R any](r Registry, event string, fn func(*Event, T) R, failed func(*Event, error) R) {
	var refuse func(*Event, error)
	if failed != nil {
		refuse = func(e *Event, err error) { e.answer(failed(e, err)) }
	}
	Handle(r, event, func(e *Event, v T) { e.answer(fn(e, v)) }, refuse)
}

func (e *Event) answer(v any) {
	if !e.WantsAck() {
		return
	}
	if err := e.Ack(JSON(v)); err != nil {
		e.Socket.client.server.log.Debug("an acknowledgement was not sent", "event", e.Name, "error", err)
	}
}

// Size is how many bytes the event took, with its attachments. They stay in memory until its handler returns.
func (e *Event) Size() int { return e.size }

// receive handles a packet of size bytes other than CONNECT.
func (s *Socket) receive(p *Packet, elements []json.RawMessage, attachments [][]byte, size int) error {
	switch p.Type {
	case PacketEvent, PacketBinaryEvent:
		s.handle(p, elements, attachments, size)
		return nil
	case PacketAck, PacketBinaryAck:
		return s.ack(p, attachments)
	default: // DISCONNECT
		s.leave(ClientDisconnect)
		return nil
	}
}

// plainName is the name of an event that is a JSON string and says it as it is, in ASCII. It shares memory with raw.
func plainName(raw json.RawMessage) (name []byte, ok bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return nil, false
	}
	name = raw[1 : len(raw)-1]
	for _, c := range name {
		if c == '\\' || c >= utf8.RuneSelf {
			return nil, false
		}
	}
	return name, true
}

// nameOf is the name of an event. Node allows numbers, too. It may share memory with raw.
func nameOf(raw json.RawMessage) []byte {
	if name, ok := plainName(raw); ok {
		return name
	}
	var name string
	if err := json.Unmarshal(raw, &name); err != nil {
		return raw
	}
	return []byte(name)
}

// handle handles an event, whose elements are the name and the arguments.
func (s *Socket) handle(p *Packet, elements []json.RawMessage, attachments [][]byte, size int) {
	way := s.namespace.route(nameOf(elements[0]))
	if way.handle == nil || !s.present() {
		return
	}
	pool := &s.client.server.events
	r := pool.Get().(*received)
	e := &r.Event
	e.Socket, e.Name, e.Args = s, way.event, Args{append(r.room[:0], elements[1:]...), attachments}
	e.size, e.ackID, e.wants = size, p.ID, p.HasID
	way.handle(e)
	if way.brief {
		r.reset()
		pool.Put(r)
	}
}
