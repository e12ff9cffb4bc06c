package cluster

import (
	"encoding/json"
	"errors"
	"time"

	"crier/io/hub"
)

// pushed is the body of an entry of KindPush.
type pushed struct {
	hub.Push
	Count bool          // the origin wants to know how many it reached
	Ask   time.Duration // how long the clients have to acknowledge it; 0: they are not asked
	Keep  int           // bytes of answers that the origin wants
}

// pushFormat begins every body, and maxDepthOfExcept is how deep its audience may be nested: deeper than the hub allows.
const (
	pushFormat       = 1
	maxDepthOfExcept = 16
)

// The flags of a body.
const (
	flagVolatile = 1 << iota
	flagTransient
	flagShowID
	flagCount
	flagAsk
)

// The flags of an audience.
const (
	flagAll = 1 << iota
	flagExcept
)

var errNotPush = errors.New("is no push that this version understands")

// appendPush appends a push: pushFormat; the flags; with flagAsk, how long in milliseconds and how many bytes; ID and event,
// each behind its length; arguments and attachments, each behind their number and every one behind its length; the audience.
// Numbers are uvarints.
func appendPush(b []byte, p *pushed) []byte {
	m := p.Message
	var flags byte
	for i, set := range []bool{m.Volatile, m.Transient, m.ShowID, p.Count, p.Ask > 0} {
		if set {
			flags |= 1 << i
		}
	}
	b = append(b, pushFormat, flags)
	if p.Ask > 0 {
		b = appendNumber(b, int(p.Ask.Milliseconds()))
		b = appendNumber(b, p.Keep)
	}
	b = appendText(b, m.ID)
	b = appendText(b, m.Event)
	b = appendNumber(b, len(m.Args))
	for _, arg := range m.Args {
		b = appendText(b, arg)
	}
	b = appendNumber(b, len(m.Attachments))
	for _, data := range m.Attachments {
		b = appendText(b, data)
	}
	return appendAudience(b, &p.To)
}

// parsePush undoes appendPush. The push shares the memory of b.
func parsePush(b []byte) (*pushed, error) {
	d := decoder{rest: b}
	if d.byte() != pushFormat {
		return nil, errNotPush
	}
	flags := d.byte()
	p := &pushed{Count: flags&flagCount != 0}
	p.Message = &hub.Message{Volatile: flags&flagVolatile != 0, Transient: flags&flagTransient != 0, ShowID: flags&flagShowID != 0}
	if flags&flagAsk != 0 {
		p.Ask, p.Keep = d.wait(), int(d.number())
	}
	p.Message.ID, p.Message.Event = d.text(), d.text()
	for range d.count() {
		p.Message.Args = append(p.Message.Args, json.RawMessage(d.bytes()))
	}
	for range d.count() {
		p.Message.Attachments = append(p.Message.Attachments, d.bytes())
	}
	p.To = d.audience(0)
	if d.bad || len(d.rest) > 0 {
		return nil, errNotPush
	}
	return p, nil
}

// appendAudience appends an audience: its flags; users, rooms and connections, each behind their number and every one behind its
// length; with flagExcept, another one.
func appendAudience(b []byte, a *hub.Audience) []byte {
	var flags byte
	if a.All {
		flags |= flagAll
	}
	if a.Except != nil {
		flags |= flagExcept
	}
	b = append(b, flags)
	for _, names := range [][]string{a.Users, a.Rooms, a.Connections} {
		b = appendNames(b, names)
	}
	if a.Except != nil {
		b = appendAudience(b, a.Except)
	}
	return b
}

func (d *decoder) audience(depth int) (a hub.Audience) {
	flags := d.byte()
	a.All = flags&flagAll != 0
	a.Users, a.Rooms, a.Connections = d.names(), d.names(), d.names()
	if flags&flagExcept == 0 {
		return a
	}
	if depth == maxDepthOfExcept {
		d.fail()
		return a
	}
	except := d.audience(depth + 1)
	a.Except = &except
	return a
}

// parseAudience undoes appendAudience.
func parseAudience(b []byte) (hub.Audience, error) {
	d := decoder{rest: b}
	a := d.audience(0)
	if d.bad || len(d.rest) > 0 {
		return hub.Audience{}, errNotPush
	}
	return a, nil
}
