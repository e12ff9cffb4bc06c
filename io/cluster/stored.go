package cluster

import (
	"encoding/binary"
	"errors"
	"time"

	"crier/io/hub"
)

// storedFormat begins every body of an entry of KindStored.
const storedFormat = 1

var errNotStored = errors.New("is no stored message that this version understands")

// storedEntry is the body of an entry of KindStored.
type storedEntry struct {
	// Push has, as users of the audience, those whom the message is kept for.
	hub.Push
	Mid  string
	Ask  time.Duration // how long the clients have to acknowledge it; 0: they are not asked
	Keep int           // bytes of answers that the origin wants
	// Question is the number under which the origin waits for them.
	Question uint64
}

// appendStored appends what goes before the letter: storedFormat; how long in milliseconds clients have to acknowledge it, and,
// unless that is 0, how many bytes of answers are wanted under which number; the mid behind its length; the audience. Numbers are
// uvarints.
func appendStored(b []byte, e *storedEntry) []byte {
	b = append(b, storedFormat)
	b = binary.AppendUvarint(b, uint64(e.Ask.Milliseconds()))
	if e.Ask > 0 {
		b = binary.AppendUvarint(b, uint64(e.Keep))
		b = binary.AppendUvarint(b, e.Question)
	}
	b = appendText(b, e.Mid)
	return appendAudience(b, &e.To)
}

// parseStored undoes appendStored, with the letter behind it. The message shares the memory of b.
func parseStored(b []byte) (storedEntry, error) {
	d := decoder{rest: b}
	if d.byte() != storedFormat {
		return storedEntry{}, errNotStored
	}
	e := storedEntry{Ask: time.Duration(d.number()) * time.Millisecond}
	if e.Ask > 0 {
		e.Keep, e.Question = int(d.number()), d.number()
	}
	e.Mid = d.text()
	e.To = d.audience(0)
	if d.bad {
		return storedEntry{}, errNotStored
	}
	var err error
	e.Message, err = decodeLetter(d.rest)
	return e, err
}

// frame returns the head of the entry of a message.
func (q *Inbox) frame(p *put) []byte {
	e := storedEntry{Push: hub.Push{To: p.To}, Mid: p.mid}
	e.To.Users = p.Users
	return appendEntry(nil, KindStored, q.Node.Name(), p.Number, appendStored(nil, &e))
}

// carry carries out an entry of KindStored.
func (q *Inbox) carry(e Entry) {
	one, err := parseStored(e.Body)
	if err != nil {
		q.Logger.Warn("a stored message is passed over", "position", uint64(e.At), "error", err)
		return
	}
	a := hub.Arrival{At: e.At, Push: one.Push, Users: one.To.Users}
	own := e.Origin == q.Node.Name()
	if own {
		a.Number = e.Number
	}
	r := q.hub.Arrive(a)
	if !own && r.Delivered > 0 {
		q.took(one.Mid, r.Delivered)
	}
}
