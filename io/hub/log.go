package hub

// Position is a place in the order of all pushes since the hub began to count: that of a push, or the one behind it.
type Position uint64

// Log keeps messages, with their audiences, for those who come back for them. Its methods are called by one goroutine at a
// time, in turn with the pushes, and must not block. Positions are those of this hub; an offset is what a client carries
// away, and may name a place in more than one order: a log that several hubs share finds the position in each.
type Log interface {
	// Append keeps what it needs of a message, copied; at is greater than every position before. It returns the oldest
	// position that it still has.
	Append(at Position, m *Message, to *Audience) (oldest Position)
	// Since returns the messages behind after that can be for one of the spans, in their order; those that the exceptions
	// of an audience leave out may be among them. It is not complete if one of them may be missing.
	Since(after Position, spans []Span) (list []*Logged, complete bool)
	// Forget lets go of everything up to a position.
	Forget(until Position)
	// Offset is the text that names a position to a client: at most 64 letters, digits and any of "-._".
	Offset(at Position) string
	// Find undoes Offset. It is not known if it comes from another log.
	Find(offset string) (at Position, known bool)
}

// Logged is a message in a [Log].
type Logged struct {
	At      Position
	Message *Message // never pushed itself, nor changed
	To      Audience
}

// Span says that a connection belonged to something: messages at the positions Since < p ≤ Until can have been for it.
type Span struct {
	Kind         SpanKind
	Name         string // of the user, the room or the connection; empty for everybody
	Since, Until Position
}

// SpanKind says what an audience names.
type SpanKind byte

// The kinds.
const (
	SpanUser SpanKind = iota
	SpanRoom
	SpanConnection
	SpanEverybody
)

// open is the end of a Span that has not ended.
const open = ^Position(0)

// covers tells whether the span has the position.
func (s *Span) covers(p Position) bool { return s.Since < p && p <= s.Until }
