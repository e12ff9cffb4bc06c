package socketio

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"crier/io/rawjson"
)

// ErrParse is wrapped by every error that says the bytes are no Socket.IO packet. Such an error names
// the mistake and never quotes what was received.
var ErrParse = errors.New("socket.io parse error")

const (
	defaultNamespace = "/"
	// maxAckID is the last of the integers that JavaScript counts without gaps.
	maxAckID = 1 << 53
)

// PacketType says what a packet is for (Socket.IO protocol, "Packet types").
type PacketType byte

// The packet types, on the wire the digits '0' to '6'. PacketConnectError is named ERROR in the protocol up
// to revision 4; PacketBinaryAck came with revision 4.
const (
	PacketConnect PacketType = iota
	PacketDisconnect
	PacketEvent
	PacketAck
	PacketConnectError
	PacketBinaryEvent
	PacketBinaryAck
)

// Packet is one Socket.IO packet without its binary attachments, which follow in messages of their own.
type Packet struct {
	Type PacketType
	// Namespace begins with "/", which is also what a packet without one gets. Clients up to protocol 4
	// append their query to it in a PacketConnect ("/admin?token=1"); it is left there.
	Namespace string
	// ID asks for or answers an acknowledgement, if HasID.
	ID    uint64
	HasID bool
	// Attachments is the number of binary messages that follow a PacketBinaryEvent or PacketBinaryAck.
	Attachments int
	// Data is the payload as one JSON text, nil if there is none.
	Data json.RawMessage
}

// ParsePacket decodes the text of one packet, of any revision of the protocol:
//
//	<type>[<attachments>-][<namespace>,][<ack id>][<JSON payload>]
//
// The payload must be valid JSON of the kind its type demands, as the reference decoder checks it: an object
// or none to connect, none to disconnect, an array that begins with a name (a string, none of those the
// reference implementation keeps for itself) or a number for events, an array or none for acks, a string, an
// object or none for connection errors. More than maxAttachments attachments and acknowledgement ids beyond
// 2^53 are refused. Whether placeholders in the payload match the attachments is not looked at.
//
// Data shares memory with text, without the white space around it. Errors wrap [ErrParse].
func ParsePacket(text []byte, maxAttachments int) (Packet, error) {
	var p Packet
	var room [4]json.RawMessage
	if _, err := parsePacket(&p, text, maxAttachments, room[:0]); err != nil {
		return Packet{}, err
	}
	return p, nil
}

// parsePacket is ParsePacket into p, and returns the elements of a payload that is an array as well, in room if that is large enough.
func parsePacket(p *Packet, text []byte, maxAttachments int, room []json.RawMessage) (elements []json.RawMessage, err error) {
	if len(text) == 0 || text[0] < '0' || text[0] > '0'+byte(PacketBinaryAck) {
		return nil, parseError("unknown packet type")
	}
	p.Type, p.Namespace = PacketType(text[0]-'0'), defaultNamespace
	rest := text[1:]
	if p.Type == PacketBinaryEvent || p.Type == PacketBinaryAck {
		n, digits, ok := cutNumber(rest, uint64(max(maxAttachments, 0)))
		if !ok || digits == 0 || digits == len(rest) || rest[digits] != '-' {
			return nil, parseError("malformed number of attachments, or too many")
		}
		p.Attachments = int(n)
		rest = rest[digits+1:]
	}
	if len(rest) > 0 && rest[0] == '/' {
		nsp, after, _ := bytes.Cut(rest, []byte{','})
		if len(nsp) > 1 {
			p.Namespace = string(nsp)
		}
		rest = after
	}
	id, digits, ok := cutNumber(rest, maxAckID)
	if !ok {
		return nil, parseError("acknowledgement id too large")
	}
	p.ID, p.HasID = id, digits > 0
	rest = trimJSON(rest[digits:])
	if len(rest) > 0 {
		if elements, err = splitPayload(room, rest); err != nil {
			return nil, err
		}
		p.Data = rest[:len(rest):len(rest)]
	}
	return elements, checkPayload(p.Type, p.Data, elements)
}

// splitPayload checks that data, without white space around it, is JSON, and appends the elements of an array to room.
func splitPayload(room []json.RawMessage, data []byte) (elements []json.RawMessage, err error) {
	if elements, ok := rawjson.AppendElements(room, data); ok {
		return elements, nil
	}
	switch {
	case !isJSON(data):
		return nil, parseError("payload is not JSON")
	case data[0] == '[':
		return appendElements(room, data)
	}
	return nil, nil
}

// AppendPacket appends the text of p to dst. An empty Namespace stands for "/"; Data is written as it is.
func AppendPacket(dst []byte, p Packet) []byte {
	dst = append(dst, '0'+byte(p.Type))
	if p.Type == PacketBinaryEvent || p.Type == PacketBinaryAck {
		dst = strconv.AppendInt(dst, int64(p.Attachments), 10)
		dst = append(dst, '-')
	}
	if p.Namespace != "" && p.Namespace != defaultNamespace {
		dst = append(dst, p.Namespace...)
		dst = append(dst, ',')
	}
	if p.HasID {
		dst = strconv.AppendUint(dst, p.ID, 10)
	}
	return append(dst, p.Data...)
}

// checkPayload says whether valid JSON without white space around it, or nil, suits the type. elements are those of an array.
func checkPayload(t PacketType, data []byte, elements []json.RawMessage) error {
	var kind byte // 0: no payload
	if len(data) > 0 {
		kind = data[0]
	}
	ok := false
	switch t {
	case PacketConnect:
		ok = kind == 0 || kind == '{'
	case PacketDisconnect:
		ok = kind == 0
	case PacketEvent, PacketBinaryEvent:
		if kind == '[' {
			return checkEvent(elements)
		}
	case PacketAck, PacketBinaryAck:
		ok = kind == 0 || kind == '['
	case PacketConnectError:
		ok = kind == 0 || kind == '"' || kind == '{'
	}
	if !ok {
		return parseError("payload of the wrong kind")
	}
	return nil
}

// checkEvent looks at the first element of an event's array.
func checkEvent(elements []json.RawMessage) error {
	if len(elements) == 0 {
		return parseError("missing element")
	}
	first := elements[0]
	name, ok := plainName(first)
	switch c := first[0]; {
	case ok:
	case c == '-' || c >= '0' && c <= '9':
		return nil
	case c != '"':
		return parseError("event without a name")
	default:
		var s string
		if err := json.Unmarshal(first, &s); err != nil {
			return fmt.Errorf("%w: event name: %w", ErrParse, err)
		}
		name = []byte(s)
	}
	if reservedName(string(name)) {
		return parseError("reserved event name")
	}
	return nil
}

// reservedName reports whether decoders refuse an event of that name, those of the clients included: they keep it for
// events of their own.
func reservedName(event string) bool {
	switch event {
	case "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener":
		return true
	}
	return false
}

// cutNumber reads the decimal digits b begins with. It fails as soon as they say more than limit.
func cutNumber(b []byte, limit uint64) (n uint64, digits int, ok bool) {
	for digits < len(b) && b[digits] >= '0' && b[digits] <= '9' {
		d := uint64(b[digits] - '0')
		if d > limit || n > (limit-d)/10 {
			return 0, 0, false
		}
		n = n*10 + d
		digits++
	}
	return n, digits, true
}

func parseError(what string) error {
	return fmt.Errorf("%w: %s", ErrParse, what)
}
