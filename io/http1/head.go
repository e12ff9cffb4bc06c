package http1

import (
	"bytes"
	"math/bits"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
)

const (
	// MaxLines is how many header fields a request may have.
	MaxLines = 64
	// maxDigits is how many digits a Content-Length may have; a body has to fit into a connection's buffer.
	maxDigits = 5
)

// Verdict is what a parser makes of the bytes that have come.
type Verdict uint8

const (
	// Foreign is not for us, or not understood: net/http decides.
	Foreign Verdict = iota
	// Partial is the beginning of what may be for us.
	Partial
	// Whole is one request, and nothing behind it unless it is for a WebSocket.
	Whole
)

// kind is what a header field means to the parser.
type kind uint8

const (
	plain kind = iota
	hostField
	lengthField
	closeField     // Connection: close
	keepAliveField // Connection: keep-alive
	upgradesField  // Connection: upgrade, with or without keep-alive
	upgradeField   // Upgrade: websocket
	strangeField   // changes how the request is read or answered
)

// field is one line of a head, as it came and as it is understood.
type field struct {
	raw, key, value string
	kind            kind
}

// head is the head of a request. It remembers the lines of the one before, since a caller mostly repeats them: then
// nothing is allocated.
type head struct {
	takes    func(method, path, query string) bool
	upgrades func(path, query string) bool // which requests for a WebSocket are taken; nil: none

	// of the request line
	line, method, target string
	url                  url.URL
	taken                bool // unless it asks for a WebSocket
	upgradable           bool // if it does

	fields []field // by position
	count  int     // of them, in the latest head

	host    string
	length  int // of the body
	close   bool
	upgrade bool // to a WebSocket
}

// parse reads a request from b (RFC 9112): with Whole, the fields of h are those of its head, and b[n:] is its body, or
// what the client has sent behind a request for a WebSocket.
//
// It takes less than the RFC allows: one request line with an origin-form target of plain characters; fields without tabs,
// folding or spaces around their names; exactly one Host; lines that end with CRLF; at most one Content-Length, and
// no Transfer-Encoding or anything else that asks for something. A head that two readers could read differently is Foreign.
func (h *head) parse(b []byte, room int) (n int, v Verdict) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return 0, Partial
	}
	if i == 0 || b[i-1] != '\r' || !h.parseLine(b[:i-1]) {
		return 0, Foreign
	}
	end := bytes.Index(b[i-1:], []byte("\r\n\r\n"))
	if end < 0 {
		return 0, Partial
	}
	n = i - 1 + end + 4
	if !h.parseFields(b[i+1 : n-2]) {
		return 0, Foreign
	}
	switch have := len(b) - n; {
	case h.upgrade:
		return n, Whole
	case h.length > room-n || have > h.length:
		return 0, Foreign
	case have < h.length:
		return n, Partial
	}
	return n, Whole
}

// parseLine reads a request line and reports whether the request can be taken.
func (h *head) parseLine(line []byte) bool {
	if string(line) == h.line {
		return h.taken || h.upgradable
	}
	h.line, h.taken, h.upgradable = string(line), false, false
	method, rest, _ := strings.Cut(h.line, " ")
	target, version, _ := strings.Cut(rest, " ")
	path, query, hasQuery := strings.Cut(target, "?")
	if version != "HTTP/1.1" || !isToken(method) || !isPath(path) || !isQuery(query) || hasQuery && query == "" {
		return false
	}
	h.method, h.target = method, target
	h.url = url.URL{Path: path, RawQuery: query}
	h.taken = method != http.MethodHead && h.takes(method, path, query) // an answer to HEAD has no body
	h.upgradable = method == http.MethodGet && h.upgrades != nil && h.upgrades(path, query)
	return h.taken || h.upgradable
}

// parseFields reads lines, each with its end, and reports whether they are understood.
func (h *head) parseFields(lines []byte) bool {
	h.count, h.host, h.length, h.close, h.upgrade = 0, "", 0, false, false
	var given uint // kinds, a bit each
	for len(lines) > 0 {
		end := bytes.IndexByte(lines, '\n')
		if end < 1 || lines[end-1] != '\r' || h.count == MaxLines {
			return false
		}
		f := h.parseField(lines[:end-1])
		if f.kind != plain {
			if f.kind == strangeField || given&(1<<f.kind) != 0 {
				return false
			}
			given |= 1 << f.kind
			h.apply(f)
		}
		lines = lines[end+1:]
	}
	return given&(1<<hostField) != 0 && h.connects(given)
}

// connects reports whether the kinds of fields that are given, a bit each, agree on what becomes of the connection, and whether that
// is wanted.
func (h *head) connects(given uint) bool {
	const (
		lasting = 1<<closeField | 1<<keepAliveField | 1<<upgradesField // of which there is one
		upgrade = 1<<upgradesField | 1<<upgradeField                   // which come together
	)
	if bits.OnesCount(given&lasting) > 1 || given&upgrade != 0 && given&upgrade != upgrade {
		return false
	}
	if h.upgrade = given&upgrade != 0; h.upgrade {
		return h.upgradable && given&(1<<lengthField) == 0
	}
	return h.taken
}

// parseField reads the next line.
func (h *head) parseField(line []byte) *field {
	if h.count == len(h.fields) {
		h.fields = append(h.fields, field{})
	}
	f := &h.fields[h.count]
	h.count++
	if string(line) != f.raw || f.raw == "" {
		*f = newField(string(line))
	}
	return f
}

// newField understands a line; what it does not is strange.
func newField(line string) field {
	name, value, colon := strings.Cut(line, ":")
	value = strings.Trim(value, " ")
	f := field{raw: line, kind: strangeField}
	if !colon || !isToken(name) || !isValue(value) {
		return f
	}
	f.key, f.value = textproto.CanonicalMIMEHeaderKey(name), value
	switch f.key {
	case "Host":
		if isHost(value) {
			f.kind = hostField
		}
	case "Content-Length":
		if isNumber(value) {
			f.kind = lengthField
		}
	case "Connection":
		switch {
		case isWord(value, "close"):
			f.kind = closeField
		case isWord(value, "keep-alive"):
			f.kind = keepAliveField
		case isWord(value, "upgrade"), isWord(value, "keep-alive, upgrade"):
			f.kind = upgradesField
		}
	case "Upgrade":
		if isWord(value, "websocket") {
			f.kind = upgradeField
		}
	case "Transfer-Encoding", "Trailer", "Expect":
	case "Pragma": // which net/http makes a Cache-Control of
	default:
		f.kind = plain
	}
	return f
}

// apply notes what a field means for the request.
func (h *head) apply(f *field) {
	switch f.kind {
	case hostField:
		h.host = f.value
	case lengthField:
		for _, c := range []byte(f.value) {
			h.length = h.length*10 + int(c-'0')
		}
	case closeField:
		h.close = true
	case plain, keepAliveField, upgradesField, upgradeField, strangeField:
	}
}

// fill puts the fields into header, which is empty, as net/http does: all but Host. values is memory for them.
func (h *head) fill(header http.Header, values []string) {
	for i := range h.fields[:h.count] {
		f := &h.fields[i]
		switch before := header[f.key]; {
		case f.kind == hostField:
		case before != nil:
			header[f.key] = append(before, f.value)
		default:
			values[i] = f.value
			header[f.key] = values[i : i+1 : i+1]
		}
	}
}

// isToken reports whether s is a token (RFC 9110, section 5.6.2).
func isToken(s string) bool {
	for _, c := range []byte(s) {
		if !isAlphanumeric(c) && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}

// isValue reports whether s is a field value (RFC 9110, section 5.5) without tabs.
func isValue(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' || c == 0x7f {
			return false
		}
	}
	return true
}

// isPath reports whether s is an absolute path that is the same with and without escapes.
func isPath(s string) bool {
	for _, c := range []byte(s) {
		if !isAlphanumeric(c) && strings.IndexByte("/-._~", c) < 0 {
			return false
		}
	}
	return strings.HasPrefix(s, "/") && !strings.HasPrefix(s, "//")
}

// isQuery reports whether s has only visible ASCII characters and no fragment.
func isQuery(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f || c == '#' {
			return false
		}
	}
	return true
}

// isHost reports whether s can be a host with or without a port, by its characters.
func isHost(s string) bool {
	for _, c := range []byte(s) {
		if !isAlphanumeric(c) && strings.IndexByte("-._:[]", c) < 0 {
			return false
		}
	}
	return s != ""
}

// isWord reports whether s is an ASCII word, whatever its case: no other letter stands for one of its own, as ſ would for s.
func isWord(s, word string) bool {
	return len(s) == len(word) && strings.EqualFold(s, word)
}

// hasWord reports whether an ASCII word stands in a list (RFC 9110, section 5.6.1), however it is separated, as net/http looks for it.
func hasWord(list, word string) bool {
	for s := range strings.FieldsFuncSeq(list, func(c rune) bool { return c == ' ' || c == ',' || c == '\t' }) {
		if isWord(s, word) {
			return true
		}
	}
	return false
}

// isNumber reports whether s is a number of few digits.
func isNumber(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != "" && len(s) <= maxDigits
}

func isAlphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
