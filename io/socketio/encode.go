package socketio

import (
	"encoding/json"
	"slices"
	"unicode/utf8"

	"crier/io/engineio"
	"crier/io/hub"
)

const (
	// firstText is the memory that a message to one socket is made in, unless it needs more.
	firstText = 512
	// maxText is how much of it is kept for the next one, at most.
	maxText = 64 << 10
)

// prepareEvent encodes p with an event as its data and attachments behind it: in two allocations if there are none.
func prepareEvent(p Packet, event string, args []json.RawMessage, attachments [][]byte) *engineio.Prepared {
	if len(attachments) > 0 {
		return prepare(p, eventList(event, args), attachments)
	}
	size := engineio.Headroom + 32 + len(p.Namespace) + len(event)
	for _, a := range args {
		size += len(a) + 1
	}
	text, jsonAt := appendEvent(make([]byte, engineio.Headroom, size), p, event, args)
	return engineio.PrepareText(text, jsonAt-engineio.Headroom)
}

// appendEvent appends p with an event as its data, which begins at jsonAt.
func appendEvent(dst []byte, p Packet, event string, args []json.RawMessage) (text []byte, jsonAt int) {
	dst = AppendPacket(dst, p)
	jsonAt = len(dst)
	dst = appendQuoted(append(dst, '['), event)
	for _, a := range args {
		dst = append(append(dst, ','), a...)
	}
	return append(dst, ']'), jsonAt
}

// prepare encodes p with the given list as its data and attachments behind it: in two allocations if there are none.
func prepare(p Packet, list []json.RawMessage, attachments [][]byte) *engineio.Prepared {
	if len(attachments) > 0 {
		p.Attachments = len(attachments)
		switch p.Type {
		case PacketEvent:
			p.Type = PacketBinaryEvent
		case PacketAck:
			p.Type = PacketBinaryAck
		}
	}
	size := engineio.Headroom + 32 + len(p.Namespace) + len(p.Data)
	for _, a := range list {
		size += len(a) + 1
	}
	text := AppendPacket(make([]byte, engineio.Headroom, size), Packet{
		Type: p.Type, Namespace: p.Namespace, ID: p.ID, HasID: p.HasID, Attachments: p.Attachments,
	})
	jsonAt := len(text) - engineio.Headroom
	if p.Data != nil {
		text = append(text, p.Data...)
	} else if list != nil {
		text = appendArray(text, list)
	}
	if len(attachments) == 0 {
		return engineio.PrepareText(text, jsonAt)
	}
	return engineio.Prepare(text[engineio.Headroom:], jsonAt, attachments...)
}

func appendArray(dst []byte, list []json.RawMessage) []byte {
	dst = append(dst, '[')
	for i, a := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, a...)
	}
	return append(dst, ']')
}

// eventList puts the name of an event before its arguments.
func eventList(event string, args []json.RawMessage) []json.RawMessage {
	list := make([]json.RawMessage, 0, 1+len(args))
	list = append(list, quoted(event))
	return append(list, args...)
}

// listOf is the list of a message of the hub.
func listOf(m *hub.Message) []json.RawMessage { return eventList(m.Event, argsOf(m)) }

// argsOf are the arguments of a message of the hub, with its id behind them if clients are to see that.
func argsOf(m *hub.Message) []json.RawMessage {
	if m.ShowID {
		return append(slices.Clip(m.Args), quoted(m.ID))
	}
	return m.Args
}

// quoted returns a name as a JSON string.
func quoted(name string) json.RawMessage { return appendQuoted(make([]byte, 0, len(name)+2), name) }

// appendQuoted appends a name as a JSON string.
func appendQuoted(dst []byte, name string) []byte {
	for i := range len(name) {
		if c := name[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return append(dst, JSON(name).json...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, name...)
	return append(dst, '"')
}
