package engineio

import (
	"sync/atomic"

	"crier/io/wsconn"
)

// Prepared is a message with its binary attachments, ready to be sent to any
// number of sessions: each wire form is encoded once, on first use, and the
// bytes are shared by every connection. It is immutable and safe for
// concurrent use.
type Prepared struct {
	packets []Packet
	first   [1]Packet // room for the only packet that most have
	jsonAt  int       // packets[0].Data[jsonAt:] is JSON
	binary  bool      // at least one binary packet
	size    int
	parts   []*Prepared // of which it was joined; then there are no packets
	counted int         // how many packets queues count, if it was joined
	frame   []byte      // forms[formFrames4], if PrepareText has made it

	forms    [formCount]atomic.Pointer[[]byte]
	deflated atomic.Pointer[deflated] // nil until a client wants it
}

// deflated are the frames of a large message by their form, compressed.
type deflated [formPayload4]atomic.Pointer[[]byte]

// A form is one of the ways a message can look on the wire.
type form int

const (
	formFrames4    form = iota // WebSocket frames, revision 4; also revision 3 when all is text
	formFrames3                // WebSocket frames, revision 3 with binary packets
	formFrames3b64             // WebSocket frames, revision 3 for a peer that takes no binary
	formFrames2                // WebSocket frames for a peer that decodes text twice
	formFrames2b64             // both
	formPayload4               // a piece of a polling payload, by framing
	formPayload3Text
	formPayload3Binary
	formCount
)

// Prepare returns the message packet whose text is text, followed by one
// binary message packet for each attachment. text[jsonAt:] must be JSON (or
// empty): where old clients disagree about UTF-8, over revision 3 polling and
// to 1.0 clients, its characters outside ASCII are sent as \uXXXX. Neither text nor the
// attachments may be modified afterwards.
func Prepare(text []byte, jsonAt int, attachments ...[]byte) *Prepared {
	p := &Prepared{
		jsonAt: jsonAt,
		binary: len(attachments) > 0,
		size:   len(text),
	}
	p.first[0] = Packet{Type: Message, Data: text}
	p.packets = p.first[:]
	for _, a := range attachments {
		p.packets = append(p.packets, Packet{Type: Message, Binary: true, Data: a})
		p.size += len(a)
	}
	return p
}

// Join returns messages as one that is sent as a whole, and that queues count as
// one of so many bytes.
func Join(parts ...*Prepared) *Prepared {
	p := Bundle(parts...)
	p.counted = 1
	return p
}

// Bundle is [Join] of messages that queues count one by one.
func Bundle(parts ...*Prepared) *Prepared {
	p := &Prepared{parts: parts}
	for _, part := range parts {
		p.counted += part.Packets()
		p.binary = p.binary || part.binary
		p.size += part.size
	}
	return p
}

// Headroom is how many bytes [PrepareText] needs in front of a text: for the
// header of a WebSocket frame and the type of the packet.
const Headroom = 11

// PrepareText is [Prepare] of buf[Headroom:] without attachments. The frame that
// most sessions get is made around the text, which saves copying it. buf now
// belongs to the message.
func PrepareText(buf []byte, jsonAt int) *Prepared { return prepareText(Message, buf, jsonAt) }

func prepareText(kind PacketType, buf []byte, jsonAt int) *Prepared {
	p := Prepare(buf[Headroom:], jsonAt)
	p.first[0].Type = kind
	p.frame = frameText(kind, buf)
	p.forms[formFrames4].Store(&p.frame)
	return p
}

// frameText makes the WebSocket frame of a packet around its text, buf[Headroom:].
func frameText(kind PacketType, buf []byte) []byte {
	var room [Headroom]byte
	front := append(wsconn.AppendTextHeader(room[:0], 1+len(buf)-Headroom), '0'+byte(kind))
	frame := buf[Headroom-len(front):]
	copy(frame, front)
	return frame
}

// PrepareBinary returns a binary message, for protocols that frame them
// otherwise than behind a text. data may not be modified afterwards.
func PrepareBinary(data []byte) *Prepared {
	return &Prepared{packets: []Packet{{Type: Message, Binary: true, Data: data}}, binary: true, size: len(data)}
}

// control returns a packet of the protocol itself.
func control(t PacketType, data string) *Prepared {
	return &Prepared{
		packets: []Packet{{Type: t, Data: []byte(data)}},
		jsonAt:  len(data),
		size:    len(data),
	}
}

// Packets is how many Engine.IO packets the message counts as: those it is made of, but one after [Join].
func (p *Prepared) Packets() int {
	if p.parts != nil {
		return p.counted
	}
	return len(p.packets)
}

// Size is the length of the text and of the attachments in bytes, without framing.
func (p *Prepared) Size() int { return p.size }

// Binary reports whether the message has binary attachments.
func (p *Prepared) Binary() bool { return p.binary }

// Payload returns the message as a piece of a polling payload. Pieces of
// [FramingV3Text] and [FramingV3Binary] follow one another directly, those of
// [FramingV4] with a [Separator] between them. The result is shared: it must
// not be modified.
func (p *Prepared) Payload(f Framing) []byte {
	switch f {
	case FramingV3Text:
		return p.form(formPayload3Text)
	case FramingV3Binary:
		return p.form(formPayload3Binary)
	default:
		return p.form(formPayload4)
	}
}

// frames returns the message as WebSocket frames, shared.
func (p *Prepared) frames(rev Revision, d dialect) []byte { return p.form(p.frameForm(rev, d)) }

// frameForm is the form of the frames for a session.
func (p *Prepared) frameForm(rev Revision, d dialect) form {
	switch {
	case rev == Revision3 && d.twice && d.b64:
		return formFrames2b64
	case rev == Revision3 && d.twice:
		return formFrames2
	case rev == Revision4 || !p.binary:
		return formFrames4
	case d.b64:
		return formFrames3b64
	default:
		return formFrames3
	}
}

// large reports whether there can be a frame in the message that is worth compressing.
func (p *Prepared) large() bool { return 1+p.size >= wsconn.DeflateFrom }

// deflate returns the frames of a form compressed, as far as that makes them smaller, shared.
func (p *Prepared) deflate(f form, z *wsconn.Deflater) []byte {
	if !p.large() {
		return p.form(f)
	}
	made := p.deflated.Load()
	if made == nil {
		p.deflated.CompareAndSwap(nil, new(deflated))
		made = p.deflated.Load()
	}
	if b := made[f].Load(); b != nil {
		return *b
	}
	var b []byte // two callers may both make it, as in form
	for _, part := range p.parts {
		b = append(b, part.deflate(f, z)...)
	}
	if p.parts == nil {
		frames := p.form(f)
		if b = z.Append(nil, frames); len(b) == len(frames) {
			b = frames
		}
	}
	made[f].Store(&b)
	return b
}

// form returns the encoding f, shared.
func (p *Prepared) form(f form) []byte {
	if b := p.forms[f].Load(); b != nil {
		return *b
	}
	// Two callers may both encode; the results are equal and one is kept.
	b := p.encode(f)
	p.forms[f].Store(&b)
	return b
}

func (p *Prepared) encode(f form) []byte {
	out := make([]byte, 0, p.size+16*(len(p.packets)+len(p.parts)))
	for i, part := range p.parts {
		if f == formPayload4 && i > 0 {
			out = append(out, Separator)
		}
		out = append(out, part.form(f)...)
	}
	for i, pkt := range p.packets {
		switch f {
		case formFrames4:
			out = appendWebSocket(out, Revision4, false, pkt)
		case formFrames3, formFrames3b64:
			out = appendWebSocket(out, Revision3, f == formFrames3b64, pkt)
		case formFrames2, formFrames2b64:
			out = appendWebSocket(out, Revision3, f == formFrames2b64, p.ascii(i))
		case formPayload4:
			out = AppendPayload(out, FramingV4, pkt)
		case formPayload3Text:
			out = AppendPayload(out, FramingV3Text, p.ascii(i))
		case formPayload3Binary:
			out = AppendPayload(out, FramingV3Binary, p.ascii(i))
		}
	}
	return out
}

// appendWebSocket appends p as a WebSocket frame.
func appendWebSocket(dst []byte, rev Revision, b64 bool, p Packet) []byte {
	var room [512]byte
	frame, binary := AppendFrame(room[:0], rev, b64, p)
	if binary {
		return wsconn.AppendBinary(dst, frame)
	}
	return wsconn.AppendText(dst, frame)
}

// ascii returns packet i with the JSON part of its text free of characters
// outside ASCII.
func (p *Prepared) ascii(i int) Packet {
	pkt := p.packets[i]
	if pkt.Binary {
		return pkt
	}
	data := append([]byte(nil), pkt.Data[:p.jsonAt]...)
	pkt.Data = AppendASCII(data, pkt.Data[p.jsonAt:])
	return pkt
}
