package app

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"time"

	"crier/configs"
)

// h2Frame is a frame of HTTP/2 (RFC 9113 §4.1).
func h2Frame(kind, flags byte, stream uint32, payload string) []byte {
	n := len(payload)
	head := binary.BigEndian.AppendUint32([]byte{byte(n >> 16), byte(n >> 8), byte(n), kind, flags}, stream)
	return append(head, payload...)
}

// h2Next returns the payload of the next frame of a kind that has some flag, and skips all others.
func h2Next(t *testing.T, r io.Reader, kind, flag byte) []byte {
	t.Helper()
	for {
		var head [9]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			t.Fatal(err)
		}
		payload := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
		if _, err := io.ReadFull(r, payload); err != nil {
			t.Fatal(err)
		}
		if head[3] == kind && head[4]&flag != 0 {
			return payload
		}
	}
}

// hpackNumber reads an integer whose first bits are another's (RFC 7541 §5.1).
func hpackNumber(block []byte, bits int) (n int, rest []byte) {
	mask := 1<<bits - 1
	n, block = int(block[0])&mask, block[1:]
	if n < mask {
		return n, block
	}
	for shift := 0; ; shift += 7 {
		b := block[0]
		n, block = n+int(b&0x7f)<<shift, block[1:]
		if b < 0x80 {
			return n, block
		}
	}
}

// remembers says what a header block has to do with a table that grows with the answers (RFC 7541 §6): "" is nothing.
func remembers(block []byte) string {
	const static = 61
	for len(block) > 0 {
		var index int
		switch b := block[0]; {
		case b >= 0x80:
			if index, block = hpackNumber(block, 7); index > static {
				return "a field is taken from the table"
			}
			continue
		case b >= 0x40:
			return "a field goes into the table"
		case b >= 0x20:
			if index, block = hpackNumber(block, 5); index >= 32 {
				return "the table has room for a field"
			}
			continue
		default:
			index, block = hpackNumber(block, 4)
		}
		texts := 1
		if index == 0 {
			texts = 2
		}
		for range texts {
			var n int
			n, block = hpackNumber(block, 7)
			block = block[n:]
		}
	}
	return ""
}

// The table of header fields that an HTTP/2 connection has for its answers is changed by two goroutines of net/http at once, which
// ended the process (CVE-2026-97032, up to Go 1.26.8 and 1.27.1). In a table that has no room there is nothing to change.
func TestHTTP2RemembersNoHeaders(t *testing.T) {
	files := newPair(t, 1)
	p := start(t, func(c *configs.Config) { c.TLS.Cert, c.TLS.Key = files.cert, files.key })
	config := files.trust(t)
	config.NextProtos = []string{"h2"}
	conn, err := tls.Dial("tcp", p.Addr(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := conn.Close(); err != nil && !errors.Is(err, io.EOF) {
			t.Error(err)
		}
	}()
	same(t, "protocol", conn.ConnectionState().NegotiatedProtocol, "h2")
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	const data, headers, settings = 0, 1, 4
	const ack, endStream, endHeaders = 1, 1, 4
	get := "\x82\x87\x84" + "\x41\x09localhost" // GET https / localhost
	tables := string([]byte{0, 1, 0, 0, 0x10, 0})
	// What makes the race is not done, since the race detector would tell of it: nothing comes while something is answered.
	say := func(p []byte) {
		t.Helper()
		if _, err := conn.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	say([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
	for stream := uint32(1); stream < 9; stream += 2 {
		say(h2Frame(settings, 0, 0, tables)) // of 4,096 bytes
		h2Next(t, conn, settings, ack)
		say(h2Frame(headers, endHeaders|endStream, stream, get))
		if what := remembers(h2Next(t, conn, headers, endHeaders)); what != "" {
			t.Fatalf("the answer on stream %d: %s", stream, what)
		}
		h2Next(t, conn, data, endStream)
	}
}
