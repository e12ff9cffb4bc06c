package fallback

// placed is something that is sent to a client, with where it brings one that can come back.
type placed struct {
	*wire
	at position // zero for others; without a pid if the client is told by a cursor where it is
}

// own is what the client is sent as something of its own: only it has this id, or this offset.
func (p placed) own() *wire {
	if p.at == (position{}) {
		return p.wire
	}
	w := p.wire
	one := &wire{id: w.id, event: w.event, args: w.args, ack: w.ack, err: w.err, offset: p.at.offset}
	if p.at.pid != "" {
		one.id = string(p.at.appendID(nil, w.id))
	} else if w.err == nil {
		text := w.form(formText)
		one.forms[formText].Store(&text)
	}
	return one
}

// appendEvent appends the block of an event stream. All but the id is the same for everybody, and made once.
func (p placed) appendEvent(dst []byte) []byte {
	dst = append(dst, "id: "...)
	dst = p.at.appendID(dst, oneLine(p.id))
	dst = append(dst, '\n')
	return append(dst, p.form(formEventRest)...)
}
