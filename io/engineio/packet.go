package engineio

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
)

// ErrParse is wrapped by every error that says the bytes are no Engine.IO packet or payload. Such an
// error names the mistake and never quotes what was received.
var ErrParse = errors.New("engine.io parse error")

// base64Mark begins a packet whose data is base64 in a text frame or text payload.
const base64Mark = 'b'

// PacketType says what a packet is for (Engine.IO protocol, "Packet").
type PacketType byte

// The packet types. As text they are the digits '0' to '6', in a binary packet of revision 3 the bytes 0 to 6.
const (
	Open PacketType = iota
	Close
	Ping
	Pong
	Message
	Upgrade
	Noop
)

// Packet is one Engine.IO packet.
type Packet struct {
	Type PacketType
	// Binary says that Data is bytes; otherwise Data is UTF-8 text. Revision 4 has binary data in
	// Message packets alone, revision 3 allows it in all of them.
	Binary bool
	// Data is what follows the type; it may be empty.
	Data []byte
}

// ParseText decodes one text frame: a type digit and text, or base64 data behind "b" (revision 4:
// "b<base64>", always a Message; revision 3: "b<type digit><base64>").
//
// The frame is taken to be valid UTF-8, which RFC 6455 section 8.1 makes the WebSocket layer's duty.
// Data shares memory with frame unless it was base64. Base64 is read as the reference server reads it as
// far as clients need that: padded or not, standard or URL alphabet, line breaks ignored. Errors wrap [ErrParse].
func ParseText(rev Revision, frame []byte) (Packet, error) {
	if len(frame) == 0 {
		return Packet{}, malformed("empty packet")
	}
	if frame[0] == base64Mark {
		return parseBase64(rev, frame[1:])
	}
	t, ok := typeOf(frame[0] - '0')
	if !ok {
		return Packet{}, malformed("unknown packet type")
	}
	return Packet{Type: t, Data: frame[1:len(frame):len(frame)]}, nil
}

// ParseBinary decodes one binary frame. In revision 4 the whole frame, even an empty one, is the data of a
// Message; in revision 3 the first byte is the packet type (0x04 for a Message). Data shares memory with
// frame. Errors wrap [ErrParse].
func ParseBinary(rev Revision, frame []byte) (Packet, error) {
	if rev != Revision3 {
		return Packet{Type: Message, Binary: true, Data: frame}, nil
	}
	if len(frame) == 0 {
		return Packet{}, malformed("empty packet")
	}
	t, ok := typeOf(frame[0])
	if !ok {
		return Packet{}, malformed("unknown packet type")
	}
	return Packet{Type: t, Binary: true, Data: frame[1:len(frame):len(frame)]}, nil
}

// AppendFrame appends p to dst as one frame and says whether that is a binary frame. With b64 a binary
// packet becomes a text frame in base64, for clients and transports without binary. Text Data must be
// valid UTF-8; a binary packet of revision 4 must be a Message, its type is not on the wire.
func AppendFrame(dst []byte, rev Revision, b64 bool, p Packet) (out []byte, binary bool) {
	switch {
	case !p.Binary:
		dst = append(dst, '0'+byte(p.Type))
		return append(dst, p.Data...), false
	case b64:
		dst = append(dst, base64Mark)
		if rev == Revision3 {
			dst = append(dst, '0'+byte(p.Type))
		}
		return base64.StdEncoding.AppendEncode(dst, p.Data), false
	case rev == Revision3:
		dst = append(dst, byte(p.Type))
	}
	return append(dst, p.Data...), true
}

// parseBase64 decodes what follows the "b" of a text frame.
func parseBase64(rev Revision, text []byte) (Packet, error) {
	t := Message
	if rev == Revision3 {
		if len(text) == 0 {
			return Packet{}, malformed("base64 packet without a type")
		}
		var ok bool
		if t, ok = typeOf(text[0] - '0'); !ok {
			return Packet{}, malformed("unknown packet type")
		}
		text = text[1:]
	}
	data, err := decodeBase64(text)
	if err != nil {
		return Packet{}, malformed("malformed base64")
	}
	return Packet{Type: t, Binary: true, Data: data}, nil
}

// decodeBase64 decodes the padded standard alphabet, which every official client sends, and if that
// fails unpadded text or the URL alphabet. Both ignore CR and LF.
func decodeBase64(text []byte) ([]byte, error) {
	data := make([]byte, len(text)/4*3+3) // enough for either
	if n, err := base64.StdEncoding.Decode(data, text); err == nil {
		return data[:n], nil
	}
	enc := base64.RawStdEncoding
	if bytes.ContainsAny(text, "-_") {
		enc = base64.RawURLEncoding
	}
	n, err := enc.Decode(data, bytes.TrimRight(text, "=\r\n"))
	if err != nil {
		return nil, fmt.Errorf("decoding base64: %w", err)
	}
	return data[:n], nil
}

// typeOf turns the number of a packet type into the type.
func typeOf(n byte) (PacketType, bool) {
	return PacketType(n), n <= byte(Noop)
}

func malformed(what string) error {
	return fmt.Errorf("%w: %s", ErrParse, what)
}
