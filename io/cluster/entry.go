package cluster

import (
	"encoding/binary"
	"errors"

	"crier/io/hub"
)

// Kind says what an [Entry] is.
type Kind byte

// The kinds. Their numbers go through Redis, between servers that may be of different versions: none is ever used again.
const (
	KindPush       Kind = 1  // a message for connections
	KindDisconnect Kind = 2  // connections that are to end
	KindJoined     Kind = 3  // a user is a member of a room
	KindLeft       Kind = 4  // and is not any more
	KindRequest    Kind = 5  // what one node wants to know of the others
	KindReply      Kind = 6  // an answer to that
	KindExpel      Kind = 7  // a connection has been recovered on another node
	KindStored     Kind = 8  // a message for connections that is kept for their users
	KindHere       Kind = 9  // the directory has users of a node now
	KindTaken      Kind = 10 // a session is a node's from now on
	KindMark       Kind = 11 // nothing, so that positions go on
	KindEmitted    Kind = 12 // a message of an emitter, for the connections that can be recovered
	KindNews       Kind = 13 // a message for connections that nobody has been given yet, its origin's included
)

// Entry is one entry of a stream.
type Entry struct {
	// At is the entry's place in the order of all streams.
	At hub.Position
	// Kind says who carries it out.
	Kind Kind
	// Origin is the node that it comes from.
	Origin string
	// Number is the origin's own.
	Number uint64
	// Body is the rest, as the kind has it. It belongs to who carries the entry out.
	Body []byte
}

// entryFormat begins every entry.
const entryFormat = 1

// maxNodeName is how many bytes the name of a node may have.
const maxNodeName = 255

var errNotEntry = errors.New("is no entry that this version understands")

// appendEntry appends an entry as it is in a stream: entryFormat, the kind, the length of the origin's name in one byte, the
// name, the number as uvarint, the body. The position is the entry's id.
func appendEntry(b []byte, kind Kind, origin string, number uint64, body []byte) []byte {
	b = append(b, entryFormat, byte(kind), byte(len(origin)))
	b = append(b, origin...)
	b = binary.AppendUvarint(b, number)
	return append(b, body...)
}

// parseEntry undoes appendEntry. The body is a part of b.
func parseEntry(b []byte) (Entry, error) {
	if len(b) < 3 || b[0] != entryFormat {
		return Entry{}, errNotEntry
	}
	e := Entry{Kind: Kind(b[1])}
	length := int(b[2])
	b = b[3:]
	if length == 0 || length > len(b) {
		return Entry{}, errNotEntry
	}
	e.Origin, b = string(b[:length]), b[length:]
	number, n := binary.Uvarint(b)
	if n <= 0 || n > 1 && b[n-1] == 0 { // a number has one form
		return Entry{}, errNotEntry
	}
	e.Number, e.Body = number, b[n:]
	return e, nil
}
