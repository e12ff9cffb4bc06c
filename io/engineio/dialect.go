package engineio

import (
	"net/url"
	"strings"
)

// maxTextAnswer is the longest answer to a poll, in bytes before [AppendASCII] makes up to three of one, that
// is in the text framing of revision 3 where the binary one is possible: 1.4 to 1.7 in a page turn the bytes of
// a text answer into the arguments of one call, and browsers take some 65,000 of those.
const maxTextAnswer = 20 << 10

// A dialect is what a client of revision 3 wants otherwise than the document says. Nothing but the request
// that opens the session tells; found by trying the clients' browser bundles.
type dialect struct {
	// b64: binary data as base64 text.
	b64 bool
	// twice: the client, 1.0, encodes text as UTF-8 before a WebSocket does so again, and decodes it so.
	twice bool
	// bytes: the client, 1.0 to 1.3 in a page, takes no answer to a poll that is not in the binary framing.
	bytes bool
}

// dialectOf tells a client's dialect by the query that opens its session.
func dialectOf(q url.Values) dialect {
	d := dialect{b64: q.Get("b64") != "", twice: q.Get("EIO") == "2"}
	d.bytes = !d.b64 && (d.twice || isOldTimestamp(q.Get("t")))
	return d
}

// isOldTimestamp says whether t is milliseconds, a dash and a count, which 1.0 to 1.3 put into every
// request; later clients write both in base 64 with a dot.
func isOldTimestamp(t string) bool {
	ms, count, ok := strings.Cut(t, "-")
	return ok && isDigits(ms) && isDigits(count)
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// Framing is the framing that the client takes for an answer of about size bytes to its XMLHttpRequest.
// binary says that there are binary packets among those in the answer.
func (s *Session) Framing(binary bool, size int) Framing {
	switch {
	case s.rev != Revision3:
		return FramingV4
	case !s.dialect.b64 && (binary || s.dialect.bytes || size > maxTextAnswer):
		return FramingV3Binary
	default:
		return FramingV3Text
	}
}
