package engineio

import (
	"bytes"
	"encoding/base64"
	"strconv"
	"unicode/utf8"
)

// Separator stands between the packets of a [FramingV4] payload.
const Separator = 0x1e

const (
	lengthEndV3Text  = ':'  // behind a length in a revision 3 text payload
	lengthEndV3Bytes = 0xff // behind a length in a revision 3 binary payload

	// maxLengthDigits bounds the digits of an announced length; ten of them already say 9 GB.
	maxLengthDigits = 10
)

// Framing is how packets are joined into a payload, the body of a polling request or response.
type Framing byte

// The framings.
const (
	// FramingV4 separates packets by [Separator]; binary data is base64. Text.
	FramingV4 Framing = iota
	// FramingV3Text puts "<length>:" before each packet, in UTF-16 code units; binary data is base64. Text.
	FramingV3Text
	// FramingV3Binary puts a byte 0 (text) or 1 (binary), the decimal digits of the length in bytes as the
	// bytes 0 to 9, and a byte 255 before each packet. Binary (application/octet-stream).
	FramingV3Binary
)

// ParsePayload decodes the body of a polling request and calls fn with each packet in turn. binary says
// that the body came as application/octet-stream, which revision 3 alone knows. An error of fn ends the
// work and is returned as it is; the others wrap [ErrParse], and fn may have seen the packets before the
// mistake. A caller that limits the packets of a payload counts them in fn.
//
// A length is checked against the bytes that are there, and an empty body is an error. Text is checked to
// be UTF-8. Data shares memory with body unless it had to be decoded.
//
// Text in a revision 3 text payload may be UTF-8 encoded twice: the 1.x clients do so, the 2.x clients
// do not, and nothing in the request tells them apart. Text that has non-ASCII characters, all of them up to
// U+00FF, which taken as bytes are UTF-8 again, is therefore decoded once more. The length counts the
// characters before that. Surrogates encoded on their own, as 1.x clients may send them, become U+FFFD.
func ParsePayload(rev Revision, body []byte, binary bool, fn func(Packet) error) error {
	switch {
	case len(body) == 0:
		return malformed("empty payload")
	case rev == Revision3 && binary:
		return parseV3Binary(body, fn)
	case rev == Revision3:
		return parseV3Text(body, fn)
	case binary:
		return malformed("binary payload in revision 4")
	}
	return parseV4(body, fn)
}

// AppendPayload appends p to dst, which holds nothing or earlier packets of the same payload. Text Data
// must be valid UTF-8. For clients of revision 3, text should have gone through [AppendASCII] first, as 1.x
// clients decode text payloads twice.
func AppendPayload(dst []byte, f Framing, p Packet) []byte {
	rev, b64 := Revision3, true
	switch f {
	case FramingV3Text:
		dst = strconv.AppendInt(dst, int64(frameUnits(p)), 10)
		dst = append(dst, lengthEndV3Text)
	case FramingV3Binary:
		b64 = false
		if p.Binary {
			dst = append(dst, 1)
		} else {
			dst = append(dst, 0)
		}
		start := len(dst)
		dst = strconv.AppendInt(dst, int64(1+len(p.Data)), 10)
		for i := start; i < len(dst); i++ {
			dst[i] -= '0'
		}
		dst = append(dst, lengthEndV3Bytes)
	default:
		rev = Revision4
		if len(dst) > 0 {
			dst = append(dst, Separator)
		}
	}
	dst, _ = AppendFrame(dst, rev, b64, p)
	return dst
}

// AppendASCII appends JSON text with every character beyond ASCII written as \uXXXX, astral ones as a
// surrogate pair. Clients that decode UTF-8 once, twice or not at all then read the same. Each
// byte that is not valid UTF-8 becomes \ufffd. Only JSON may be given: outside its strings the escapes mean nothing.
func AppendASCII(dst, json []byte) []byte {
	start := 0
	for i := 0; i < len(json); {
		if json[i] < utf8.RuneSelf {
			i++
			continue
		}
		dst = append(dst, json[start:i]...)
		r, size := utf8.DecodeRune(json[i:])
		if r > 0xffff {
			r -= 0x10000
			dst = appendEscape(dst, 0xd800+r>>10)
			r = 0xdc00 + r&0x3ff
		}
		dst = appendEscape(dst, r)
		i += size
		start = i
	}
	return append(dst, json[start:]...)
}

func appendEscape(dst []byte, unit rune) []byte {
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'u', hex[unit>>12&0xf], hex[unit>>8&0xf], hex[unit>>4&0xf], hex[unit&0xf])
}

// parseV4 reads packets separated by U+001E (revision 4, "HTTP long-polling").
func parseV4(body []byte, fn func(Packet) error) error {
	if !utf8.Valid(body) {
		return malformed("payload is not UTF-8")
	}
	for more := true; more; {
		var frame []byte
		frame, body, more = bytes.Cut(body, []byte{Separator})
		p, err := ParseText(Revision4, frame)
		if err != nil {
			return err
		}
		if err := fn(p); err != nil {
			return err
		}
	}
	return nil
}

// parseV3Text reads "<length>:<packet>" (revision 3, "Payload"). A length of 0 stands for no packet: the
// clients encode an empty list as "0:".
func parseV3Text(body []byte, fn func(Packet) error) error {
	for len(body) > 0 {
		units, rest, err := cutLength(body, '0', lengthEndV3Text)
		if err != nil {
			return err
		}
		n, ok := utf16Prefix(rest, units)
		if !ok {
			return malformed("payload does not have the announced length")
		}
		frame := rest[:n]
		body = rest[n:]
		if n == 0 {
			continue
		}
		p, err := ParseText(Revision3, frame)
		if err != nil {
			return err
		}
		if !p.Binary {
			p.Data = decodeTwice(p.Data)
		}
		if err := fn(p); err != nil {
			return err
		}
	}
	return nil
}

// parseV3Binary reads "<0|1><length digits><255><packet>" (revision 3, "Payload").
func parseV3Binary(body []byte, fn func(Packet) error) error {
	for len(body) > 0 {
		kind := body[0]
		n, rest, err := cutLength(body[1:], 0, lengthEndV3Bytes)
		if err != nil {
			return err
		}
		if n > len(rest) {
			return malformed("payload does not have the announced length")
		}
		frame := rest[:n]
		body = rest[n:]
		p, err := parseV3Part(kind, frame)
		if err != nil {
			return err
		}
		if err := fn(p); err != nil {
			return err
		}
	}
	return nil
}

// parseV3Part reads one packet of a revision 3 binary payload.
func parseV3Part(kind byte, frame []byte) (Packet, error) {
	switch kind {
	case 0:
		text, ok := repairUTF8(frame)
		if !ok {
			return Packet{}, malformed("text is not UTF-8")
		}
		return ParseText(Revision3, text)
	case 1:
		return ParseBinary(Revision3, frame)
	}
	return Packet{}, malformed("packet neither text nor binary")
}

// cutLength reads decimal digits, of which zero is the first, up to end.
func cutLength(b []byte, zero, end byte) (n int, rest []byte, err error) {
	for i, c := range b {
		if c == end && i > 0 {
			return n, b[i+1:], nil
		}
		d := c - zero
		if d > 9 || i >= maxLengthDigits {
			break
		}
		n = n*10 + int(d)
		if n > len(b) { // more than is there, in any unit
			break
		}
	}
	return 0, nil, malformed("malformed length")
}

// utf16Prefix counts the bytes of the given number of UTF-16 code units of text. It fails if there are
// fewer, if the count ends within a surrogate pair, and if the bytes are not UTF-8.
func utf16Prefix(text []byte, units int) (n int, ok bool) {
	if units > len(text) {
		return 0, false
	}
	for units > 0 {
		if n == len(text) {
			return 0, false
		}
		if text[n] < utf8.RuneSelf {
			n++
			units--
			continue
		}
		r, size := utf8.DecodeRune(text[n:])
		if r == utf8.RuneError && size == 1 {
			return 0, false
		}
		n += size
		units--
		if r > 0xffff {
			units--
		}
	}
	return n, units == 0
}

// frameUnits is the length of p as a text frame of revision 3, in UTF-16 code units.
func frameUnits(p Packet) int {
	if p.Binary {
		return 2 + base64.StdEncoding.EncodedLen(len(p.Data))
	}
	n := 1
	for _, c := range p.Data {
		if c&0xc0 != 0x80 {
			n++
		}
		if c >= 0xf0 {
			n++
		}
	}
	return n
}

// decodeTwice undoes a second UTF-8 encoding of valid UTF-8 text, if there is one; see [ParsePayload].
func decodeTwice(text []byte) []byte {
	ascii := true
	for _, c := range text {
		if c > 0xc3 { // begins a character beyond U+00FF
			return text
		}
		ascii = ascii && c < utf8.RuneSelf
	}
	if ascii {
		return text
	}
	once := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c >= utf8.RuneSelf {
			i++
			c = c<<6 | text[i]&0x3f
		}
		once = append(once, c)
	}
	once, ok := repairUTF8(once)
	if !ok {
		return text
	}
	return once
}

// repairUTF8 gives back valid UTF-8 as it is and replaces surrogates encoded on their own, which the
// clients' encoder lets through, by U+FFFD. Anything else is not ok.
func repairUTF8(text []byte) (out []byte, ok bool) {
	if utf8.Valid(text) {
		return text, true
	}
	out = make([]byte, 0, len(text))
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if r == utf8.RuneError && size == 1 {
			if !beginsWithSurrogate(text) {
				return nil, false
			}
			size = 3
		}
		out = utf8.AppendRune(out, r)
		text = text[size:]
	}
	return out, true
}

// beginsWithSurrogate says whether text begins with U+D800 to U+DFFF in the three bytes UTF-8 would give it.
func beginsWithSurrogate(text []byte) bool {
	return len(text) >= 3 && text[0] == 0xed && text[1] >= 0xa0 && text[1] <= 0xbf && text[2]&0xc0 == 0x80
}
