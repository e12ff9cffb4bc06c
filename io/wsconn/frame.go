package wsconn

import (
	"encoding/binary"

	"github.com/gobwas/ws"
)

// First byte of a one-frame message of each kind (RFC 6455 §5.2): FIN and the
// opcode.
const (
	finText   = 0x80 | byte(ws.OpText)
	finBinary = 0x80 | byte(ws.OpBinary)
	finClose  = 0x80 | byte(ws.OpClose)
	finPing   = 0x80 | byte(ws.OpPing)
	finPong   = 0x80 | byte(ws.OpPong)
)

// AppendText appends one unmasked text frame, as a server sends it (RFC 6455
// §5.2), to dst. The payload must be UTF-8.
func AppendText(dst, payload []byte) []byte {
	return append(appendHeader(dst, finText, len(payload)), payload...)
}

// AppendTextHeader appends the header of the frame that AppendText makes of a
// payload of n bytes. It has 10 bytes at most.
func AppendTextHeader(dst []byte, n int) []byte { return appendHeader(dst, finText, n) }

// AppendBinary appends one unmasked binary frame, as a server sends it (RFC
// 6455 §5.2), to dst.
func AppendBinary(dst, payload []byte) []byte {
	return append(appendHeader(dst, finBinary, len(payload)), payload...)
}

// AppendPing appends an unmasked ping frame (RFC 6455 §5.5.2) to dst. A payload
// longer than 125 bytes is cut.
func AppendPing(dst, payload []byte) []byte {
	return appendControl(dst, finPing, payload)
}

// appendClose appends a close frame (RFC 6455 §5.5.1). With a code that must not
// be sent, such as 0 or 1005, it is empty; a reason too long is cut between two
// characters.
func appendClose(dst []byte, code ws.StatusCode, reason string) []byte {
	if !validCode(code) {
		return appendHeader(dst, finClose, 0)
	}
	reason = cutReason(reason)
	dst = appendHeader(dst, finClose, 2+len(reason))
	dst = binary.BigEndian.AppendUint16(dst, uint16(code))
	return append(dst, reason...)
}

// appendControl appends a control frame.
func appendControl(dst []byte, first byte, payload []byte) []byte {
	payload = payload[:min(len(payload), ws.MaxControlFramePayloadSize)]
	return append(appendHeader(dst, first, len(payload)), payload...)
}

// appendHeader appends an unmasked header in its shortest form.
func appendHeader(dst []byte, first byte, n int) []byte {
	switch {
	case n < 126:
		return append(dst, first, byte(n))
	case n <= 0xffff:
		return binary.BigEndian.AppendUint16(append(dst, first, 126), uint16(n))
	default:
		return binary.BigEndian.AppendUint64(append(dst, first, 127), uint64(n))
	}
}

// parseHeader reads a frame header (RFC 6455 §5.2) from the start of p. n is
// its length in bytes, 0 when p ends before it does. The only error is a
// 64-bit length with its highest bit set.
func parseHeader(p []byte) (h ws.Header, n int, err error) {
	if len(p) < 2 {
		return h, 0, nil
	}
	h.Fin = p[0]&0x80 != 0
	h.Rsv = p[0] >> 4 & 7
	h.OpCode = ws.OpCode(p[0] & 0x0f)
	h.Masked = p[1]&0x80 != 0
	size := p[1] & 0x7f
	n = 2
	switch size {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	body := n
	if h.Masked {
		n += len(h.Mask)
	}
	if len(p) < n {
		return h, 0, nil
	}
	switch size {
	case 126:
		h.Length = int64(binary.BigEndian.Uint16(p[2:]))
	case 127:
		v := binary.BigEndian.Uint64(p[2:])
		if v>>63 != 0 {
			return h, 0, ws.ErrHeaderLengthMSB
		}
		h.Length = int64(v)
	default:
		h.Length = int64(size)
	}
	copy(h.Mask[:], p[body:n])
	return h, n, nil
}
