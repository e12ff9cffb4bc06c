package api

import "unicode/utf8"

// appendEscaped appends src to dst as htmlspecialchars() of PHP 8.1 and later returns it with its default flags,
// ENT_QUOTES | ENT_SUBSTITUTE | ENT_HTML401, and charset, UTF-8. What it appends is valid UTF-8 without <, >, " or '.
func appendEscaped(dst, src []byte) []byte {
	clean := 0 // src[clean:i] is fine as it stands
	for i := 0; i < len(src); {
		c := src[i]
		size, entity := 1, ""
		switch {
		case c >= utf8.RuneSelf:
			var r rune
			if r, size = utf8.DecodeRune(src[i:]); r == utf8.RuneError && size <= 1 {
				size, entity = invalidLength(src[i:]), "\uFFFD"
			}
		case c == '&':
			entity = "&amp;"
		case c == '<':
			entity = "&lt;"
		case c == '>':
			entity = "&gt;"
		case c == '"':
			entity = "&quot;"
		case c == '\'':
			entity = "&#039;"
		}
		if entity != "" {
			dst = append(dst, src[clean:i]...)
			dst = append(dst, entity...)
			clean = i + size
		}
		i += size
	}
	return append(dst, src[clean:]...)
}

// invalidLength returns how many bytes of s, which begins with an invalid UTF-8 sequence, PHP replaces by one U+FFFD:
// as many as the first byte announces, but none from the first that could begin a character of its own. (Strategy 2
// of Unicode Technical Report 36, section 3.6.1; overlong forms, surrogates and what lies above U+10FFFF go as one.)
func invalidLength(s []byte) int {
	announced := 1
	switch c := s[0]; {
	case c >= 0xC2 && c <= 0xDF:
		announced = 2
	case c >= 0xE0 && c <= 0xEF:
		announced = 3
	case c >= 0xF0 && c <= 0xF4:
		announced = 4
	}
	for i := 1; i < announced; i++ {
		if i == len(s) || canBegin(s[i]) {
			return i
		}
	}
	return announced
}

// canBegin says whether a valid UTF-8 sequence can begin with c.
func canBegin(c byte) bool { return c < 0x80 || c >= 0xC2 && c <= 0xF4 }

// appendJSONString appends s, valid UTF-8, to dst as a JSON string (RFC 8259, section 7): only what must be escaped is.
func appendJSONString(dst, s []byte) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	clean := 0
	for i, c := range s {
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[clean:i]...)
		clean = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	dst = append(dst, s[clean:]...)
	return append(dst, '"')
}
