package socketio

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"crier/io/hub"
)

// Arg is one argument of an event or an acknowledgement: JSON or bytes.
type Arg struct {
	json   json.RawMessage
	binary []byte
	isBin  bool
	err    error
}

// JSON is the argument that [json.Marshal] makes of v, without the escaping
// meant for HTML. An error surfaces where the argument is used.
func JSON(v any) Arg {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return Arg{err: fmt.Errorf("encoding an argument: %w", err)}
	}
	return Arg{json: bytes.TrimSuffix(buf.Bytes(), []byte("\n"))}
}

// Raw is an argument that is JSON already. It is checked, not copied.
func Raw(data json.RawMessage) Arg {
	if !json.Valid(data) {
		return Arg{err: errors.New("socketio: an argument is not valid JSON")}
	}
	return Arg{json: data}
}

// Binary is an argument of bytes, which arrives as an ArrayBuffer in a browser
// and a Buffer in Node. The bytes are not copied.
func Binary(data []byte) Arg { return Arg{binary: data, isBin: true} }

// ErrReserved means that an event has a name that clients keep for themselves,
// such as "connect": they would take it for a broken packet and disconnect.
var ErrReserved = errors.New("socketio: reserved event name")

var errNested = errors.New("socketio: bytes inside an object or array cannot be forwarded")

// NewMessage returns the event with its arguments as the hub delivers it.
func NewMessage(event string, args ...Arg) (*hub.Message, error) {
	if reservedName(event) {
		return nil, ErrReserved
	}
	list, attachments, err := join(args)
	if err != nil {
		return nil, err
	}
	return &hub.Message{Event: event, Args: list, Attachments: attachments}, nil
}

// join separates the JSON of arguments from their attachments, leaving
// placeholders in the former (v5-current.md, "Packet encoding").
func join(args []Arg) (list []json.RawMessage, attachments [][]byte, err error) {
	list = make([]json.RawMessage, len(args))
	for i, a := range args {
		switch {
		case a.err != nil:
			return nil, nil, a.err
		case a.isBin:
			list[i] = placeholder(len(attachments))
			attachments = append(attachments, a.binary)
		case a.json == nil:
			list[i] = json.RawMessage("null")
		default:
			list[i] = a.json
		}
	}
	return list, attachments, nil
}

func placeholder(n int) json.RawMessage {
	return fmt.Appendf(nil, `{"_placeholder":true,"num":%d}`, n)
}

// Args are the arguments of an event or an acknowledgement as they arrived.
// They share memory with the packet: copy what is kept after the handler returns.
type Args struct {
	list        []json.RawMessage
	attachments [][]byte
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

// Decode stores argument i in the value that v points to, as [json.Unmarshal] does.
func (a Args) Decode(i int, v any) error {
	data := a.JSON(i)
	if data == nil {
		return fmt.Errorf("socketio: no argument %d", i)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("decoding argument %d: %w", i, err)
	}
	return nil
}

// Binary returns argument i if it is bytes.
func (a Args) Binary(i int) (data []byte, ok bool) {
	n, ok := placeholderNum(a.JSON(i))
	if !ok || n >= len(a.attachments) {
		return nil, false
	}
	return a.attachments[n], true
}

// Forward returns argument i as one that can be sent on; null if there is none.
// For an object or array with bytes somewhere inside, sending is an error.
func (a Args) Forward(i int) Arg {
	if b, ok := a.Binary(i); ok {
		return Binary(b)
	}
	data := a.JSON(i)
	if len(a.attachments) > 0 && bytes.Contains(data, []byte(`"_placeholder"`)) {
		return Arg{err: errNested} // its numbers mean nothing in another packet
	}
	return Arg{json: data}
}

// placeholderNum recognises the JSON that stands for an attachment.
func placeholderNum(data json.RawMessage) (n int, ok bool) {
	if !bytes.HasPrefix(data, []byte("{")) || !bytes.Contains(data, []byte(`"_placeholder"`)) {
		return 0, false
	}
	var p struct {
		Placeholder bool `json:"_placeholder"`
		Num         *int `json:"num"`
	}
	if err := json.Unmarshal(data, &p); err != nil || !p.Placeholder || p.Num == nil || *p.Num < 0 {
		return 0, false
	}
	return *p.Num, true
}
