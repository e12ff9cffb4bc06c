package attack

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// upgrade asks for a WebSocket; lines are added to the request.
func upgrade(path string, lines ...string) string {
	return head("GET", path, append([]string{
		"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
	}, lines...)...)
}

// webSocket opens one.
func (a *Attacker) webSocket(w Way, lines ...string) (*conn, error) {
	if w.Upgraded {
		s, err := a.upgraded(w, lines...)
		if err != nil {
			return nil, err
		}
		return s.sock, nil
	}
	return a.webSocketAt(w, w.Path, lines...)
}

// upgraded opens a session that polls, and upgrades it.
func (a *Attacker) upgraded(w Way, lines ...string) (*session, error) {
	polling := w
	polling.Socket, polling.Path = false, strings.Replace(w.Path, "websocket", "polling", 1)
	s, err := a.open(polling)
	if err != nil {
		return nil, err
	}
	s.w = w
	if s.sock, err = a.webSocketAt(w, s.address(), lines...); err != nil {
		return nil, err
	}
	return s, errors.Join(s.sock.write(frame(finText, "2probe")), s.sock.await("3probe"), s.sock.write(frame(finText, "5")))
}

func (a *Attacker) webSocketAt(w Way, path string, lines ...string) (*conn, error) {
	c, err := a.dial(w)
	if err != nil {
		return nil, err
	}
	if err := c.say(upgrade(path, lines...)); err != nil {
		return nil, err
	}
	return c, c.switched()
}

// switched reads the answer that makes the connection a WebSocket.
func (c *conn) switched() error {
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return fmt.Errorf("no WebSocket: %w", err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return errors.Join(fmt.Errorf("no WebSocket: %s", resp.Status), resp.Body.Close())
	}
	c.agreed = resp.Header
	return nil
}

// First bytes of frames.
const (
	finText, finBinary          = 0x81, 0x82
	text, binaryPart, more      = 0x01, 0x02, 0x00
	finMore, finClose           = 0x80, 0x88
	finPing, finPong       byte = 0x89, 0x8a
)

// frame is a masked frame (with a mask of zeros, which masks all the same).
func frame(first byte, payload string) []byte {
	return append(announce(first, uint64(len(payload))), payload...)
}

// announce is the header of a masked frame.
func announce(first byte, length uint64) []byte {
	dst := []byte{first}
	switch {
	case length < 126:
		dst = append(dst, 0x80|byte(length))
	case length <= 0xffff:
		dst = binary.BigEndian.AppendUint16(append(dst, 0xfe), uint16(length))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, 0xff), length)
	}
	return append(dst, 0, 0, 0, 0)
}

// read reads the next message; control frames are passed over.
func (c *conn) read() (string, error) {
	for {
		var head [2]byte
		if _, err := io.ReadFull(c.in, head[:]); err != nil {
			return "", err
		}
		length := uint64(head[1] & 0x7f)
		long := make([]byte, map[uint64]int{126: 2, 127: 8}[length])
		if _, err := io.ReadFull(c.in, long); err != nil {
			return "", err
		}
		if len(long) > 0 {
			length = binary.BigEndian.Uint64(append(make([]byte, 8-len(long)), long...))
		}
		payload := make([]byte, min(length, 16<<20))
		if _, err := io.ReadFull(c.in, payload); err != nil {
			return "", err
		}
		if head[0]&8 != 0 {
			continue
		}
		if head[0]&0x40 != 0 {
			return c.inflate(payload)
		}
		return string(payload), nil
	}
}

// inflate undoes the compression of a message by what came before it, which the official server makes use of.
func (c *conn) inflate(p []byte) (string, error) {
	const window = 32 << 10
	z := flate.NewReaderDict(io.MultiReader(bytes.NewReader(p), strings.NewReader("\x00\x00\xff\xff\x01\x00\x00\xff\xff")), c.before)
	message, err := io.ReadAll(io.LimitReader(z, 16<<20))
	if err != nil {
		return "", fmt.Errorf("inflating a message: %w", err)
	}
	c.before = append(c.before, message...)
	c.before = c.before[max(len(c.before)-window, 0):]
	return string(message), nil
}

// await reads until a message has text in it.
func (c *conn) await(text string) error {
	for {
		got, err := c.read()
		if err != nil {
			return fmt.Errorf("waiting for %q: %w", text, err)
		}
		if strings.Contains(got, text) {
			return nil
		}
	}
}
