package load

import (
	"encoding/binary"
	"errors"
	"math"
)

// Opcodes of the frames that a client meets (RFC 6455 §5.2).
const (
	opText  = 0x1
	opClose = 0x8
	opPing  = 0x9
	opPong  = 0xa
)

// maxFrame bounds the frames that a client takes: servers that are measured send small ones.
const maxFrame = 16 << 20

var (
	errMasked   = errors.New("the server sent a masked frame")
	errTooLarge = errors.New("the server sent a frame of more than 16 MiB")
)

// AppendServerFrame appends an unmasked WebSocket text frame, as servers send them (RFC 6455 §5.2).
func AppendServerFrame[T string | []byte](dst []byte, payload T) []byte {
	return append(appendHeader(dst, len(payload), 0), payload...)
}

// AppendClientFrame appends a text frame as clients send them, masked with a key of zeros: the
// server does all its work, and the load has none.
func AppendClientFrame[T string | []byte](dst []byte, payload T) []byte {
	dst = appendHeader(dst, len(payload), 0x80)
	return append(append(dst, 0, 0, 0, 0), payload...)
}

func appendHeader(dst []byte, n int, mask byte) []byte {
	dst = append(dst, 0x80|opText)
	switch {
	case n < 126:
		return append(dst, mask|byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, mask|126), uint16(n))
	default:
		return binary.BigEndian.AppendUint64(append(dst, mask|127), uint64(n))
	}
}

// CutFrame cuts the first server frame off p. ok is false, and rest is p, if there is no whole one.
func CutFrame(p []byte) (opcode byte, payload, rest []byte, ok bool, err error) {
	if len(p) < 2 {
		return 0, nil, p, false, nil
	}
	head, n := 2, uint64(p[1]&0x7f)
	switch {
	case p[1]&0x80 != 0:
		return 0, nil, p, false, errMasked
	case n == 126 && len(p) >= 4:
		head, n = 4, uint64(binary.BigEndian.Uint16(p[2:]))
	case n == 127 && len(p) >= 10:
		head, n = 10, binary.BigEndian.Uint64(p[2:])
	case n >= 126:
		return 0, nil, p, false, nil
	}
	if n > maxFrame {
		return 0, nil, p, false, errTooLarge
	}
	end := head + int(n)
	if len(p) < end {
		return 0, nil, p, false, nil
	}
	return p[0] & 0x0f, p[head:end], p[end:], true, nil
}
