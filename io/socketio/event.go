package socketio

import (
	"errors"
	"sync/atomic"
)

// Event is an event that a client sent.
type Event struct {
	Socket *Socket
	Name   string
	Args

	ackID uint64
	acked *atomic.Bool // nil: the client wants no acknowledgement
}

// Handler handles an event. Handlers of one connection run one at a time, in
// the order of arrival, and hold up only that connection; one that waits for
// the same client must do so in a goroutine of its own.
type Handler func(*Event)

// WantsAck reports whether the client asked for an acknowledgement.
func (e *Event) WantsAck() bool { return e.acked != nil }

// ErrNoAck means that the client asked for no acknowledgement, or has it already.
var ErrNoAck = errors.New("socketio: no acknowledgement is wanted")

// Ack answers the event. It may be called after the handler returned. Other
// errors are those of the arguments, after which another Ack is possible, and
// those of [Socket.Emit].
func (e *Event) Ack(args ...Arg) error {
	if e.acked == nil {
		return ErrNoAck
	}
	list, attachments, err := join(args)
	if err != nil {
		return err
	}
	if e.acked.Swap(true) {
		return ErrNoAck
	}
	return e.Socket.send(Packet{Type: PacketAck, ID: e.ackID, HasID: true}, list, attachments)
}

// Handle registers fn for an event whose first argument decodes, by
// [encoding/json], into a T. What does not decode is handed to failed, which
// may be nil.
func Handle[T any](n *Namespace, event string, fn func(*Event, T), failed func(*Event, error)) {
	n.On(event, func(e *Event) {
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
