package fallback

import (
	"strconv"
	"strings"
)

// maxAfter is the greatest length of an id that a client says it goes on after; what is longer never was one.
const maxAfter = 1024

// position is where a client is in what it gets: PID.COUNT.OFFSET. It is the cursor of a poll, and what the id of an event
// begins with for clients that can come back; that of the message follows, behind a colon.
type position struct {
	pid    string // names the connections that follow one another; a secret of the client
	count  uint64 // how many messages they have brought
	offset string // of the last one in the hub; "" if nothing of that is kept
}

func (p position) String() string { return string(p.appendID(nil, "")) }

// appendID appends the id of the event that brings the client there.
func (p position) appendID(dst []byte, message string) []byte {
	dst = append(append(dst, p.pid...), '.')
	dst = strconv.AppendUint(dst, p.count, 10)
	if p.offset != "" {
		dst = append(append(dst, '.'), p.offset...)
	}
	if message != "" {
		dst = append(append(dst, ':'), message...)
	}
	return dst
}

// parsePosition reads a position, or an id that has one. What is none is the zero position.
func parsePosition(id string) position {
	if len(id) > maxAfter {
		return position{}
	}
	text, _, _ := strings.Cut(id, ":")
	parts := strings.SplitN(text, ".", 3)
	if len(parts) < 2 {
		return position{}
	}
	count, err := strconv.ParseUint(parts[1], 10, 53)
	if err != nil {
		return position{}
	}
	p := position{pid: parts[0], count: count}
	if len(parts) == 3 && !strings.ContainsFunc(parts[2], foreign) {
		p.offset = parts[2]
	}
	return p
}

// foreign reports whether a character is in no offset; see [hub.Log].
func foreign(c rune) bool {
	return (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && !strings.ContainsRune("-._", c)
}
