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
	Mid string
	// Ask is how long the clients have to acknowledge it, 0 if they are not asked, and Keep how many bytes of their answers the
	// origin wants, of which Question is the number.
	Ask      time.Duration
	Keep     int
	Question uint64
}

// appendStored appends what goes before the letter: storedFormat; the mid behind its length; Ask in milliseconds and, unless that is
// 0, Keep and Question; the audience. Numbers are uvarints.
func appendStored(b []byte, e *storedEntry) []byte {
	b = appendText(append(b, storedFormat), e.Mid)
	b = appendNumber(b, int(e.Ask.Milliseconds()))
	if e.Ask > 0 {
		b = binary.AppendUvarint(appendNumber(b, e.Keep), e.Question)
	}
	return appendAudience(b, &e.To)
}

// parseStored undoes appendStored, with the letter behind it. The message shares the memory of b.
func parseStored(b []byte) (storedEntry, error) {
	d := decoder{rest: b}
	if d.byte() != storedFormat {
		return storedEntry{}, errNotStored
	}
	e := storedEntry{Mid: d.text(), Ask: d.wait()}
	if e.Ask > 0 {
		e.Keep, e.Question = int(d.number()), d.number()
	}
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
	if p.asking != nil {
		e.Ask, e.Keep, e.Question = p.Ask.Wait, p.Ask.Keep, p.asking.number
	}
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
	switch {
	case own:
		a.Number = e.Number
	case one.Ask > 0:
		a.Ask = &hub.Question{Wait: one.Ask, Keep: one.Keep, Done: func(a hub.Answers) { q.relay.acknowledge(e.Origin, one.Question, &a) }}
	}
	r, err := q.hub.Arrive(a)
	if err != nil {
		q.Logger.Warn("clients were not asked what another server wants to know", "node", e.Origin, "error", err)
	}
	if !own && r.Delivered > 0 {
		q.took(one.Mid, r.Delivered)
	}
}
