package socketio

import (
	"encoding/json"
	"slices"
	"unicode/utf8"

	"crier/io/engineio"
	"crier/io/hub"
)

// prepareEvent encodes p with an event as its data and attachments behind it: in two allocations if there are none.
func prepareEvent(p Packet, event string, args []json.RawMessage, attachments [][]byte) *engineio.Prepared {
	if len(attachments) > 0 {
		return prepare(p, eventList(event, args), attachments)
	}
	text, jsonAt := appendEvent(make([]byte, engineio.Headroom, roomFor(p, args)+len(event)), p, event, args)
	return engineio.PrepareText(text, jsonAt)
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
	text, jsonAt := appendList(make([]byte, engineio.Headroom, roomFor(p, list)), p, list)
	if len(attachments) == 0 {
		return engineio.PrepareText(text, jsonAt)
	}
	return engineio.Prepare(text[engineio.Headroom:], jsonAt, attachments...)
}

// roomFor is how many bytes a packet with a list takes at most, the room in front of it included.
func roomFor(p Packet, list []json.RawMessage) int {
	size := engineio.Headroom + 32 + len(p.Namespace) + len(p.Data)
	for _, a := range list {
		size += len(a) + 1
	}
	return size
}

// appendEvent appends p with an event as its data to dst, which begins with [engineio.Headroom]. jsonAt is where the JSON begins
// behind that.
func appendEvent(dst []byte, p Packet, event string, args []json.RawMessage) (text []byte, jsonAt int) {
	dst = AppendPacket(dst, p)
	jsonAt = len(dst) - engineio.Headroom
	dst = appendQuoted(append(dst, '['), event)
	for _, a := range args {
		dst = append(append(dst, ','), a...)
	}
	return append(dst, ']'), jsonAt
}

// appendList is appendEvent with p's own data or, if there is none, list.
func appendList(dst []byte, p Packet, list []json.RawMessage) (text []byte, jsonAt int) {
	data := p.Data
	p.Data = nil
	dst = AppendPacket(dst, p)
	jsonAt = len(dst) - engineio.Headroom
	switch {
	case data != nil:
		dst = append(dst, data...)
	case list != nil:
		dst = appendArray(dst, list)
	}
	return dst, jsonAt
}

// maxDraft is how many bytes the memory for a text may have to be kept for the next one.
const maxDraft = 4 << 10

// say sends a packet with the given list to the client alone.
func (c *client) say(p Packet, list []json.RawMessage, attachments [][]byte) error {
	if len(attachments) > 0 {
		return c.session.Send(prepare(p, list, attachments))
	}
	draft := c.server.drafts.Get().(*[]byte)
	text, jsonAt := appendList((*draft)[:engineio.Headroom], p, list)
	return c.sendDraft(draft, text, jsonAt)
}

// sayEvent is say with an event.
func (c *client) sayEvent(p Packet, event string, args []json.RawMessage, attachments [][]byte) error {
	if len(attachments) > 0 {
		return c.session.Send(prepareEvent(p, event, args, attachments))
	}
	draft := c.server.drafts.Get().(*[]byte)
	text, jsonAt := appendEvent((*draft)[:engineio.Headroom], p, event, args)
	return c.sendDraft(draft, text, jsonAt)
}

// answer acknowledges, in a namespace, the packet of that id with one argument of valid JSON, which is not kept.
func (c *client) answer(namespace string, id uint64, data json.RawMessage) error {
	draft := c.server.drafts.Get().(*[]byte)
	text := AppendPacket((*draft)[:engineio.Headroom], Packet{Type: PacketAck, Namespace: namespace, ID: id, HasID: true})
	jsonAt := len(text) - engineio.Headroom
	text = append(append(append(text, '['), data...), ']')
	return c.sendDraft(draft, text, jsonAt)
}

// sendDraft sends text, which was made in draft, and gives that back.
func (c *client) sendDraft(draft *[]byte, text []byte, jsonAt int) error {
	err := c.session.SendText(text, jsonAt)
	if cap(text) <= maxDraft {
		*draft = text
		c.server.drafts.Put(draft)
	}
	return err
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
