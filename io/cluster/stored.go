package cluster

import (
	"errors"

	"crier/io/hub"
)

// storedFormat begins every body of an entry of KindStored.
const storedFormat = 1

var errNotStored = errors.New("is no stored message that this version understands")

// storedEntry is the body of an entry of KindStored.
type storedEntry struct {
	// Push has, as users of the audience, those whom the message is kept for.
	hub.Push
	Mid string
}

// appendStored appends what goes before the letter: storedFormat, the mid behind its length, the audience.
func appendStored(b []byte, e *storedEntry) []byte {
	return appendAudience(appendText(append(b, storedFormat), e.Mid), &e.To)
}

// parseStored undoes appendStored, with the letter behind it. The message shares the memory of b.
func parseStored(b []byte) (storedEntry, error) {
	d := decoder{rest: b}
	if d.byte() != storedFormat {
		return storedEntry{}, errNotStored
	}
	e := storedEntry{Mid: d.text()}
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
