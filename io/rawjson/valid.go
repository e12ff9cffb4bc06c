// Package rawjson looks at JSON as it came, without decoding it.
package rawjson

import (
	"encoding/binary"
	"encoding/json"
	"math/bits"
	"unicode/utf8"
)

// maxDepth is how deep JSON may be nested, as encoding/json has it.
const maxDepth = 10_000

// Valid says whether b is one JSON value in UTF-8 (RFC 8259), as json.Valid and utf8.Valid do together. It takes a third
// of their time, which was a twentieth of a line of pushes, and of an event.
func Valid(b []byte) bool {
	end := validValue(b, skipSpace(b, 0), 0)
	return end > 0 && skipSpace(b, end) == len(b)
}

// AppendElements appends to list the elements of the JSON array that b is, without white space around them, and reports whether it
// is one, as [Valid] takes it. They share memory with b.
func AppendElements(list []json.RawMessage, b []byte) (_ []json.RawMessage, ok bool) {
	i := skipSpace(b, 0)
	if i == len(b) || b[i] != '[' {
		return list, false
	}
	if i = skipSpace(b, i+1); i < len(b) && b[i] == ']' {
		return list, skipSpace(b, i+1) == len(b)
	}
	for {
		end := validValue(b, i, 1)
		if end == 0 {
			return list, false
		}
		list = append(list, b[i:end:end])
		if i = skipSpace(b, end); i == len(b) {
			return list, false
		}
		switch b[i] {
		case ']':
			return list, skipSpace(b, i+1) == len(b)
		case ',':
			i = skipSpace(b, i+1)
		default:
			return list, false
		}
	}
}

// Member is a member of an object: its name, in quotes, and its value.
type Member struct{ Name, Value []byte }

// AppendMembers appends to list the members of the JSON object that b is, but no more than its capacity has room for, and reports
// whether it is one, as [Valid] takes it. They share memory with b.
func AppendMembers(list []Member, b []byte) (_ []Member, ok bool) {
	i := skipSpace(b, 0)
	if i == len(b) || b[i] != '{' {
		return list, false
	}
	if i = skipSpace(b, i+1); i < len(b) && b[i] == '}' {
		return list, skipSpace(b, i+1) == len(b)
	}
	for i < len(b) {
		nameEnd, value := validName(b, i)
		if nameEnd == 0 {
			return list, false
		}
		end := validValue(b, value, 1)
		if end == 0 {
			return list, false
		}
		if len(list) < cap(list) {
			list = append(list, Member{b[i:nameEnd], b[value:end]})
		}
		if i = skipSpace(b, end); i == len(b) {
			return list, false
		}
		switch b[i] {
		case '}':
			return list, skipSpace(b, i+1) == len(b)
		case ',':
			i = skipSpace(b, i+1)
		default:
			return list, false
		}
	}
	return list, false
}

// validValue returns the index behind the value that begins at b[i] inside so many others, and 0 if there is none.
func validValue(b []byte, i, depth int) int {
	if i >= len(b) || depth > maxDepth {
		return 0
	}
	switch c := b[i]; {
	case c == '"':
		return validString(b, i)
	case c == '{' || c == '[':
		return validNested(b, i, depth+1)
	case c == '-' || isDigit(c):
		return validNumber(b, i)
	case c == 't':
		return validWord(b, i, "true")
	case c == 'f':
		return validWord(b, i, "false")
	case c == 'n':
		return validWord(b, i, "null")
	}
	return 0
}

// validWord is validValue for a word.
func validWord(b []byte, i int, word string) int {
	if end := i + len(word); end <= len(b) && string(b[i:end]) == word {
		return end
	}
	return 0
}

// validNested is validValue for an object or array.
func validNested(b []byte, i, depth int) int {
	object, last := b[i] == '{', b[i]+2 // the brackets of a pair are two apart
	if i = skipSpace(b, i+1); i < len(b) && b[i] == last && depth <= maxDepth {
		return i + 1
	}
	for i > 0 && i < len(b) {
		if object {
			if _, i = validName(b, i); i == 0 {
				return 0
			}
		}
		if i = validValue(b, i, depth); i == 0 {
			return 0
		}
		if i = skipSpace(b, i); i == len(b) {
			return 0
		}
		switch b[i] {
		case last:
			return i + 1
		case ',':
			i = skipSpace(b, i+1)
		default:
			return 0
		}
	}
	return 0
}

// validName returns the index behind the name of the member that begins at b[i], and that of its value; both are 0 if there is none.
func validName(b []byte, i int) (end, value int) {
	if b[i] != '"' {
		return 0, 0
	}
	if end = validString(b, i); end == 0 {
		return 0, 0
	}
	if i = skipSpace(b, end); i == len(b) || b[i] != ':' {
		return 0, 0
	}
	return end, skipSpace(b, i+1)
}

// validString is validValue for a string.
func validString(b []byte, i int) int {
	for i++; i < len(b); {
		for i+8 <= len(b) {
			n := plain(binary.LittleEndian.Uint64(b[i:]))
			if i += n; n < 8 {
				break
			}
		}
		if i == len(b) {
			return 0
		}
		switch c := b[i]; {
		case c == '"':
			return i + 1
		case c < ' ':
			return 0
		case c == '\\':
			if i = validEscape(b, i+1); i == 0 {
				return 0
			}
		case c < utf8.RuneSelf:
			i++
		default:
			r, size := utf8.DecodeRune(b[i:])
			if r == utf8.RuneError && size == 1 {
				return 0
			}
			i += size
		}
	}
	return 0
}

// plain returns how many of eight bytes, from the lowest on, can stand in a string as they are.
func plain(eight uint64) int {
	const each, high = 0x0101010101010101, 0x8080808080808080
	// The high bit is set by what is below, or equal. What is borrowed from a byte above may mark that one too, but not before this one.
	control, quote, slash := eight-' '*each, eight^'"'*each-each, eight^'\\'*each-each
	return bits.TrailingZeros64((eight|control|quote|slash)&high) / 8
}

// validEscape returns the index behind an escape, whose backslash is in front of b[i], and 0 if it is none.
func validEscape(b []byte, i int) int {
	if i >= len(b) {
		return 0
	}
	switch b[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1
	case 'u':
		for n := range 4 {
			if i+1+n >= len(b) || !isHex(b[i+1+n]) {
				return 0
			}
		}
		return i + 5
	}
	return 0
}

// validNumber is validValue for a number.
func validNumber(b []byte, i int) int {
	if b[i] == '-' {
		i++
	}
	if i < len(b) && b[i] == '0' {
		i++
	} else if i = skipDigits(b, i); i == 0 {
		return 0
	}
	if i < len(b) && b[i] == '.' {
		if i = skipDigits(b, i+1); i == 0 {
			return 0
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		return skipDigits(b, i)
	}
	return i
}

// skipDigits returns the index behind the digits that begin at b[i], and 0 if there are none.
func skipDigits(b []byte, i int) int {
	from := i
	for i < len(b) && isDigit(b[i]) {
		i++
	}
	if i == from {
		return 0
	}
	return i
}

// skipSpace returns the index of the first byte of b from i on that is no white space.
func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isHex(c byte) bool { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }
