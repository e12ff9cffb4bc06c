package fallback

import (
	"bytes"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"unicode/utf16"

	"crier/io/engineio"
)

// jsonp carries payloads for pages whose browser has no usable
// XMLHttpRequest: a GET is the load of a script, which hands the payload to a
// function of the page, and a POST that of a form. Socket.IO clients up to 4.2
// do so on request (forceJSONP), or by themselves where they must. Binary data
// is base64 in both directions.
//
// No document specifies it; this is what the clients do, and the Node server
// (polling-jsonp.ts).
type jsonp struct {
	index uint64 // of the function in the page's array ___eio
}

func (jsonp) framing(s *engineio.Session, _ bool, _ int) engineio.Framing {
	if s.Revision() == engineio.Revision3 {
		return engineio.FramingV3Text
	}
	return engineio.FramingV4
}

// answer writes a script. Nothing in it but digits is the client's choice, and
// those not at the start: it cannot be taken for another type of content,
// which is why no comment stands in front.
func (j jsonp) answer(h http.Header, payload []byte, _ engineio.Framing) []byte {
	h.Set("Content-Type", "text/javascript; charset=UTF-8")
	// Old browsers guard against answers that repeat a piece of the query, which a message may do by chance.
	h.Set("X-XSS-Protection", "0")
	script := make([]byte, 0, len(payload)+len(payload)/4+32)
	script = append(script, "___eio["...)
	script = strconv.AppendUint(script, j.index, 10)
	script = append(script, "]("...)
	script = appendString(script, payload)
	return append(script, ");"...)
}

func (jsonp) octets(*http.Request) bool { return false }

// read takes the payload from the form. The limit is for the payload, as it
// is for XHR; the form around it may have four times as many bytes, which is
// what the client's escaping comes to at worst (a line break: "%5Cn").
func (jsonp) read(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	body, err := readBody(w, r, formLimit(limit))
	if err != nil {
		return nil, err
	}
	payload, err := parseForm(body)
	switch {
	case err != nil:
		return nil, err
	case int64(len(payload)) > limit:
		return nil, &http.MaxBytesError{Limit: limit}
	}
	return payload, nil
}

// formLimit is how many bytes the form of a payload of limit bytes may have.
func formLimit(limit int64) int64 {
	const name = int64(len("d="))
	if limit > (math.MaxInt64-name)/4 {
		return math.MaxInt64
	}
	return 4*limit + name
}

// appendString appends text, which is UTF-8, as a string of JavaScript that
// has nothing but ASCII and means the same in a script element of a page.
// Invalid bytes become U+FFFD.
func appendString(dst, text []byte) []byte {
	dst = append(dst, '"')
	for _, r := range string(text) {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			dst = appendUnit(appendUnit(dst, high), low)
		case r < ' ' || r > '~' || r == '<' || r == '>' || r == '&':
			dst = appendUnit(dst, r)
		default:
			dst = append(dst, byte(r))
		}
	}
	return append(dst, '"')
}

// appendUnit appends a UTF-16 code unit as \uXXXX.
func appendUnit(dst []byte, unit rune) []byte {
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'u', hex[unit>>12&0xf], hex[unit>>8&0xf], hex[unit>>4&0xf], hex[unit&0xf])
}

// parseForm returns the payload in a body of type
// application/x-www-form-urlencoded (URL Standard, section 5.1): the one field
// called d, with the client's own escaping of line breaks undone. Other fields
// are ignored. It works in place: body is spoiled. The errors wrap
// [engineio.ErrParse] and quote nothing.
func parseForm(body []byte) ([]byte, error) {
	var payload []byte
	found := false
	for more := true; more; {
		var field []byte
		field, body, more = bytes.Cut(body, []byte{'&'})
		name, value, _ := bytes.Cut(field, []byte{'='})
		if string(name) != "d" {
			continue
		}
		if found {
			return nil, fmt.Errorf("%w: the form has more than one field d", engineio.ErrParse)
		}
		var ok bool
		if payload, ok = unescapePercent(value); !ok {
			return nil, fmt.Errorf("%w: malformed percent-encoding in the form", engineio.ErrParse)
		}
		found = true
	}
	if !found {
		return nil, fmt.Errorf("%w: the form has no field d", engineio.ErrParse)
	}
	return unescapeBreaks(payload), nil
}

// unescapePercent decodes a value of a form in place.
func unescapePercent(value []byte) (decoded []byte, ok bool) {
	n := 0
	for i := 0; i < len(value); i++ {
		c := value[i]
		switch c {
		case '+':
			c = ' '
		case '%':
			if i+2 >= len(value) {
				return nil, false
			}
			high, low := unhex(value[i+1]), unhex(value[i+2])
			if high > 0xf || low > 0xf {
				return nil, false
			}
			c = high<<4 | low
			i += 2
		}
		value[n] = c
		n++
	}
	return value[:n], true
}

// unhex is the value of a hexadecimal digit, or more than 15.
func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	default:
		return 0xff
	}
}

// unescapeBreaks undoes in place what the clients do so that no browser
// changes their line breaks: they write \n for one, and one more backslash in
// front of a \n that is in the text. A backslash directly before a line break,
// which is in no JSON, is lost in that, as it is with the Node server.
func unescapeBreaks(text []byte) []byte {
	n := 0
	for _, c := range text {
		switch {
		case c != 'n' || n == 0 || text[n-1] != '\\':
			text[n] = c
			n++
		case n > 1 && text[n-2] == '\\':
			text[n-1] = 'n'
		default:
			text[n-1] = '\n'
		}
	}
	return text[:n]
}
