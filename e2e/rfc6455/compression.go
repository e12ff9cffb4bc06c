package rfc6455

import (
	"compress/flate"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// Compressed are the cases of RFC 7692, for a [Target] with an Offer that the server takes.
func Compressed() []Case {
	var all []Case
	for _, chapter := range [][]Case{pressedSizes(), pressedFragments(), blocks(), pressedBits(), bombs(), broken(), pressedTexts()} {
		all = append(all, chapter...)
	}
	return all
}

// pressed is a compressed message in one frame.
func pressed(op byte, small []byte) frame { return fin(rsv1|op, small) }

// pressEcho sends a message compressed, and expects it back.
func (s *script) pressEcho(op byte, payload, small []byte) {
	s.send(pressed(op, small))
	s.answer(op, payload)
}

// levels are the ways of the standard library.
var levels = map[string]int{"not at all": flate.NoCompression, "with codes only": flate.HuffmanOnly, "fast": flate.BestSpeed, "well": flate.BestCompression}

// pressedSizes are the cases of §6.1 and §7.2: whole messages.
func pressedSizes() []Case {
	var all []Case
	add := func(name string, build func(*script)) { all = append(all, Case{"7692 messages", name, build}) }
	for _, op := range both {
		kind := opNames[op]
		for _, size := range []int{1, 40, 125, 126, 1023, 1024, 4096, 65535, 65536, 200_000, maxPayload - 1, maxPayload} {
			add(fmt.Sprintf("%s of %d bytes", kind, size), func(s *script) {
				payload := s.sized(op, size)
				s.pressEcho(op, payload, press(payload, flate.BestCompression))
			})
		}
		for _, name := range []string{"not at all", "with codes only", "fast", "well"} {
			add(kind+" compressed "+name, func(s *script) {
				payload := s.sized(op, 50_000)
				s.pressEcho(op, payload, press(payload, levels[name]))
			})
		}
		add(kind+" that gets larger", func(s *script) {
			payload := s.noise(op, 3000)
			s.pressEcho(op, payload, press(payload, flate.NoCompression))
		})
		add(kind+" of nothing, as the byte 0", func(s *script) { s.pressEcho(op, s.sized(op, 0), []byte{0}) })
		add(kind+" compressed and not, in turns", func(s *script) { // §6: message by message
			for n := range 20 {
				payload := s.sized(op, 100+n)
				if n%3 == 0 {
					s.echo(op, payload)
				} else {
					s.pressEcho(op, payload, press(payload, 6))
				}
			}
		})
		add(kind+" many times, each without what was before", func(s *script) { // §7.1.1: no context is taken over
			for range 20 {
				payload := s.sized(op, 100)
				s.pressEcho(op, payload, press(payload, 6))
			}
		})
	}
	return all
}

// noise is a message of about so many bytes that cannot be compressed: of text, letters.
func (s *script) noise(op byte, size int) []byte {
	rnd := rand.New(rand.NewPCG(1, 2))
	content := make([]byte, size)
	for i := range content {
		content[i] = byte('A' + rnd.IntN(26))
		if op == opBinary {
			content[i] = byte('a' + rnd.IntN(26))
		}
	}
	payload, _ := s.message(op, content)
	return payload
}

// pressedSplit is a compressed message in frames of so many bytes each, and one more: only the first has the bit.
func pressedSplit(op byte, small []byte, sizes ...int) []frame {
	parts := split(op, small, sizes...)
	parts[0].first |= rsv1
	return parts
}

// pressedFragments are the cases of §6.1: a message is compressed, and then cut.
func pressedFragments() []Case {
	var all []Case
	add := func(name string, build func(*script)) { all = append(all, Case{"7692 fragments", name, build}) }
	for _, op := range both {
		kind := opNames[op]
		for _, sizes := range [][]int{{1}, {10}, {0}, {0, 0, 0}, {1, 1, 1, 1, 1}, {5, 0, 5}} {
			add(fmt.Sprintf("%s cut behind %d", kind, sizes), func(s *script) {
				payload := s.noise(op, 100)
				s.send(pressedSplit(op, press(payload, 6), sizes...)...)
				s.answer(op, payload)
			})
		}
		add(kind+" cut behind every byte, and nothing at last", func(s *script) {
			payload := s.noise(op, 1000)
			small := press(payload, 6)
			s.send(pressedSplit(op, small, slices.Repeat([]int{1}, len(small))...)...)
			s.answer(op, payload)
		})
		for _, ctl := range []byte{opPing, opPong} {
			add(fmt.Sprintf("control frames of opcode %d between the fragments of %s", ctl, kind), func(s *script) {
				payload := s.noise(op, 200)
				parts := pressedSplit(op, press(payload, 6), 10, 20, 0, 20)
				s.sendBetween(parts, ctl)
				s.answer(op, payload)
			})
		}
		add("close between the fragments of "+kind, func(s *script) {
			f := part(rsv1|op, press(s.noise(op, 200), 6)[:50])
			s.send(f, fin(opClose, farewell(1000, "")))
			s.closed(1000)
		})
		add(kind+" inside the fragments of another", func(s *script) {
			payload := s.sized(op, 200)
			s.send(part(rsv1|op, press(payload, 6)[:5]), pressed(op, press(payload, 6)))
			s.closed(1002)
		})
		add(kind+", in fragments and not compressed, behind one that is", func(s *script) {
			payload := s.sized(op, 200)
			s.pressEcho(op, payload, press(payload, 6))
			payload = s.sized(op, 200)
			s.send(split(op, payload, 30, 30)...)
			s.answer(op, payload)
		})
	}
	return all
}

// cut2 is a message in two parts.
func cut2(payload []byte) (a, b []byte) { return payload[:len(payload)/2], payload[len(payload)/2:] }

// blocks are the cases of §7.2.1 and §7.2.3: types of blocks, and last ones.
func blocks() []Case {
	var all []Case
	for _, op := range both {
		add := func(name string, made func(payload []byte) []byte) {
			all = append(all, Case{"7692 blocks", opNames[op] + ": " + name, func(s *script) {
				payload := s.sized(op, 200)
				s.pressEcho(op, payload, made(payload))
			}})
		}
		add("one with the fixed codes", func(p []byte) []byte { return fixed(p, false) })
		add("one without compression", func(p []byte) []byte { return append(stored(p, false), 0) })
		add("two, with the empty one between", func(p []byte) []byte {
			a, b := cut2(p)
			return slices.Concat(press(a, 6), []byte(emptyBlock), press(b, 6))
		})
		add("without compression, of a byte each", func(p []byte) []byte {
			var out []byte
			for _, b := range p {
				out = append(out, stored([]byte{b}, false)...)
			}
			return append(out, 0)
		})
		add("a hundred empty ones before", func(p []byte) []byte {
			return append([]byte(strings.Repeat("\x00"+emptyBlock, 100)), press(p, 6)...)
		})
		add("a hundred empty ones behind", func(p []byte) []byte {
			return slices.Concat(press(p, 6), []byte(emptyBlock), []byte(strings.Repeat("\x00"+emptyBlock, 100)), []byte{0})
		})
		add("of all types", func(p []byte) []byte {
			return slices.Concat(stored(p[:50], false), press(p[50:100], flate.HuffmanOnly), []byte(emptyBlock), stored(p[100:150], false), press(p[150:], 6))
		})
		add("a last one, and the byte 0", func(p []byte) []byte { return append(fixed(p, true), 0) }) // §7.2.3.4
		add("a last one without compression, and the byte 0", func(p []byte) []byte { return append(stored(p, true), 0) })
		add("a last one, and nothing", func(p []byte) []byte { return fixed(p, true) })
		add("two last ones", func(p []byte) []byte {
			a, b := cut2(p)
			return slices.Concat(fixed(a, true), stored(b, true), []byte{0})
		})
		add("a last one, and one that is not", func(p []byte) []byte {
			a, b := cut2(p)
			return append(fixed(a, true), press(b, 6)...)
		})
		add("last ones of a byte each", func(p []byte) []byte {
			var out []byte
			for _, b := range p {
				out = append(out, fixed([]byte{b}, true)...)
			}
			return append(out, 0)
		})
	}
	return all
}

// pressedBits are the cases of §6: where the bit may stand.
func pressedBits() []Case {
	var all []Case
	add := func(name string, build func(*script)) { all = append(all, Case{"7692 reserved", name, build}) }
	for _, op := range []byte{opClose, opPing, opPong} {
		add(fmt.Sprintf("the bit in a control frame of opcode %d", op), func(s *script) {
			s.send(fin(rsv1|op, []byte{0}))
			s.closed(1002)
		})
	}
	for _, op := range both {
		kind := opNames[op]
		add("the bit in a continuation of "+kind, func(s *script) {
			small := press(s.noise(op, 100), 6)
			s.send(part(rsv1|op, small[:10]), fin(rsv1|opMore, small[10:]))
			s.closed(1002)
		})
		add("the bit in a continuation of "+kind+", and not in its first frame", func(s *script) {
			small := press(s.noise(op, 100), 6)
			s.send(part(op, small[:10]), fin(rsv1|opMore, small[10:]))
			s.closed(1002)
		})
		for _, bits := range []byte{0x10, 0x20, 0x30} {
			add(fmt.Sprintf("the bits %03b with it in %s", bits>>4, kind), func(s *script) {
				s.send(fin(bits|rsv1|op, press(s.sized(op, 100), 6)))
				s.closed(1002)
			})
			add(fmt.Sprintf("the bits %03b without it in %s", bits>>4, kind), func(s *script) {
				s.send(fin(bits|op, s.sized(op, 100)))
				s.closed(1002)
			})
		}
	}
	add("the bit with an opcode that nobody knows", func(s *script) {
		s.send(fin(rsv1|3, []byte{0}))
		s.closed(1002)
	})
	add("the bit in a frame without a mask", func(s *script) {
		f := pressed(opText, press(s.sized(opText, 100), 6))
		f.naked = true
		s.send(f)
		s.closed(1002)
	})
	return all
}

// bombs are messages that are small on the wire alone. The limit holds for what they are inflated to.
func bombs() []Case {
	var all []Case
	add := func(name string, build func(*script)) { all = append(all, Case{"7692 limits", name, build}) }
	for _, op := range both {
		kind := opNames[op]
		for _, size := range []int{maxPayload + 1, 2 * maxPayload, 10 * maxPayload} {
			add(fmt.Sprintf("%s that is inflated to %d bytes", kind, size), func(s *script) {
				s.send(pressed(op, press(make([]byte, size), flate.BestCompression)))
				s.closed(1009)
			})
		}
		add(kind+" over the limit, in fragments", func(s *script) {
			small := press(make([]byte, 2*maxPayload), flate.BestCompression)
			s.send(pressedSplit(op, small, 100, 100, 100)...)
			s.closed(1009)
		})
		add(kind+" over the limit in its last block", func(s *script) {
			s.send(pressed(op, slices.Concat(press(make([]byte, maxPayload), flate.BestCompression), []byte(emptyBlock), stored([]byte("x"), false), []byte{0})))
			s.closed(1009)
		})
		add(kind+" that says it has much more compressed bytes than the limit", func(s *script) {
			f := pressed(op, []byte("x"))
			f.length = 2 * maxPayload
			s.send(f)
			s.closed(1009)
		})
		add(kind+" of empty blocks over the limit", func(s *script) {
			s.send(pressed(op, []byte(strings.Repeat("\x00"+emptyBlock, maxPayload/2))))
			s.closed(1009)
		})
		add(kind+" of the largest size that cannot be compressed", func(s *script) {
			payload := s.sized(op, maxPayload)
			s.pressEcho(op, payload, press(payload, flate.NoCompression))
		})
	}
	return all
}

// broken is what is no DEFLATE (RFC 1951).
func broken() []Case {
	var all []Case
	window := press([]byte("Hello"), 6)
	for _, op := range both {
		add := func(name string, small []byte) {
			all = append(all, Case{"7692 broken", opNames[op] + ": " + name, func(s *script) {
				s.send(pressed(op, small))
				s.closed(1007)
			}})
		}
		add("a block of the reserved type", []byte{0x06, 0x00})
		add("a last block of the reserved type", []byte{0x07, 0x00})
		add("a length that is not its inverse", []byte("\x00\x05\x00\xfb\xffHello\x00"))
		add("what is not compressed", []byte("Hello, this is text"))
		add("a distance before the beginning", []byte{0xf2, 0x00, 0x11, 0x00, 0x00}) // §7.2.3.2, without the message before
		add("a block cut in the midst", press([]byte(strings.Repeat("some text ", 20)), 6)[:9])
		add("a block without compression, cut", stored([]byte("Hello, Hello"), false)[:10])
		add("codes that are none", append([]byte{0x04}, []byte(strings.Repeat("\xff", 40))...))
		add("a distance of a code that has none", []byte("\x0c\xc0\x01\x09\x00\x00\x00\x80\xa0\xad\xfe\x3f\x51\x58\x00"))
		add("a code without an end of the block", []byte("$\x00\x80$\xc9\r\x80$\xc9"))
		add("noise behind a last block", append(fixed([]byte("Hello"), true), 0x06, 0xaa))
		all = append(all, Case{"7692 broken", opNames[op] + ": the window of the message before", func(s *script) {
			s.text("before")
			s.send(pressed(op, window), pressed(op, []byte{0xf2, 0x00, 0x11, 0x00, 0x00}))
			if s.wrap == nil || !s.echoes(op) {
				s.unfit = true // it is no message to this server
				return
			}
			s.answer(op, []byte("Hello"))
			s.closed(1007)
		}})
	}
	return all
}

// echoes reports whether the server takes any message.
func (s *script) echoes(op byte) bool {
	message, at, ok := s.wrap.Message(s.n, []byte("Hello"), op == opBinary)
	return ok && at == 0 && string(message) == "Hello"
}

// pressedTexts are those of §8.1 of RFC 6455 behind the compression: it is what is inflated that has to be text.
func pressedTexts() []Case {
	var all []Case
	add := func(name string, build func(*script)) { all = append(all, Case{"7692 text", name, build}) }
	for _, name := range []string{"Chinese", "an emoji", "the last of all", "a family of emojis"} {
		content := goodText[name]
		add(name, func(s *script) {
			payload, _ := s.message(opText, []byte(content))
			s.pressEcho(opText, payload, press(payload, 6))
		})
		add(name+", cut between blocks and fragments", func(s *script) {
			payload, _ := s.message(opText, []byte(content))
			var small []byte
			for _, b := range payload {
				small = append(small, stored([]byte{b}, false)...)
			}
			small = append(small, 0)
			s.send(pressedSplit(opText, small, slices.Repeat([]int{1}, len(small)-1)...)...)
			s.answer(opText, payload)
		})
	}
	for _, name := range []string{"a continuation byte", "a start of three and one", "an overlong slash in two bytes", "the first high surrogate", "a code point behind the last", "the byte ff", "Latin-1"} {
		content := badText[name]
		add(name, func(s *script) {
			s.text("before")
			payload, _ := s.message(opText, []byte(content))
			s.send(pressed(opText, press(payload, 6)))
			s.closed(1007)
		})
		add(name+", which is no text in binary", func(s *script) {
			payload, _ := s.message(opBinary, []byte(content))
			s.pressEcho(opBinary, payload, press(payload, 6))
		})
	}
	add("compressed bytes that are no text, of one that is", func(s *script) {
		payload := s.noise(opText, 500)
		s.pressEcho(opText, payload, press(payload, 6))
	})
	return all
}

// Offers are the cases of RFC 7692 §5 and §7.1, for a server that speaks the extension.
func Offers() []Handshake {
	var all []Handshake
	add := func(name string, kind offered, fields ...string) {
		lines := make([]string, len(fields))
		for i, f := range fields {
			lines[i] = "Sec-WebSocket-Extensions: " + f
		}
		all = append(all, Handshake{Name: name, Opens: true, offered: kind, request: usual().but(lines...)})
	}
	const name = "permessage-deflate"
	add("alone", taken, name)
	add("as Chromium", taken, name+"; client_max_window_bits")
	add("no context of the server's", taken, name+"; server_no_context_takeover")
	add("no context of the client's", taken, name+"; client_no_context_takeover")
	add("no context", taken, name+"; client_no_context_takeover; server_no_context_takeover")
	add("without spaces", taken, name+";client_max_window_bits;server_no_context_takeover")
	add("spaces and tabs", taken, name+" ;\tclient_max_window_bits ; server_no_context_takeover")
	add("a value in quotation marks", taken, name+`; client_max_window_bits="12"`)
	for _, bits := range []string{"8", "9", "15"} {
		add("the client's window of "+bits, taken, name+"; client_max_window_bits="+bits)
	}
	add("the server's window of 15", taken, name+"; server_max_window_bits=15")
	add("the server's window of 9", either, name+"; server_max_window_bits=9")
	add("the server's window of 9, or any", taken, name+"; server_max_window_bits=9, "+name)
	add("the server's window of 9, or any, in two fields", taken, name+"; server_max_window_bits=9", name)
	add("behind one that nobody knows", taken, "x-nothing; a=1; b, "+name)
	add("before one that nobody knows", taken, name+", x-nothing")
	add("behind one to be declined", taken, name+"; x, "+name)
	add("twice", taken, name+", "+name)
	add("another extension", declined, "x-webkit-deflate-frame")
	add("a longer name", declined, name+"-2")
	for _, param := range []string{
		"x", "x=1", "server_no_context_takeover=1", "client_no_context_takeover=true", "server_max_window_bits", "server_max_window_bits=7", "server_max_window_bits=16",
		"server_max_window_bits=09", "server_max_window_bits=x", "client_max_window_bits=7", "client_max_window_bits=16", "client_max_window_bits=08", "client_max_window_bits=-9",
		"client_max_window_bits; client_max_window_bits", "server_no_context_takeover; server_no_context_takeover", "server_max_window_bits=10; server_max_window_bits=15",
	} {
		add("the parameter "+param, declined, name+"; "+param)
	}
	for _, field := range []string{name + ";", name + "; client_max_window_bits=", name + " " + name, name + `; client_max_window_bits="10`, "; x", name + ", =", name + "; a b"} {
		all = append(all, Handshake{Name: "no grammar: " + field, Refused: []int{400}, request: usual().but("Sec-WebSocket-Extensions: " + field)})
	}
	return all
}
