package rfc6455

import (
	"bytes"
	"fmt"
)

// controls are the cases of RFC 6455 §5.5.
func controls() []Case {
	var all []Case
	add := func(name string, build func(*script)) { all = append(all, Case{"5.5 control frames", name, build}) }
	for _, size := range []int{0, 1, 8, 64, 124, 125} {
		add(fmt.Sprintf("a ping of %d bytes", size), func(s *script) {
			payload := bytes.Repeat([]byte{0xfe}, size) // bytes, not text
			s.send(fin(opPing, payload))
			s.pong(payload)
		})
		add(fmt.Sprintf("a pong of %d bytes that nobody asked for", size), func(s *script) {
			s.send(fin(opPong, bytes.Repeat([]byte{0xfe}, size)))
		})
	}
	for _, op := range []byte{opClose, opPing, opPong} {
		for _, size := range []int{126, 127, 1000, 65535, 65536} {
			add(fmt.Sprintf("a control frame of opcode %d with %d bytes", op, size), func(s *script) {
				s.send(fin(op, append(farewell(1000, ""), bytes.Repeat([]byte("x"), size-2)...)))
				s.closed(1002)
			})
		}
		for _, size := range []int{0, 5} {
			add(fmt.Sprintf("a control frame of opcode %d with %d bytes, in fragments", op, size), func(s *script) {
				s.send(part(op, bytes.Repeat([]byte("x"), size)), fin(opMore, nil))
				s.closed(1002)
			})
		}
		add(fmt.Sprintf("a control frame of opcode %d that says it has 2^63-1 bytes", op), func(s *script) {
			f := fin(op, nil)
			f.length = 1<<63 - 1
			s.send(f)
			s.closed(1002)
		})
	}
	add("a hundred pings, each answered", func(s *script) {
		for n := range 100 {
			s.send(fin(opPing, []byte{byte(n)}))
			s.pong([]byte{byte(n)})
		}
	})
	add("pings between messages", func(s *script) {
		for n := range 20 {
			s.send(fin(opPing, []byte{byte(n)}))
			s.pong([]byte{byte(n)})
			s.text("x")
		}
	})
	add("pongs and pings in turns", func(s *script) {
		for range 20 {
			s.send(fin(opPong, []byte("a")), fin(opPing, []byte("b")))
			s.pong([]byte("b"))
		}
	})
	add("a ping, and the end", func(s *script) {
		s.send(fin(opPing, []byte("last")))
		s.cut()
	})
	return all
}

// closings are the cases of §5.5.1 and §7.
func closings() []Case {
	var all []Case
	add := func(name string, build func(*script)) { all = append(all, Case{"7 closing", name, build}) }
	for _, good := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3001, 3999, 4000, 4001, 4999} {
		add(fmt.Sprintf("code %d", good), func(s *script) {
			s.send(fin(opClose, farewell(good, "")))
			s.closed(good, 1000)
		})
	}
	for _, bad := range []int{0, 1, 500, 999, 1004, 1005, 1006, 1015, 1016, 1099, 1100, 2000, 2999, 5000, 9999, 65535} {
		add(fmt.Sprintf("code %d, which must not be sent", bad), func(s *script) {
			s.send(fin(opClose, farewell(bad, "")))
			s.closed(1002)
		})
	}
	for _, reason := range []string{"x", "going away", "κόσμε 中文 😀", string(bytes.Repeat([]byte("x"), 123))} {
		add(fmt.Sprintf("a reason of %d bytes", len(reason)), func(s *script) {
			s.send(fin(opClose, farewell(1000, reason)))
			s.closed(1000)
		})
	}
	for name, reason := range badText {
		add("a reason with "+name, func(s *script) {
			s.send(fin(opClose, farewell(1000, "a"+reason)))
			s.closed(1007)
		})
	}
	add("no code", func(s *script) {
		s.send(fin(opClose, nil))
		s.closed(0, 1000)
	})
	add("half a code", func(s *script) {
		s.send(fin(opClose, []byte{3}))
		s.closed(1002)
	})
	behind := map[string]frame{
		"text": fin(opText, []byte("late")), "a ping": fin(opPing, nil), "another close": fin(opClose, farewell(1001, "")),
		"a fragment": part(opText, []byte("late")), "what breaks the rules": {first: 0xff, payload: []byte("late")},
	}
	for name, f := range behind {
		add(name+" behind the close frame is not heard", func(s *script) {
			s.text("before")
			s.send(fin(opClose, farewell(1000, "")), f)
			s.closed(1000)
		})
	}
	add("a message behind what breaks the rules is not heard", func(s *script) {
		s.send(fin(3, nil), fin(opText, s.sized(opText, 50)))
		s.closed(1002)
	})
	add("the end without a close frame", func(s *script) {
		s.text("before")
		s.cut()
	})
	return all
}
