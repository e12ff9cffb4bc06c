package socketio

import (
	"encoding/json"
	"unicode/utf8"

	"crier/io/engineio"
	"crier/io/hub"
)

// prepare encodes p with the given list as its data and attachments behind it.
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
	size := 32 + len(p.Namespace) + len(p.Data)
	for _, a := range list {
		size += len(a) + 1
	}
	text := AppendPacket(make([]byte, 0, size), Packet{
		Type: p.Type, Namespace: p.Namespace, ID: p.ID, HasID: p.HasID, Attachments: p.Attachments,
	})
	jsonAt := len(text)
	if p.Data != nil {
		text = append(text, p.Data...)
	} else if list != nil {
		text = appendArray(text, list)
	}
	return engineio.Prepare(text, jsonAt, attachments...)
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
func listOf(m *hub.Message) []json.RawMessage {
	list := eventList(m.Event, m.Args)
	if m.ShowID {
		list = append(list, quoted(m.ID))
	}
	return list
}

// quoted returns a name as a JSON string.
func quoted(name string) json.RawMessage {
	for i := range len(name) {
		if c := name[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return JSON(name).json
		}
	}
	q := make(json.RawMessage, 0, len(name)+2)
	q = append(q, '"')
	q = append(q, name...)
	return append(q, '"')
}
