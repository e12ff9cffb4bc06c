package api

import (
	"bytes"
	"encoding/json"
	"iter"
)

// The functions of this file walk JSON that [rawjson.Valid] has found valid; they decode nothing and share its memory.

// skipSpace returns the index of the first byte of b from i on that is no white space.
func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// trimSpace returns b without white space around it.
func trimSpace(b []byte) []byte {
	b = b[skipSpace(b, 0):]
	for n := len(b); n > 0; n-- {
		if c := b[n-1]; c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			return b[:n]
		}
	}
	return nil
}

// skipString returns the index behind the string that begins at b[i].
func skipString(b []byte, i int) int {
	from := i + 1
	for i = from; ; i++ {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return len(b)
		}
		i += n
		slash := i
		for slash > from && b[slash-1] == '\\' {
			slash--
		}
		if (i-slash)%2 == 0 { // or it is escaped
			return i + 1
		}
	}
}

// skipValue returns the index behind the value that begins at b[i].
func skipValue(b []byte, i int) int {
	switch b[i] {
	case '"':
		return skipString(b, i)
	case '{', '[':
		return skipNested(b, i)
	}
	for i < len(b) {
		switch b[i] {
		case ',', ']', '}', ' ', '\n', '\r', '\t':
			return i
		}
		i++
	}
	return i
}

// skipNested returns the index behind the object or array that begins at b[i].
func skipNested(b []byte, i int) int {
	for depth := 0; i < len(b); {
		switch b[i] {
		case '"':
			i = skipString(b, i)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
			if depth == 0 {
				return i + 1
			}
		}
		i++
	}
	return i
}

// members returns the members of an object: each name with its quotes, and the value.
func members(object []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for i := skipSpace(object, 1); i < len(object) && object[i] == '"'; {
			end := skipString(object, i)
			name := object[i:end]
			i = skipSpace(object, skipSpace(object, end)+1)
			end = skipValue(object, i)
			if !yield(name, object[i:end]) {
				return
			}
			i = skipSpace(object, skipSpace(object, end)+1)
		}
	}
}

// elements returns the elements of an array.
func elements(array []byte) iter.Seq[[]byte] {
	return func(yield func(value []byte) bool) {
		for i := skipSpace(array, 1); i < len(array) && array[i] != ']'; {
			end := skipValue(array, i)
			if !yield(array[i:end:end]) {
				return
			}
			i = skipSpace(array, skipSpace(array, end)+1)
		}
	}
}

// unquoted returns the text of a string with its quotes. It shares memory with token unless that has escapes.
func unquoted(token []byte) []byte {
	inside := token[1 : len(token)-1]
	if bytes.IndexByte(inside, '\\') < 0 {
		return inside
	}
	var s string
	if err := json.Unmarshal(token, &s); err != nil {
		return inside // token is valid, so this cannot be
	}
	return []byte(s)
}
