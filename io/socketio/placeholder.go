package socketio

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// A placeholder stands in JSON for an attachment: an object whose _placeholder
// is true (v5-current.md, "Packet encoding").
type placeholder struct {
	start, end int    // the object is data[start:end]
	num        int    // of the attachment; -1 if the object does not say it properly
	bytes      []byte // JSON of the member that [Bytes] writes, nil for others
}

// findPlaceholders returns the placeholders anywhere in valid JSON, in order, as
// the official decoder finds them: what is inside of one is not looked at.
func findPlaceholders(data []byte) []placeholder {
	if !bytes.Contains(data, []byte("_placeholder")) && !bytes.Contains(data, []byte(`\u`)) {
		return nil
	}
	s := scanner{data: data}
	s.value(skipSpace(data, 0))
	return s.found
}

// checkPlaceholders says whether every placeholder in data names one of so many
// attachments. The official decoder calls anything else illegal attachments.
func checkPlaceholders(data []byte, attachments int) error {
	for _, p := range findPlaceholders(data) {
		if p.num < 0 || p.num >= attachments {
			return parseError("placeholder without an attachment")
		}
	}
	return nil
}

// whole returns the number of the attachment that the JSON stands for.
func whole(data []byte) (num int, ok bool) {
	if len(data) == 0 || data[0] != '{' {
		return 0, false
	}
	found := findPlaceholders(data)
	if len(found) != 1 || found[0].start != 0 || found[0].end != len(data) || found[0].num < 0 {
		return 0, false
	}
	return found[0].num, true
}

// replace returns data with text in the place of each placeholder.
func replace(data []byte, found []placeholder, text func(dst []byte, p placeholder) ([]byte, error)) ([]byte, error) {
	out := make([]byte, 0, len(data))
	done := 0
	for _, p := range found {
		out = append(out, data[done:p.start]...)
		var err error
		if out, err = text(out, p); err != nil {
			return nil, err
		}
		done = p.end
	}
	return append(out, data[done:]...), nil
}

func appendPlaceholder(dst []byte, num int) []byte {
	return fmt.Appendf(dst, `{"_placeholder":true,"num":%d}`, num)
}

// inline returns data with the attachments themselves in the place of their
// placeholders: in base64, between before and after.
func inline(data []byte, attachments [][]byte, before, after string) ([]byte, error) {
	found := findPlaceholders(data)
	if len(found) == 0 {
		return data, nil
	}
	used := make([]bool, len(attachments))
	return replace(data, found, func(dst []byte, p placeholder) ([]byte, error) {
		if p.num < 0 || p.num >= len(attachments) {
			return nil, ErrPlaceholder
		}
		if used[p.num] {
			return nil, ErrRepeated
		}
		used[p.num] = true
		dst = append(dst, before...)
		dst = base64.StdEncoding.AppendEncode(dst, attachments[p.num])
		return append(dst, after...), nil
	})
}

// scanner walks through valid JSON. Its depth is that of the JSON, which
// [json.Valid] bounds.
type scanner struct {
	data  []byte
	found []placeholder
}

// value passes the value that begins at i and returns where it ends.
func (s *scanner) value(i int) int {
	switch s.data[i] {
	case '{':
		return s.object(i)
	case '[':
		i = skipSpace(s.data, i+1)
		for s.data[i] != ']' {
			if s.data[i] == ',' {
				i = skipSpace(s.data, i+1)
			}
			i = skipSpace(s.data, s.value(i))
		}
		return i + 1
	case '"':
		return stringEnd(s.data, i) + 1
	default: // a number or a word
		for i < len(s.data) && !isSpace(s.data[i]) && bytes.IndexByte([]byte(",]}"), s.data[i]) < 0 {
			i++
		}
		return i
	}
}

// object passes an object. The last one of several members of a name counts, as in JavaScript.
func (s *scanner) object(start int) int {
	before := len(s.found)
	var is bool
	var num, encoded []byte
	i := skipSpace(s.data, start+1)
	for s.data[i] != '}' {
		if s.data[i] == ',' {
			i = skipSpace(s.data, i+1)
		}
		nameEnd := stringEnd(s.data, i) + 1
		name := unquote(s.data[i:nameEnd])
		i = skipSpace(s.data, skipSpace(s.data, nameEnd)+1) // behind the colon
		end := s.value(i)
		switch value := s.data[i:end]; string(name) {
		case "_placeholder":
			is = string(value) == "true"
		case "num":
			num = value
		case "base64":
			encoded = value
		}
		i = skipSpace(s.data, end)
	}
	if is {
		s.found = append(s.found[:before], placeholder{start, i + 1, wholeNumber(num), encoded})
	}
	return i + 1
}

// unquote returns what a JSON string says.
func unquote(quoted []byte) []byte {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	var s string
	if err := json.Unmarshal(quoted, &s); err != nil {
		return nil // not with valid JSON
	}
	return []byte(s)
}

// wholeNumber is the number that the JSON is, -1 if it is none or not a whole one from 0 on.
func wholeNumber(data []byte) int {
	if len(data) == 0 || data[0] != '-' && (data[0] < '0' || data[0] > '9') {
		return -1
	}
	if n, digits, ok := cutNumber(data, math.MaxInt32); ok && digits == len(data) {
		return int(n)
	}
	f, err := strconv.ParseFloat(string(data), 64)
	if err != nil || f < 0 || f > math.MaxInt32 || f != math.Trunc(f) {
		return -1
	}
	return int(f)
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && isSpace(b[i]) {
		i++
	}
	return i
}
