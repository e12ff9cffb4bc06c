package engineio

import (
	"strings"
)

// maxTextAnswer is the longest answer to a poll, in bytes before [AppendASCII] makes up to three of one, that
// is in the text framing of revision 3 where the binary one is possible: 1.4 to 1.7 in a page turn the bytes of
// a text answer into the arguments of one call, and browsers take some 65,000 of those.
const maxTextAnswer = 20 << 10

// fewPackets is all that python-engineio takes in an answer (Payload.max_decode_packets).
const fewPackets = 16

// A dialect is what a client wants otherwise than the document says. Nothing but the request that opens the
// session tells; found by trying the clients. b64, twice and bytes are of revision 3.
type dialect struct {
	// b64: binary data as base64 text.
	b64 bool
	// twice: the client, 1.0, encodes text as UTF-8 before a WebSocket does so again, and decodes it so.
	twice bool
	// bytes: the client, 1.0 to 1.3 in a page, takes no answer to a poll that is not in the binary framing.
	bytes bool
	// breaks: the client comes back only after a connection that breaks off. The one for Java is not told of a
	// close frame by OkHttp, and waits for a heartbeat that does not come; to python-engineio a close packet
	// is a goodbye.
	breaks bool
	// few: an answer to a poll has at most fewPackets.
	few bool
}

// dialectOf tells a client's dialect by the query and the User-Agent of the request that opens its session.
func dialectOf(q query, agent string) dialect {
	b64, _ := q.get("b64")
	eio, _ := q.get("EIO")
	t, _ := q.get("t")
	d := dialect{b64: b64 != "", twice: eio == "2"}
	d.bytes = !d.b64 && (d.twice || isOldTimestamp(t))
	switch {
	case strings.HasPrefix(agent, "okhttp/"):
		d.breaks = true
	case strings.HasPrefix(agent, "python-requests/"), strings.Contains(agent, " aiohttp/"):
		d.breaks, d.few = true, true
	}
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

// BreaksOff says that the client comes back only after a connection that breaks off, and not when it is told
// that the session is over.
func (s *Session) BreaksOff() bool { return s.dialect.breaks }

// MaxPackets is how many packets the client takes in an answer to a poll; 0 = no limit.
func (s *Session) MaxPackets() int {
	if s.dialect.few {
		return fewPackets
	}
	return 0
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
