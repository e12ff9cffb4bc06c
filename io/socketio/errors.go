package socketio

import (
	"errors"
	"fmt"

	"crier/io/engineio"
)

// What is refused, and why. [ErrParse] is beside the packets.
var (
	// ErrReserved means that an event has a name that clients keep for
	// themselves, such as "connect": they would take it for a broken packet and
	// disconnect.
	ErrReserved = errors.New("socketio: reserved event name")
	// ErrNotJSON means that an argument of [Raw] is not valid JSON.
	ErrNotJSON = errors.New("socketio: an argument is not valid JSON")
	// ErrPlaceholder means that an argument looks like the placeholder of an
	// attachment, {"_placeholder":true,…}, in an event that has attachments, and
	// is none: clients would take it for a broken packet, or for somebody else's bytes.
	ErrPlaceholder = errors.New("socketio: an argument looks like the placeholder of an attachment")
	// ErrNoArgument means that an event or acknowledgement has fewer arguments.
	ErrNoArgument = errors.New("socketio: no such argument")
	// ErrRepeated means that an argument names an attachment more than once,
	// which no official client does: decoded, it could be without bounds.
	ErrRepeated = errors.New("socketio: an attachment appears more than once in an argument")
	// ErrNoAck means that the client asked for no acknowledgement, or has it already.
	ErrNoAck = errors.New("socketio: no acknowledgement is wanted")
	// ErrAckTimeout means that the client did not acknowledge in time.
	ErrAckTimeout = errors.New("socketio: the client did not acknowledge in time")
	// ErrDisconnected means that the client is not in the namespace: it has not
	// joined yet, or has left.
	ErrDisconnected = errors.New("socketio: the client is not in the namespace (any more)")
	// ErrQueueFull means that the client reads more slowly than it is sent to;
	// its connection has been closed, so that it comes back with an empty queue.
	ErrQueueFull = engineio.ErrQueueFull
	// ErrBadNamespace means that a namespace cannot have that name.
	ErrBadNamespace = fmt.Errorf("socketio: the name of a namespace must begin with / and have at most %d bytes, "+
		"without a comma, question mark or control character", maxNamespace)
)

// sendError makes one error of what means that the client has gone.
func sendError(err error) error {
	if err != nil && errors.Is(err, engineio.ErrClosed) {
		return fmt.Errorf("%w: %w", ErrDisconnected, err)
	}
	return err
}
