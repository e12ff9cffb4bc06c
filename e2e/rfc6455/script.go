package rfc6455

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
)

// A Wrap makes a message out of content that a server sends back in an envelope of its own.
type Wrap interface {
	// Message returns the n-th message of a connection with that content, where in it the content begins, and
	// false if the server takes no such message.
	Message(n int, content []byte, binary bool) (message []byte, at int, ok bool)
	// Sized is a Message of so many bytes.
	Sized(n, size int, binary bool) (message []byte, ok bool)
	// Answered reports whether a message of the server answers message n.
	Answered(n int, message []byte, binary bool, answer []byte, answerBinary bool) bool
}

// A Case is one thing that a client may do, and what the server has to make of it.
type Case struct {
	Chapter, Name string
	build         func(*script)
}

// script is what the client sends, and what it expects.
type script struct {
	wrap    Wrap
	out     []byte
	want    []wanted
	n       int
	unfit   bool // the server under test takes no message like these
	closing bool // the last of want is a close
	eof     bool // the client ends its side behind what it sends, without a close frame

	deflates bool // the server may compress
	latest   bool // pings that came together may be answered by one pong
}

// wanted is a frame that has to come.
type wanted struct {
	what string
	is   func(received) bool
	pong bool
}

// message returns the payload of a message with content, and where in it the content is. Its answer is not
// expected yet: see answer.
func (s *script) message(op byte, content []byte) (payload []byte, at int) {
	payload, at, ok := s.wrap.Message(s.n, content, op == opBinary)
	s.unfit = s.unfit || !ok
	return payload, at
}

// sized returns the payload of a message of so many bytes.
func (s *script) sized(op byte, size int) []byte {
	payload, ok := s.wrap.Sized(s.n, size, op == opBinary)
	s.unfit = s.unfit || !ok
	return payload
}

// send adds frames to what is sent.
func (s *script) send(frames ...frame) {
	for _, f := range frames {
		s.out = f.append(s.out)
	}
}

// answer expects the message back.
func (s *script) answer(op byte, payload []byte) {
	n, sent := s.n, slices.Clone(payload)
	s.n++
	s.want = append(s.want, wanted{fmt.Sprintf("the answer to message %d", n), func(r received) bool {
		return (r.op == opText || r.op == opBinary) && s.wrap.Answered(n, sent, op == opBinary, r.payload, r.op == opBinary)
	}, false})
}

// echo sends a message of one frame, and expects it back.
func (s *script) echo(op byte, payload []byte) {
	s.send(fin(op, payload))
	s.answer(op, payload)
}

// text sends text in one frame, and expects it back.
func (s *script) text(content string) {
	payload, _ := s.message(opText, []byte(content))
	s.echo(opText, payload)
}

// pong expects one.
func (s *script) pong(payload []byte) {
	s.want = append(s.want, wanted{fmt.Sprintf("a pong of %d bytes", len(payload)), func(r received) bool {
		return r.op == opPong && bytes.Equal(r.payload, payload)
	}, true})
}

// closed expects the end, by a close frame with one of the codes; 0 is none.
func (s *script) closed(codes ...int) {
	s.closing = true
	s.want = append(s.want, wanted{fmt.Sprintf("a close frame with one of the codes %v", codes), func(r received) bool {
		return r.op == opClose && slices.Contains(codes, code(r.payload))
	}, false})
}

// code is that of a close frame, 0 if it has none.
func code(payload []byte) int {
	if len(payload) < 2 {
		return 0
	}
	return int(binary.BigEndian.Uint16(payload))
}

// farewell is the payload of a close frame.
func farewell(code int, reason string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...)
}

// finish has a script whose connection goes on show that it does, and end in order.
func (s *script) finish() {
	if s.closing {
		return
	}
	s.text("the end")
	s.send(fin(opClose, farewell(1000, "")))
	s.closed(1000)
}
