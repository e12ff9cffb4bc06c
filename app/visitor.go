package app

import (
	"bytes"
	"encoding/json"
	"log/slog"

	"crier/fallback"
	"crier/io/hub"
	"crier/io/socketio"
)

// A visitor is a client, whatever it speaks: a [socket] or a [fallback.Client].
type visitor interface {
	ID() string
	Member() *hub.Member
	Data() any
	SetData(v any)
	// Tell sends a message without attachments that no push brings.
	Tell(m *hub.Message) error
	// Close ends the connection in such a way that the client comes back.
	Close(why fallback.Reason)
}

// socket is a visitor that speaks Socket.IO.
type socket struct{ *socketio.Socket }

// Close implements [visitor]. There is no telling why.
func (s socket) Close(fallback.Reason) { s.Session().Close() }

// Cork and Uncork are [engineio.Session.Cork] and its counterpart.
func (s socket) Cork()   { s.Session().Cork() }
func (s socket) Uncork() { s.Session().Uncork() }

// corker is a visitor whose messages can leave together.
type corker interface {
	Cork()
	Uncork()
}

// said is an event of a visitor: a [socketEvent] or a [clientEvent].
type said interface {
	from() visitor
	name() string
	Len() int
	// JSON is argument i, or nil; bytes are placeholders in it.
	JSON(i int) json.RawMessage
	// Plain is argument i with the bytes in it.
	Plain(i int) (json.RawMessage, error)
	WantsAck() bool
	// ack answers it with an argument of valid JSON.
	ack(answer json.RawMessage) error
}

type socketEvent struct{ *socketio.Event }

func (e socketEvent) from() visitor                    { return socket{e.Socket} }
func (e socketEvent) name() string                     { return e.Name }
func (e socketEvent) ack(answer json.RawMessage) error { return e.Ack(socketio.Raw(answer)) }

type clientEvent struct{ *fallback.Event }

func (e clientEvent) from() visitor                        { return e.Client }
func (e clientEvent) name() string                         { return e.Name }
func (e clientEvent) Plain(i int) (json.RawMessage, error) { return e.JSON(i), nil }

func (e clientEvent) ack(answer json.RawMessage) error {
	e.Ack(answer)
	return nil
}

// listener handles an event.
type listener func(said)

// attend has the events of the namespace handled that are named.
func attend(n *socketio.Namespace, events map[string]listener) {
	for name, handle := range events {
		n.On(name, func(e *socketio.Event) { handle(socketEvent{e}) })
	}
}

// reply is what an acknowledgement says.
type reply struct {
	OK    bool   `json:"ok"`
	UID   string `json:"uid,omitempty"`
	Room  string `json:"room,omitempty"`
	Error string `json:"error,omitempty"`
	Code  string `json:"code,omitempty"`
}

// json encodes the reply.
func (r reply) json() json.RawMessage {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil { // not with strings
		return json.RawMessage("{}")
	}
	return bytes.TrimSpace(buf.Bytes())
}

// acknowledge answers an event, if the client asked for it.
func acknowledge(e said, answer json.RawMessage, log *slog.Logger) {
	if !e.WantsAck() {
		return
	}
	if err := e.ack(answer); err != nil {
		log.Debug("acknowledgement not sent", "event", e.name(), "error", err)
	}
}
