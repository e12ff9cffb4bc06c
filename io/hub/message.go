package hub

import "encoding/json"

// Message is one event on its way to connections. Its exported fields must not change once it has been pushed: every
// connection shares them. A Message must not be copied.
type Message struct {
	// ID names the message. [Hub.Push] gives one to a message without; such a message must not be pushed by two
	// goroutines at once.
	ID string
	// Event is the event's name: not empty, valid UTF-8.
	Event string
	// Args are the event's arguments, each one valid JSON (the caller has made sure of that). The n-th attachment
	// stands in them as {"_placeholder":true,"num":n}.
	Args []json.RawMessage
	// Attachments are the binary arguments.
	Attachments [][]byte
	// Volatile says that the message may be dropped for a connection that cannot take it at once.
	Volatile bool
	// ShowID says that the ID is for clients to see: those that get nothing but arguments get it as one more, the last.
	ShowID bool

	// Transient says that the message is of no use later: nobody who comes back is given it.
	Transient bool

	late   bool   // see Late
	place  uint64 // in the inbox, if it is stored; set before the message is delivered
	ask    *Ask   // set before the message is delivered
	offset string // likewise
	forms  variants
}

// Ask is what wants to know of acknowledgements; nil if nobody does. See [Asker].
func (m *Message) Ask() *Ask { return m.ask }

// Offset names the place of the message, for the client of a connection that can be recovered ([Member.Track]); empty for
// every other one.
func (m *Message) Offset() string { return m.offset }

// stamped returns the message as it goes to connections that can be recovered.
func (m *Message) stamped(offset string) *Message {
	if m.ask != nil { // it is pushed once, and those who are asked all have to be asked for the same
		m.offset = offset
		return m
	}
	c := m.own()
	c.offset = offset
	return c
}

// Late says that the message is delivered behind others that were pushed later, or as if: one from the inbox, or one that was
// held. A client that gets offsets gets that of the message before with it.
func (m *Message) Late() bool { return m.late }

// postponed returns the message as it goes to a connection that has been given others before.
func (m *Message) postponed() *Message {
	c := m.copy()
	c.late = true
	return c
}

// copy returns a message of its own, for other connections, with the same contents.
func (m *Message) copy() *Message {
	return &Message{ID: m.ID, Event: m.Event, Args: m.Args, Attachments: m.Attachments, ShowID: m.ShowID, place: m.place}
}

// own returns a message of its own that can be pushed as this one can.
func (m *Message) own() *Message {
	c := m.copy()
	c.Volatile, c.Transient = m.Volatile, m.Transient
	return c
}

// Encoded returns the message as encode makes it for key, a comparable value that names one protocol variant. The result
// is kept and shared by all connections, so nobody may modify it. encode may run more than once when several connections
// ask at the same time; they all get the same result. Reading a result that is there takes no lock.
func (m *Message) Encoded(key any, encode func(*Message) any) any {
	if v := m.forms.find(key); v != nil {
		return v.value
	}
	return m.forms.add(key, encode(m))
}
