package socketio

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"

	"crier/io/hub"
	"crier/io/rawjson"
)

// Arg is one argument of an event or an acknowledgement: JSON, bytes, or JSON
// with bytes inside. The zero value is null.
type Arg struct {
	json        json.RawMessage // nil for bytes, and for null
	attachments [][]byte        // named by the placeholders in json
	err         error
}

// JSON is the argument that [json.Marshal] makes of v, without the escaping
// meant for HTML. A [Bytes] anywhere in v becomes an attachment. An error
// surfaces where the argument is used.
func JSON(v any) Arg {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return Arg{err: fmt.Errorf("encoding an argument: %w", err)}
	}
	data := bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
	if bytes.Contains(data, []byte(`"base64"`)) {
		return extract(data)
	}
	return Arg{json: data}
}

// Raw is an argument that is JSON already. It is checked, for [ErrNotJSON], and not copied.
func Raw(data json.RawMessage) Arg {
	if !isJSON(data) {
		return Arg{err: ErrNotJSON}
	}
	return Arg{json: data}
}

// isJSON is [json.Valid], which also takes strings that are not UTF-8, and three times as long.
func isJSON(data []byte) bool { return rawjson.Valid(data) || json.Valid(data) }

// Binary is an argument of bytes, which arrives as an ArrayBuffer in a browser
// and a Buffer in Node. The bytes are not copied.
func Binary(data []byte) Arg { return Arg{attachments: [][]byte{data}} }

// Bytes are bytes inside a value for [JSON], where a plain []byte would be a
// base64 string: they arrive as an ArrayBuffer in a browser and a Buffer in Node.
// [Args.Decode] fills them, as it does a []byte.
type Bytes []byte

// MarshalJSON writes what [JSON] makes an attachment of:
// {"_placeholder":true,"base64":"…"}.
func (b Bytes) MarshalJSON() ([]byte, error) {
	out := make([]byte, 0, 40+base64.StdEncoding.EncodedLen(len(b)))
	out = append(out, `{"_placeholder":true,"base64":"`...)
	out = base64.StdEncoding.AppendEncode(out, b)
	return append(out, `"}`...), nil
}

// extract makes attachments of the Bytes in data. What only looks like them is
// left alone where there are none, and else refused.
func extract(data []byte) Arg {
	var a Arg
	forged := false
	data, err := replace(data, findPlaceholders(data), func(dst []byte, p placeholder) ([]byte, error) {
		var decoded []byte
		if len(p.bytes) == 0 || p.bytes[0] != '"' || json.Unmarshal(p.bytes, &decoded) != nil {
			forged = true
			return append(dst, data[p.start:p.end]...), nil
		}
		dst = appendPlaceholder(dst, len(a.attachments))
		a.attachments = append(a.attachments, decoded)
		return dst, nil
	})
	if forged && len(a.attachments) > 0 {
		err = ErrPlaceholder
	}
	a.json, a.err = data, err
	return a
}

// NewMessage returns the event with its arguments as the hub delivers it. Its
// errors are [ErrReserved] and those of the arguments: [ErrNotJSON],
// [ErrPlaceholder], and what [json.Marshal] says.
func NewMessage(event string, args ...Arg) (*hub.Message, error) {
	if reservedName(event) {
		return nil, ErrReserved
	}
	list, attachments, err := join(nil, args)
	if err != nil {
		return nil, err
	}
	return &hub.Message{Event: event, Args: list, Attachments: attachments}, nil
}

// join separates the JSON of arguments from their attachments, leaving
// placeholders in the former (v5-current.md, "Packet encoding"). The list is in room if that is large enough.
func join(room []json.RawMessage, args []Arg) (list []json.RawMessage, attachments [][]byte, err error) {
	list = slices.Grow(room[:0], len(args))[:len(args)]
	var nums map[*[]byte]int // of attachments that were sent on: one is sent once, however often it is named
	for i, a := range args {
		switch {
		case a.err != nil:
			return nil, nil, a.err
		case len(a.attachments) == 0 && a.json == nil:
			list[i] = json.RawMessage("null")
		case len(a.attachments) == 0:
			list[i] = a.json
		case a.json == nil:
			list[i] = appendPlaceholder(nil, len(attachments))
			attachments = append(attachments, a.attachments[0])
		default:
			if nums == nil {
				nums = make(map[*[]byte]int)
			}
			if list[i], attachments, err = a.renumber(attachments, nums); err != nil {
				return nil, nil, err
			}
		}
	}
	if len(attachments) == 0 {
		return list, nil, nil
	}
	for _, a := range args {
		if len(a.attachments) == 0 && len(findPlaceholders(a.json)) > 0 {
			return nil, nil, ErrPlaceholder
		}
	}
	return list, attachments, nil
}

// renumber returns a's JSON with the numbers that its attachments have among all
// those of the packet, to which it adds those that are missing.
func (a Arg) renumber(all [][]byte, nums map[*[]byte]int) ([]byte, [][]byte, error) {
	data, err := replace(a.json, findPlaceholders(a.json), func(dst []byte, p placeholder) ([]byte, error) {
		if p.num < 0 || p.num >= len(a.attachments) {
			return nil, ErrPlaceholder
		}
		attachment := &a.attachments[p.num]
		num, known := nums[attachment]
		if !known {
			num = len(all)
			nums[attachment] = num
			all = append(all, *attachment)
		}
		return appendPlaceholder(dst, num), nil
	})
	return data, all, err
}
