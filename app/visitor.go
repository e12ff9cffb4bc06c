package app

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strconv"
	"unicode/utf8"

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
	// Tell sends an event that no push brings. The arguments are valid JSON, whose memory is the caller's again when it returns.
	Tell(event string, args []json.RawMessage) error
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

// cork has what is sent to v from now on leave together, once what v said together has been handled. Who may wait has to uncork.
func cork(v visitor) {
	if v, ok := v.(corker); ok {
		v.Cork()
	}
}

// uncork sends what cork has held back.
func uncork(v visitor) {
	if v, ok := v.(corker); ok {
		v.Uncork()
	}
}

// said is an event of a visitor: a [socketEvent] or a [clientEvent].
type said interface {
	from() visitor
	name() string
	Size() int // bytes that stay in memory until it has been handled
	Len() int
	// JSON is argument i, or nil; bytes are placeholders in it.
	JSON(i int) json.RawMessage
	// Plain is argument i with the bytes in it.
	Plain(i int) (json.RawMessage, error)
	WantsAck() bool
	// ack answers it with an argument of valid JSON, whose memory is the caller's again when it returns.
	ack(answer json.RawMessage) error
}

type socketEvent struct{ *socketio.Event }

func (e socketEvent) from() visitor                    { return socket{e.Socket} }
func (e socketEvent) name() string                     { return e.Name }
func (e socketEvent) ack(answer json.RawMessage) error { return e.AckJSON(answer) }

type clientEvent struct{ *fallback.Event }

func (e clientEvent) from() visitor                        { return e.Client }
func (e clientEvent) name() string                         { return e.Name }
func (e clientEvent) Plain(i int) (json.RawMessage, error) { return e.JSON(i), nil }

func (e clientEvent) ack(answer json.RawMessage) error {
	e.Ack(bytes.Clone(answer))
	return nil
}

// listener handles an event.
type listener func(said)

// attend has the events of a namespace handled that are named: on is its On, or OnBrief.
func attend(on func(event string, fn socketio.Handler), events map[string]listener) {
	for name, handle := range events {
		on(name, func(e *socketio.Event) { handle(socketEvent{e}) })
	}
}

// reply is what an acknowledgement says: {"ok", "uid", "room", "error", "code"}, of which all but the first may be missing.
type reply struct {
	OK                     bool
	UID, Room, Error, Code string
}

// json is the reply as JSON.
func (r reply) json() json.RawMessage { return r.appendTo(nil) }

// appendTo appends the reply as JSON. What most are made of needs no reflection, which took as long as all else that is done for an event.
func (r *reply) appendTo(out []byte) []byte {
	out = strconv.AppendBool(append(out, `{"ok":`...), r.OK)
	out = appendField(out, `,"uid":`, r.UID)
	out = appendField(out, `,"room":`, r.Room)
	out = appendField(out, `,"error":`, r.Error)
	out = appendField(out, `,"code":`, r.Code)
	return append(out, '}')
}

// appendField appends a field with a value, unless that is empty.
func appendField(out []byte, field, value string) []byte {
	if value == "" {
		return out
	}
	return appendJSON(append(out, field...), value)
}

// appendJSON appends a JSON string.
func appendJSON(dst []byte, s string) []byte {
	if plainJSON(s) {
		return append(append(append(dst, '"'), s...), '"')
	}
	buf := bytes.NewBuffer(dst)
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil { // not of a string
		return append(dst, `""`...)
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
}

// plainJSON reports whether a JSON string says s as it is, in ASCII.
func plainJSON[T string | json.RawMessage](s T) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
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
