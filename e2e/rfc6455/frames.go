package rfc6455

import "fmt"

// maxPayload is what the servers under test take: a million bytes in a message.
const maxPayload = 1_000_000

// frames are the cases of RFC 6455 §5.2: lengths.
func frames() []Case {
	var all []Case
	add := func(name string, build func(*script)) { all = append(all, Case{"5.2 frames", name, build}) }
	for _, op := range both {
		kind := opNames[op]
		for _, size := range []int{0, 1, 4, 64, 124, 125, 126, 127, 128, 255, 256, 1000, 65534, 65535, 65536, 65537, 131072, maxPayload - 1, maxPayload} {
			add(fmt.Sprintf("%s of %d bytes", kind, size), func(s *script) { s.echo(op, s.sized(op, size)) })
		}
		for _, size := range []int{0, 1, 64, 125, 126, 65535} {
			for _, told := range []int{3, 9} {
				if told == 3 && size >= 126 {
					continue
				}
				// The sender has to use the shortest form. Nothing says that who gets another has to fail, and nobody does.
				add(fmt.Sprintf("%s of %d bytes whose length is told in %d", kind, size, told), func(s *script) {
					f := fin(op, s.sized(op, size))
					f.size = told
					s.send(f)
					s.answer(op, f.payload)
				})
			}
		}
		for _, length := range []uint64{maxPayload + 1, 1 << 31, 1<<32 - 1, 1 << 32, 1<<53 - 1, 1 << 53, 1 << 62, 1<<63 - 1} {
			add(fmt.Sprintf("%s that says it has %d bytes, over the limit", kind, length), func(s *script) {
				f := fin(op, []byte("x"))
				f.length = length
				s.send(f)
				s.closed(1009)
			})
		}
		for _, length := range []uint64{1 << 63, 1<<63 + 5, 1<<64 - 1} {
			add(fmt.Sprintf("%s that says it has %d bytes, whose first bit must be 0", kind, length), func(s *script) {
				f := fin(op, []byte("hello"))
				f.length = length
				s.send(f)
				s.closed(1002, 1009)
			})
		}
		add(kind+" behind "+kind+", in one segment", func(s *script) {
			for range 100 {
				s.echo(op, s.sized(op, 40))
			}
		})
		add(kind+" of every length from 40 to 200", func(s *script) {
			for size := 40; size <= 200; size++ {
				s.echo(op, s.sized(op, size))
			}
		})
	}
	add("text and binary in turns", func(s *script) {
		for n := range 20 {
			op := both[n%2]
			s.echo(op, s.sized(op, 50))
		}
	})
	add("half a header, and the end", func(s *script) {
		f := fin(opText, s.sized(opText, 50))
		s.out = f.append(s.out)[:1]
		s.cut()
	})
	add("half a payload, and the end", func(s *script) {
		f := fin(opText, s.sized(opText, 50))
		s.out = f.append(s.out)[:20]
		s.cut()
	})
	return all
}

// cut has the client end its side without a close frame: whatever the server makes of it, the connection has to end.
func (s *script) cut() { s.eof, s.closing = true, true }

// reserved are those of reserved bits and opcodes, which mean nothing without an extension.
func reserved() []Case {
	var all []Case
	add := func(name string, build func(*script)) { all = append(all, Case{"5.2 reserved", name, build}) }
	for bits := byte(1); bits <= 7; bits++ {
		for _, op := range []byte{opText, opBinary, opClose, opPing, opPong} {
			add(fmt.Sprintf("reserved bits %03b in a frame of opcode %d", bits, op), func(s *script) {
				payload := []byte("hello")
				if op == opClose {
					payload = farewell(1000, "")
				}
				f := fin(op, payload)
				f.first |= bits << 4
				s.send(f)
				s.closed(1002)
			})
		}
		add(fmt.Sprintf("reserved bits %03b in a continuation", bits), func(s *script) {
			payload := s.sized(opText, 60)
			f := fin(opMore, payload[30:])
			f.first |= bits << 4
			s.send(part(opText, payload[:30]), f)
			s.closed(1002)
		})
	}
	for _, op := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		for name, payload := range map[string][]byte{"nothing": nil, "five bytes": []byte("hello")} {
			add(fmt.Sprintf("opcode %d with %s", op, name), func(s *script) {
				s.text("before")
				s.send(fin(op, payload))
				s.closed(1002)
			})
		}
		add(fmt.Sprintf("opcode %d inside a message", op), func(s *script) {
			payload := s.sized(opText, 60)
			s.send(part(opText, payload[:30]), fin(op, nil), fin(opMore, payload[30:]))
			s.closed(1002)
		})
	}
	return all
}

// masks are the cases of §5.1 and §5.3.
func masks() []Case {
	var all []Case
	add := func(name string, build func(*script)) { all = append(all, Case{"5.3 masking", name, build}) }
	for _, key := range [][4]byte{{}, {0xff, 0xff, 0xff, 0xff}, {1, 0, 0, 0}, {0, 0, 0, 1}, {0x80, 0x81, 0xc0, 0xfe}} {
		add(fmt.Sprintf("the mask %x", key), func(s *script) {
			for size := 40; size < 60; size++ { // all remainders of words
				f := fin(opText, s.sized(opText, size))
				f.key = key
				s.send(f)
				s.answer(opText, f.payload)
			}
		})
	}
	for _, op := range []byte{opText, opBinary, opPing, opPong, opClose} {
		add(fmt.Sprintf("no mask in a frame of opcode %d", op), func(s *script) {
			payload := []byte("hello")
			if op == opClose {
				payload = farewell(1000, "")
			}
			f := fin(op, payload)
			f.naked = true
			s.send(f)
			s.closed(1002)
		})
	}
	add("no mask in an empty frame", func(s *script) {
		f := fin(opText, nil)
		f.naked = true
		s.send(f)
		s.closed(1002)
	})
	add("no mask in a continuation", func(s *script) {
		payload := s.sized(opText, 60)
		f := fin(opMore, payload[30:])
		f.naked = true
		s.send(part(opText, payload[:30]), f)
		s.closed(1002)
	})
	return all
}
