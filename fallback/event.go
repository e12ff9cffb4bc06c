package fallback

import (
	"bytes"
	"encoding/json"
	"sync/atomic"
)

// maxAckID is the greatest length of what a client calls an event that it wants
// acknowledged, in bytes of JSON.
const maxAckID = 64

// Event is something that a client says: {"event","args","ack"}.
type Event struct {
	Client *Client
	Name   string

	size  int
	args  []json.RawMessage
	ackID json.RawMessage // a number or a string; nil: it wants no acknowledgement
	acked atomic.Bool
}

// Size is how many bytes the event took. They stay in memory until its handler returns.
func (e *Event) Size() int { return e.size }

// Len is the number of arguments.
func (e *Event) Len() int { return len(e.args) }

// JSON returns argument i as the client wrote it, which is valid JSON, or nil if
// there is none. Bytes are {"$binary":"<base64>"} there.
func (e *Event) JSON(i int) json.RawMessage {
	if i < 0 || i >= len(e.args) {
		return nil
	}
	return e.args[i]
}

// WantsAck reports whether the client asked for an acknowledgement.
func (e *Event) WantsAck() bool { return e.ackID != nil }

// Ack answers the event, once, with arguments of valid JSON. It may be called
// after the handler has returned. What a client that has gone would get, or one
// that wants nothing, is dropped.
func (e *Event) Ack(args ...json.RawMessage) {
	if e.ackID != nil && !e.acked.Swap(true) {
		e.Client.say(ackWire(e.ackID, args))
	}
}

// statement is a text of a client: an event, or the answer to one.
type statement struct {
	Event *string           `json:"event"`
	Args  []json.RawMessage `json:"args"`
	Ack   json.RawMessage   `json:"ack"`
}

// parseStatement reads a text of a client. The errors are Reasons.
func parseStatement(text []byte) (statement, error) {
	var s statement
	err := json.Unmarshal(text, &s)
	if string(s.Ack) == "null" {
		s.Ack = nil
	}
	switch {
	case err != nil:
		return s, badMessage(`a message is JSON like {"event":"name","args":[…],"ack":1}, or the answer to one, {"ack":1,"args":[…]}`)
	case s.Event == nil && s.Ack == nil:
		return s, badMessage("the message has neither an event nor an ack")
	case s.Event != nil && *s.Event == "":
		return s, badMessage("the event has no name")
	case len(s.Ack) > maxAckID || s.Ack != nil && !bytes.ContainsAny(s.Ack[:1], `"-0123456789`):
		return s, badMessage("ack has to be a number or a short string")
	}
	return s, nil
}
