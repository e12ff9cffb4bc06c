package socketio

import (
	"encoding/json"
	"fmt"
)

// Args are the arguments of an event or an acknowledgement as they arrived.
// They share memory with the packet: copy what is kept after the handler returns.
type Args struct {
	list        []json.RawMessage
	attachments [][]byte
}

// NewArgs returns the arguments of a packet that [ParsePacket] parsed, for whoever reads packets without a [Server]:
// list is all that stands in its Data but an event's name, attachments are the binary messages that came with
// it. The error, for placeholders that name none of those, wraps [ErrParse].
func NewArgs(list []json.RawMessage, attachments [][]byte) (Args, error) {
	for _, data := range list {
		if err := checkPlaceholders(data, len(attachments)); err != nil {
			return Args{}, err
		}
	}
	return Args{list, attachments}, nil
}

// Len is the number of arguments.
func (a Args) Len() int { return len(a.list) }

// JSON returns argument i as it was sent, or nil if there is none. An
// attachment appears as {"_placeholder":true,"num":n}.
func (a Args) JSON(i int) json.RawMessage {
	if i < 0 || i >= len(a.list) {
		return nil
	}
	return a.list[i]
}

// Decode stores argument i in the value that v points to, as [json.Unmarshal]
// does. Bytes, be they the argument or anywhere inside it, go where it stores
// base64: into a []byte, a [Bytes], or as that text into a string or an any. Its
// errors are [ErrNoArgument], [ErrRepeated] and those of [json.Unmarshal].
func (a Args) Decode(i int, v any) error {
	data := a.JSON(i)
	if data == nil {
		return fmt.Errorf("decoding argument %d: %w", i, ErrNoArgument)
	}
	if len(a.attachments) > 0 {
		var err error
		if data, err = inline(data, a.attachments, `"`, `"`); err != nil {
			return fmt.Errorf("decoding argument %d: %w", i, err)
		}
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("decoding argument %d: %w", i, err)
	}
	return nil
}

// Plain returns argument i as JSON that says everything, with {"$binary":"<base64>"}
// in the place of bytes, as the push API takes them; nil if there is none. It may
// share memory with the packet. Its error is [ErrRepeated].
func (a Args) Plain(i int) (json.RawMessage, error) {
	data := a.JSON(i)
	if len(a.attachments) == 0 {
		return data, nil
	}
	plain, err := inline(data, a.attachments, `{"$binary":"`, `"}`)
	if err != nil {
		return nil, fmt.Errorf("writing argument %d: %w", i, err)
	}
	return plain, nil
}

// Binary returns argument i if it is bytes.
func (a Args) Binary(i int) (data []byte, ok bool) {
	if len(a.attachments) == 0 {
		return nil, false
	}
	n, ok := whole(a.JSON(i))
	if !ok || n >= len(a.attachments) {
		return nil, false
	}
	return a.attachments[n], true
}

// Forward returns argument i, with the bytes in it, as one that can be sent on;
// null if there is none.
func (a Args) Forward(i int) Arg {
	data := a.JSON(i)
	if len(a.attachments) == 0 || len(findPlaceholders(data)) == 0 {
		return Arg{json: data}
	}
	return Arg{json: data, attachments: a.attachments}
}

// ForwardAll returns all arguments as ones that can be sent on.
func (a Args) ForwardAll() []Arg {
	out := make([]Arg, a.Len())
	for i := range out {
		out[i] = a.Forward(i)
	}
	return out
}
