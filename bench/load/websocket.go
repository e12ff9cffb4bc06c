package load

import (
	"fmt"
)

// packets is what is said over a WebSocket or by polling.
type packets interface {
	open(c *client) error // the connection is there
	packet(c *client, payload []byte) error
}

// webSocket carries packets in WebSocket frames. It implements [speaker].
type webSocket struct {
	target  Target
	to      listener
	packets packets
}

func (w *webSocket) hello(dst []byte, _ *client) []byte {
	path := w.target.engine("websocket")
	if w.target.Speech == Centrifuge {
		path = w.target.Path
	}
	return fmt.Appendf(dst, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n", path, w.target.Host, agent)
}

func (w *webSocket) say(c *client, packet []byte) error {
	return w.to.send(c, AppendClientFrame(make([]byte, 0, 64), packet))
}

func (w *webSocket) hear(c *client, p []byte) ([]byte, error) {
	if c.phase == asking {
		r, rest, ok, err := cutHead(p)
		if err != nil || !ok {
			return p, err
		}
		if r.status != 101 {
			r.body = rest
			return p, r.errorText()
		}
		p, c.phase = rest, greeting
		if err := w.packets.open(c); err != nil {
			return p, err
		}
	}
	for {
		opcode, payload, rest, ok, err := CutFrame(p)
		if err != nil || !ok {
			return p, err
		}
		p = rest
		switch opcode {
		case opClose:
			return p, errClosed
		case opPing:
			pong := AppendClientFrame(nil, payload)
			pong[0] = pong[0]&0xf0 | opPong
			if err := w.to.send(c, pong); err != nil {
				return p, err
			}
			continue
		}
		if err := w.packets.packet(c, payload); err != nil {
			return p, err
		}
	}
}
