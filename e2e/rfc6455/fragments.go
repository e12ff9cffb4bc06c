package rfc6455

import "fmt"

// split cuts a message into frames of so many bytes each, as many as it takes, and one more.
func split(op byte, payload []byte, sizes ...int) []frame {
	var all []frame
	for _, size := range sizes {
		all = append(all, part(op, payload[:size]))
		op, payload = opMore, payload[size:]
	}
	return append(all, fin(op, payload))
}

// fragments are the cases of RFC 6455 §5.4.
func fragments() []Case {
	var all []Case
	add := func(name string, build func(*script)) { all = append(all, Case{"5.4 fragments", name, build}) }
	for _, op := range both {
		kind := opNames[op]
		for _, sizes := range [][]int{{25}, {0}, {50}, {0, 0, 0}, {1, 1, 1, 1}, {25, 0}, {0, 25, 0, 25, 0}, {10, 20}} {
			add(fmt.Sprintf("%s of 50 bytes cut behind %d", kind, sizes), func(s *script) {
				payload := s.sized(op, 50)
				s.send(split(op, payload, sizes...)...)
				s.answer(op, payload)
			})
		}
		for _, n := range []int{100, 1000, 10000} {
			add(fmt.Sprintf("%s in %d fragments of one byte", kind, n), func(s *script) {
				payload := s.sized(op, n)
				sizes := make([]int, n-1)
				for i := range sizes {
					sizes[i] = 1
				}
				s.send(split(op, payload, sizes...)...)
				s.answer(op, payload)
			})
			add(fmt.Sprintf("%s with %d empty fragments", kind, n), func(s *script) {
				payload := s.sized(op, 50)
				s.send(split(op, payload, append(make([]int, n), 50)...)...)
				s.answer(op, payload)
			})
		}
		add(kind+" of the largest size in fragments of 64 KiB", func(s *script) {
			payload := s.sized(op, maxPayload)
			var sizes []int
			for n := 0; n+65536 < maxPayload; n += 65536 {
				sizes = append(sizes, 65536)
			}
			s.send(split(op, payload, sizes...)...)
			s.answer(op, payload)
		})
		add(kind+" whose fragments together are over the limit", func(s *script) {
			s.send(part(op, s.sized(op, maxPayload)), fin(opMore, []byte("x")))
			s.closed(1009)
		})
		for _, ctl := range []byte{opPing, opPong} {
			add(fmt.Sprintf("control frames of opcode %d between the fragments of %s", ctl, kind), func(s *script) {
				payload := s.sized(op, 60)
				parts := split(op, payload, 10, 20, 0, 20)
				s.sendBetween(parts, ctl)
				s.answer(op, payload)
			})
		}
		add("close between the fragments of "+kind, func(s *script) {
			payload := s.sized(op, 60)
			s.send(part(op, payload[:30]), fin(opClose, farewell(1000, "")))
			s.closed(1000)
		})
		for _, inner := range both {
			add(fmt.Sprintf("%s inside fragments of %s", opNames[inner], kind), func(s *script) {
				payload := s.sized(op, 60)
				s.send(part(op, payload[:30]), fin(inner, payload))
				s.closed(1002)
			})
			add(fmt.Sprintf("%s begun inside fragments of %s", opNames[inner], kind), func(s *script) {
				payload := s.sized(op, 60)
				s.send(part(op, payload[:30]), part(inner, payload))
				s.closed(1002)
			})
		}
		add("a continuation behind the last of "+kind, func(s *script) {
			payload := s.sized(op, 60)
			s.send(split(op, payload, 30)...)
			s.answer(op, payload)
			s.send(fin(opMore, []byte("more")))
			s.closed(1002)
		})
		add(kind+", whole, behind one in fragments", func(s *script) {
			payload := s.sized(op, 60)
			s.send(split(op, payload, 30)...)
			s.answer(op, payload)
			s.echo(op, s.sized(op, 60))
		})
	}
	add("a continuation of nothing", func(s *script) {
		s.send(fin(opMore, []byte("more")))
		s.closed(1002)
	})
	add("an empty continuation of nothing", func(s *script) {
		s.send(fin(opMore, nil))
		s.closed(1002)
	})
	add("a continuation of nothing that is not the last", func(s *script) {
		s.send(part(opMore, []byte("more")))
		s.closed(1002)
	})
	add("a fragment, and the end", func(s *script) {
		s.send(part(opText, s.sized(opText, 50)))
		s.cut()
	})
	return all
}

// sendBetween sends fragments with a control frame between any two of them, and awaits the pongs.
func (s *script) sendBetween(parts []frame, ctl byte) {
	for n, f := range parts {
		s.send(f)
		if n == len(parts)-1 {
			return
		}
		s.send(fin(ctl, []byte{byte(n)}))
		if ctl == opPing {
			s.pong([]byte{byte(n)})
		}
	}
}
