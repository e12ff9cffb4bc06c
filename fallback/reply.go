package fallback

import (
	"net/http"

	"crier/io/engineio"
)

// answer is what a GET was answered with. It is kept until the next one: a GET that repeats the timestamp of the last one is
// that one again, sent by a browser whose connection broke, and gets the same answer. A new one says that the last has
// reached the client.
type answer struct {
	stamp   uint64
	payload []byte
	framing engineio.Framing
}

func (a *answer) write(w http.ResponseWriter, x exchange) error {
	return writeAnswer(w, x.answer(w.Header(), a.payload, a.framing))
}

// reply is what a GET is to be answered with: an answer, or an error.
type reply struct {
	answer *answer
	err    *engineio.RequestError
	last   bool // the session is over with it
}

func (re reply) write(w http.ResponseWriter, x exchange) error {
	if re.err != nil {
		engineio.WriteError(w, re.err)
		return nil
	}
	return re.answer.write(w, x)
}

// answerLocked answers the GET that waits, if there is one. Locks are held, so nothing but its own goroutine may end the session.
func (t *polling) answerLocked() {
	p, x := t.poll, t.x
	if p == nil {
		return
	}
	t.poll, t.x = nil, nil
	re := t.replyLocked(x, t.stamp)
	p.Respond(func(w http.ResponseWriter) {
		if err := re.write(w, x); err != nil && !re.last { // it is the GET's goroutine that has written
			t.fail(engineio.TransportError)
		}
	})
}

// replyLocked takes what is queued, or says that the session is over, for x and a GET with that stamp.
func (t *polling) replyLocked(x exchange, stamp uint64) (re reply) {
	size := t.bytes
	queue, binary := t.takeLocked(t.session.MaxPackets())
	size -= t.bytes
	// The close packet comes alone: official clients would put messages beside it off until they are back, and then get them twice.
	if t.ending && len(t.queue) == 0 && (len(queue) == 0 || t.left || t.session.BreaksOff()) {
		re.last, t.ended = true, true
	}
	nudged := t.nudged
	t.nudged, t.get = false, false
	if len(t.queue) == 0 {
		t.polled += t.queued
		t.queued = 0
	}
	if t.moved {
		re.err = &engineio.RequestError{Code: engineio.BadRequest, Detail: "the session has moved to a WebSocket"}
		return re
	}
	a := &answer{stamp: stamp, framing: x.framing(t.session, binary, size)}
	a.payload = payload(queue, a.framing, size)
	switch {
	case re.last && !t.left && t.session.BreaksOff(): // it is not told
	case re.last && !t.left:
		a.payload = engineio.AppendPayload(a.payload, a.framing, closing)
	case (re.last || nudged) && len(a.payload) == 0: // an answer needs a packet
		a.payload = engineio.AppendPayload(a.payload, a.framing, noop)
	}
	if len(a.payload) == 0 { // the last one to a client that has to find the session gone
		re.err = &engineio.RequestError{Code: engineio.UnknownSession, Detail: "it has ended"}
		return re
	}
	if !t.ended {
		t.last = a
	}
	re.answer = a
	return re
}

// payload joins packets of about size bytes; one alone is shared with others.
func payload(queue []*engineio.Prepared, f engineio.Framing, size int) []byte {
	if len(queue) == 1 {
		one := queue[0].Payload(f)
		return one[:len(one):len(one)]
	}
	body := make([]byte, 0, size+16*len(queue)+16)
	for _, p := range queue {
		if f == engineio.FramingV4 && len(body) > 0 {
			body = append(body, engineio.Separator)
		}
		body = append(body, p.Payload(f)...)
	}
	return body
}
