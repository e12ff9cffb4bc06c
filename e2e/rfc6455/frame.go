package rfc6455

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Opcodes (RFC 6455 §5.2).
const (
	opMore   byte = 0
	opText   byte = 1
	opBinary byte = 2
	opClose  byte = 8
	opPing   byte = 9
	opPong   byte = 10
)

// maskKey is that of every frame whose case does not say otherwise.
var maskKey = [4]byte{0x37, 0xfa, 0x21, 0x3d} // that of the examples in RFC 6455 §5.7

// frame is a frame as a client might write it, right or wrong.
type frame struct {
	first   byte    // FIN, reserved bits, opcode
	payload []byte  // before it is masked
	key     [4]byte // of the mask
	naked   bool    // no mask
	size    int     // bytes that tell the length: 0 (the shortest form), 1, 3 or 9
	length  uint64  // told instead of the payload's, if not 0
}

// fin is the last or only frame of a message.
func fin(op byte, payload []byte) frame {
	return frame{first: 0x80 | op, payload: payload, key: maskKey}
}

// part is a frame that another one follows.
func part(op byte, payload []byte) frame {
	f := fin(op, payload)
	f.first = op
	return f
}

// append writes the frame behind dst.
func (f frame) append(dst []byte) []byte {
	length := f.length
	if length == 0 {
		length = uint64(len(f.payload))
	}
	mask := byte(0x80)
	if f.naked {
		mask = 0
	}
	size := f.size
	if size == 0 {
		size = shortest(length)
	}
	dst = append(dst, f.first)
	switch size {
	case 1:
		dst = append(dst, mask|byte(length))
	case 3:
		dst = binary.BigEndian.AppendUint16(append(dst, mask|126), uint16(length))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, mask|127), length)
	}
	if f.naked {
		return append(dst, f.payload...)
	}
	dst = append(dst, f.key[:]...)
	for i, b := range f.payload {
		dst = append(dst, b^f.key[i%4])
	}
	return dst
}

// shortest is the number of bytes that tell a length.
func shortest(length uint64) int {
	switch {
	case length < 126:
		return 1
	case length <= 0xffff:
		return 3
	default:
		return 9
	}
}

// received is a frame of the server.
type received struct {
	op      byte
	payload []byte
}

func (r received) String() string {
	names := map[byte]string{opMore: "continuation", opText: "text", opBinary: "binary", opClose: "close", opPing: "ping", opPong: "pong"}
	return fmt.Sprintf("%s of %d bytes, %.60q", names[r.op], len(r.payload), r.payload)
}

var errServerFrame = errors.New("the server sent a frame that it must not send")

// maxFrame is more than any server has to send back.
const maxFrame = 4 << 20

// readFrame reads a frame of a server, and holds it to RFC 6455 §5.1 and §5.2: without an extension, or if deflates with compressed messages
// (RFC 7692 §6).
func readFrame(r *bufio.Reader, deflates bool) (received, error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return received{}, err
	}
	op, length := head[0]&15, uint64(head[1]&0x7f)
	size := 1
	if length >= 126 {
		size = 3
		if length == 127 {
			size = 9
		}
		long := make([]byte, size-1)
		if _, err := io.ReadFull(r, long); err != nil {
			return received{}, err
		}
		length = 0
		for _, b := range long {
			length = length<<8 | uint64(b)
		}
	}
	switch {
	case head[0]&0x70 != 0 && !(deflates && head[0]&0x70 == rsv1 && op < opClose):
		return received{}, fmt.Errorf("%w: reserved bits in %#x", errServerFrame, head[0])
	case head[0]&0x80 == 0 || op == opMore:
		return received{}, fmt.Errorf("%w: a fragment, where every message is short", errServerFrame)
	case head[1]&0x80 != 0:
		return received{}, fmt.Errorf("%w: a masked one", errServerFrame)
	case size != shortest(length):
		return received{}, fmt.Errorf("%w: the length %d in %d bytes", errServerFrame, length, size)
	case op > opPong || op > opBinary && op < opClose:
		return received{}, fmt.Errorf("%w: opcode %d", errServerFrame, op)
	case op >= opClose && length > 125:
		return received{}, fmt.Errorf("%w: a control frame of %d bytes", errServerFrame, length)
	case length > maxFrame:
		return received{}, fmt.Errorf("%w: %d bytes", errServerFrame, length)
	}
	payload := make([]byte, length)
	if _, err := io.ReadFull(r, payload); err != nil {
		return received{}, err
	}
	if head[0]&rsv1 != 0 {
		var err error
		if payload, err = unpress(payload); err != nil {
			return received{}, fmt.Errorf("%w: inflating it: %w", errServerFrame, err)
		}
	}
	return received{op, payload}, nil
}
