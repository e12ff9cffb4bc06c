package wsconn

import (
	"encoding/binary"

	"github.com/gobwas/ws"
)

// shortHeader is the length of the header of a short frame: two bytes, and the mask.
const shortHeader = 6

// short returns the length of the frame that p begins with if that is all of a short text (RFC 6455 §5.2: FIN, masked, of up to 125
// bytes), as nearly all is that clients say, and 0 if it is anything else. To look at no more than two bytes of its header, and at its
// payload once, is a seventh of the time of an event of many in one read.
func short(p []byte, longest int64) int {
	if len(p) < shortHeader || p[0] != finText || p[1] < 0x80 || p[1] > 0x80|125 {
		return 0
	}
	n := int(p[1] & 0x7f)
	if shortHeader+n > len(p) || int64(n) > longest {
		return 0
	}
	return shortHeader + n
}

// unmaskShort unmasks the payload of a whole short frame, and returns it. ascii is whether there is nothing but ASCII in it.
func unmaskShort(frame []byte) (payload []byte, ascii bool) {
	const high = 0x8080808080808080
	payload = frame[shortHeader:]
	mask := uint64(binary.LittleEndian.Uint32(frame[2:]))
	mask |= mask << 32
	seen := uint64(0)
	p := payload
	for ; len(p) >= 8; p = p[8:] {
		eight := binary.LittleEndian.Uint64(p) ^ mask
		binary.LittleEndian.PutUint64(p, eight)
		seen |= eight
	}
	for i := range p {
		p[i] ^= byte(mask)
		mask >>= 8
		seen |= uint64(p[i])
	}
	return payload, seen&high == 0
}

// emitShort is emit for a whole short frame, which it unmasks.
func emitShort(s sink, frame []byte) error {
	payload, ascii := unmaskShort(frame)
	if ascii {
		return s.complete(ws.OpText, payload)
	}
	return emit(s, ws.OpText, payload)
}
