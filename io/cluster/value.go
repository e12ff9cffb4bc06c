package cluster

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/tinylib/msgp/msgp"
)

const (
	// maxDepth is how deep arrays and maps may be nested.
	maxDepth = 512
	// mostAttachments is how many binary arguments one message may have, as in the push API.
	mostAttachments = 1000
)

var (
	errTooLarge        = errors.New("is larger than socketio.max_payload")
	errTooDeep         = errors.New("is nested more than 512 deep")
	errManyAttachments = errors.New("has more than 1000 binary arguments")
	errBadKey          = errors.New("has a map with a key that is neither text nor a whole number")
	errPlaceholder     = errors.New("has binary arguments and a member called _placeholder, which receivers would take for one")
)

// transcoder makes JSON of msgpack, as the Node server's msgpack (notepack.io) and JSON.stringify would do together:
//
//   - a whole number keeps all its digits, whatever receivers make of it; NaN and the infinities become null
//   - bytes become an attachment, and so does text that is not UTF-8: old emitters, and PHP, have no other way to say it
//   - a timestamp (-1, and 0 with 8 bytes) becomes text as Date's toJSON makes it
//   - undefined (extension 0 with 1 byte) becomes null, and in a map its member is left out
//   - extension 0 of another length (ArrayBuffer) becomes an attachment, any other one [type, attachment]
//   - a key that is a whole number becomes its digits; one that is nil is left out with its value: PHP puts the name of an
//     object's class there; any other key but text is an error
type transcoder struct {
	limit       int64 // bytes of out and attachments
	out         []byte
	attachments [][]byte // parts of what was read
	attached    int64    // bytes of them
	placeholder bool     // a map has a member called _placeholder
}

// check tells what is wrong with the whole.
func (t *transcoder) check() error {
	if t.placeholder && len(t.attachments) > 0 {
		return errPlaceholder
	}
	return nil
}

// room tells whether n bytes more are allowed.
func (t *transcoder) room(n int) error {
	if int64(len(t.out))+t.attached+int64(n) > t.limit {
		return errTooLarge
	}
	return nil
}

// value appends one value and returns what is behind it.
func (t *transcoder) value(b []byte, depth int) ([]byte, error) {
	if len(b) == 0 {
		return b, msgp.ErrShortBytes
	}
	if isExtension(b[0]) {
		return t.extension(b)
	}
	var err error
	switch msgp.NextType(b) {
	case msgp.MapType:
		return t.object(b, depth)
	case msgp.ArrayType:
		return t.array(b, depth)
	case msgp.StrType:
		var text []byte
		if text, b, err = msgp.ReadStringZC(b); err != nil {
			return b, err
		}
		if !utf8.Valid(text) {
			return b, t.attach(text)
		}
		return b, t.text(text)
	case msgp.BinType:
		var data []byte
		if data, b, err = msgp.ReadBytesZC(b); err != nil {
			return b, err
		}
		return b, t.attach(data)
	}
	if b, err = t.scalar(b); err != nil {
		return b, err
	}
	return b, t.room(0)
}

// scalar appends a number, true, false or nil.
func (t *transcoder) scalar(b []byte) (rest []byte, err error) {
	switch msgp.NextType(b) {
	case msgp.NilType:
		t.out = append(t.out, "null"...)
		return b[1:], nil
	case msgp.BoolType:
		var v bool
		v, rest, err = msgp.ReadBoolBytes(b)
		t.out = strconv.AppendBool(t.out, v)
	case msgp.IntType:
		var n int64
		n, rest, err = msgp.ReadInt64Bytes(b)
		t.out = strconv.AppendInt(t.out, n, 10)
	case msgp.UintType:
		var n uint64
		n, rest, err = msgp.ReadUint64Bytes(b)
		t.out = strconv.AppendUint(t.out, n, 10)
	case msgp.Float32Type:
		var f float32
		f, rest, err = msgp.ReadFloat32Bytes(b)
		t.float(float64(f))
	case msgp.Float64Type:
		var f float64
		f, rest, err = msgp.ReadFloat64Bytes(b)
		t.float(f)
	default:
		return b, fmt.Errorf("is no msgpack: %w", msgp.InvalidPrefixError(b[0]))
	}
	return rest, err
}

// float appends a number as JavaScript writes it.
func (t *transcoder) float(f float64) {
	switch size := math.Abs(f); {
	case math.IsNaN(f) || math.IsInf(f, 0):
		t.out = append(t.out, "null"...)
	case size != 0 && (size < 1e-6 || size >= 1e21):
		t.out = strconv.AppendFloat(t.out, f, 'e', -1, 64)
	default:
		t.out = strconv.AppendFloat(t.out, f, 'f', -1, 64)
	}
}

// text appends a JSON string (RFC 8259 section 7) of valid UTF-8.
func (t *transcoder) text(s []byte) error {
	if err := t.room(len(s) + 2); err != nil {
		return err
	}
	const hex = "0123456789abcdef"
	t.out = append(t.out, '"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			t.out = append(t.out, '\\', c)
		case c < ' ':
			t.out = append(t.out, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			t.out = append(t.out, c)
		}
	}
	t.out = append(t.out, '"')
	return t.room(0)
}

// attach appends the placeholder of an attachment.
func (t *transcoder) attach(data []byte) error {
	if len(t.attachments) == mostAttachments {
		return errManyAttachments
	}
	t.out = append(t.out, `{"_placeholder":true,"num":`...)
	t.out = strconv.AppendInt(t.out, int64(len(t.attachments)), 10)
	t.out = append(t.out, '}')
	t.attachments = append(t.attachments, data[:len(data):len(data)])
	t.attached += int64(len(data))
	return t.room(0)
}

func (t *transcoder) array(b []byte, depth int) ([]byte, error) {
	if depth == maxDepth {
		return b, errTooDeep
	}
	count, b, err := msgp.ReadArrayHeaderBytes(b)
	if err != nil {
		return b, err
	}
	t.out = append(t.out, '[')
	for i := range count {
		if i > 0 {
			t.out = append(t.out, ',')
		}
		if b, err = t.value(b, depth+1); err != nil {
			return b, err
		}
	}
	t.out = append(t.out, ']')
	return b, t.room(0)
}

func (t *transcoder) object(b []byte, depth int) ([]byte, error) {
	if depth == maxDepth {
		return b, errTooDeep
	}
	count, b, err := msgp.ReadMapHeaderBytes(b)
	if err != nil {
		return b, err
	}
	t.out = append(t.out, '{')
	empty := len(t.out)
	for range count {
		before := len(t.out)
		if before > empty {
			t.out = append(t.out, ',')
		}
		nameless := msgp.IsNil(b)
		if nameless {
			b = b[1:]
		} else if b, err = t.key(b); err != nil {
			return b, err
		}
		if nameless || isUndefined(b) {
			t.out = t.out[:before]
			if b, err = msgp.Skip(b); err != nil {
				return b, err
			}
			continue
		}
		if b, err = t.value(b, depth+1); err != nil {
			return b, err
		}
	}
	t.out = append(t.out, '}')
	return b, t.room(0)
}

// key appends the name of a member, and the colon.
func (t *transcoder) key(b []byte) (rest []byte, err error) {
	switch msgp.NextType(b) {
	case msgp.StrType, msgp.BinType:
		var name []byte
		if name, rest, err = msgp.ReadMapKeyZC(b); err != nil {
			return b, err
		}
		if string(name) == "_placeholder" {
			t.placeholder = true
		}
		err = t.text(bytes.ToValidUTF8(name, []byte("\ufffd")))
	case msgp.IntType, msgp.UintType:
		t.out = append(t.out, '"')
		rest, err = t.scalar(b)
		t.out = append(t.out, '"')
	case msgp.InvalidType:
		err = msgp.ErrShortBytes
	default:
		err = errBadKey
	}
	if err != nil {
		return b, err
	}
	t.out = append(t.out, ':')
	return rest, nil
}

// isExtension tells whether a value that begins with lead is an extension.
func isExtension(lead byte) bool { return lead >= 0xc7 && lead <= 0xc9 || lead >= 0xd4 && lead <= 0xd8 }

// isUndefined tells whether JavaScript's undefined comes next: extension 0 with 1 byte.
func isUndefined(b []byte) bool { return len(b) >= 2 && b[0] == 0xd4 && b[1] == 0 }

// extension appends an extension.
func (t *transcoder) extension(b []byte) ([]byte, error) {
	rest, err := msgp.Skip(b)
	if err != nil {
		return b, err
	}
	head := 2 // bytes, the type is the last of them
	if b[0] <= 0xc9 {
		head = 3 + []int{0, 1, 3}[b[0]-0xc7]
	}
	kind, data := int8(b[head-1]), b[head:len(b)-len(rest)]
	at, isTime := timestamp(kind, data)
	switch {
	case isTime:
		return rest, t.date(at)
	case isUndefined(b):
		t.out = append(t.out, "null"...)
		return rest, t.room(0)
	case kind == 0:
		return rest, t.attach(data)
	}
	t.out = append(t.out, '[')
	t.out = strconv.AppendInt(t.out, int64(kind), 10)
	t.out = append(t.out, ',')
	err = t.attach(data)
	t.out = append(t.out, ']')
	return rest, err
}

// timestamp returns the time that an extension is: type -1 of the msgpack specification, or type 0 with milliseconds.
func timestamp(kind int8, data []byte) (at time.Time, ok bool) {
	switch {
	case kind == 0 && len(data) == 8:
		return time.UnixMilli(int64(binary.BigEndian.Uint64(data))), true
	case kind == -1 && len(data) == 4:
		return time.Unix(int64(binary.BigEndian.Uint32(data)), 0), true
	case kind == -1 && len(data) == 8:
		both := binary.BigEndian.Uint64(data)
		return time.Unix(int64(both&(1<<34-1)), int64(both>>34)), true
	case kind == -1 && len(data) == 12:
		return time.Unix(int64(binary.BigEndian.Uint64(data[4:])), int64(binary.BigEndian.Uint32(data))), true
	}
	return time.Time{}, false
}

// date appends a time as Date's toJSON does; null if it cannot.
func (t *transcoder) date(at time.Time) error {
	if at = at.UTC(); at.Year() < 0 || at.Year() > 9999 {
		t.out = append(t.out, "null"...)
	} else {
		t.out = at.AppendFormat(t.out, `"2006-01-02T15:04:05.000Z"`)
	}
	return t.room(0)
}
