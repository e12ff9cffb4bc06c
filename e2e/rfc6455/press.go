package rfc6455

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"io"
	"strings"
)

// rsv1 is the bit of a compressed message in the first byte of its first frame (RFC 7692 §6).
const rsv1 = 0x40

// What a message is said to end with (RFC 7692 §7.2.1), and a last block, with which a reader sees the end.
const (
	emptyBlock = "\x00\x00\xff\xff"
	lastBlock  = "\x01\x00\x00\xff\xff"
)

// press compresses by the standard library: one or several blocks, of the types that a level makes.
func press(p []byte, level int) []byte {
	var out bytes.Buffer
	z, err := flate.NewWriter(&out, level)
	if err == nil {
		_, err = z.Write(p)
	}
	if err = errors.Join(err, z.Flush()); err != nil {
		panic(err) // memory does not fail
	}
	return bytes.TrimSuffix(out.Bytes(), []byte(emptyBlock))
}

// stored is a block without compression, of up to 65,535 bytes (RFC 1951 §3.2.4).
func stored(p []byte, last bool) []byte {
	head := byte(0)
	if last {
		head = 1
	}
	out := binary.LittleEndian.AppendUint16([]byte{head}, uint16(len(p)))
	out = binary.LittleEndian.AppendUint16(out, ^uint16(len(p)))
	return append(out, p...)
}

// fixed is a block of literals with the fixed codes (§3.2.6). If it is the last, it is padded to a whole byte; otherwise the header of the
// empty block follows that every message ends with.
func fixed(p []byte, last bool) []byte {
	var out []byte
	var bits uint64
	n := 0
	put := func(value uint64, width int) { // from the lowest bit on
		bits |= value << n
		for n += width; n >= 8; n -= 8 {
			out = append(out, byte(bits))
			bits >>= 8
		}
	}
	code := func(value, width int) { // from the highest bit on
		for i := width - 1; i >= 0; i-- {
			put(uint64(value>>i&1), 1)
		}
	}
	if last {
		put(1, 1)
	} else {
		put(0, 1)
	}
	put(1, 2)
	for _, b := range p {
		if b < 144 {
			code(0x30+int(b), 8)
		} else {
			code(0x190+int(b)-144, 9)
		}
	}
	code(0, 7)
	if !last {
		put(0, 3)
	}
	if n > 0 {
		put(0, 8-n)
	}
	return out
}

// unpress undoes the compression of a message.
func unpress(p []byte) ([]byte, error) {
	return io.ReadAll(flate.NewReader(io.MultiReader(bytes.NewReader(p), strings.NewReader(emptyBlock+lastBlock))))
}
