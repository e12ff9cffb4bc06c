package socketio

import "encoding/json"

// SplitArray cuts a JSON array into its elements without decoding them. data must be valid JSON, such as
// the Data of a parsed event or ack; no data stands for no elements. The elements share memory
// with data and have no white space around them. The error, for anything but an array, wraps [ErrParse].
func SplitArray(data []byte) ([]json.RawMessage, error) { return appendElements(nil, data) }

// appendElements is [SplitArray] into a list that may have room.
func appendElements(elements []json.RawMessage, data []byte) ([]json.RawMessage, error) {
	data = trimJSON(data)
	if len(data) == 0 {
		return nil, nil
	}
	if len(data) < 2 || data[0] != '[' || data[len(data)-1] != ']' {
		return nil, parseError("not an array")
	}
	rest := data[1:]
	if len(trimJSON(rest[:len(rest)-1])) == 0 {
		return nil, nil
	}
	for {
		element, end, err := cutElement(rest)
		if err != nil {
			return nil, err
		}
		elements = append(elements, element)
		last := rest[end] == ']'
		rest = rest[end+1:]
		if last {
			break
		}
	}
	if len(rest) > 0 {
		return nil, parseError("text behind the array")
	}
	return elements, nil
}

// cutElement finds the first element of b, which begins within an array. b[end] is the comma or bracket behind it.
func cutElement(b []byte) (element []byte, end int, err error) {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			if i = stringEnd(b, i); i < 0 {
				return nil, 0, parseError("unfinished string")
			}
			continue
		case '[', '{':
			depth++
			continue
		case ',':
			if depth > 0 {
				continue
			}
		case ']', '}':
			if depth > 0 {
				depth--
				continue
			}
		default:
			continue
		}
		element = trimJSON(b[:i])
		if len(element) == 0 {
			return nil, 0, parseError("missing element")
		}
		return element[:len(element):len(element)], i, nil
	}
	return nil, 0, parseError("unfinished array")
}

// stringEnd finds the quote that ends the string whose opening quote is b[i]; -1 if there is none.
func stringEnd(b []byte, i int) int {
	for i++; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

// trimJSON removes white space, as JSON knows it, from both ends.
func trimJSON(b []byte) []byte {
	for len(b) > 0 && isSpace(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isSpace(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\t' || c == '\n' || c == '\r'
}
