package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/tinylib/msgp/msgp"
)

// frame is one message of an emitter:
//
//	[uid, {type, data: [event, arguments…], nsp}, {rooms, except, flags}]
//
// in msgpack. The oldest emitters leave the uid out, and most of them some of the rest.
type frame struct {
	namespace   string
	event       string
	args        []json.RawMessage // with a placeholder for each attachment
	attachments [][]byte          // parts of the frame
	rooms       names
	except      names
	volatile    bool

	old       bool   // there is no uid
	textFlags bool   // the flags are "", as they are in Python alone
	tail      []byte // the frame behind the uid
}

var (
	errNotFrame = errors.New("is not what an emitter sends: an array of two or three")
	errNotEvent = errors.New("is no event: its data is not an array that begins with a name")
	errKind     = errors.New("is no event, but another kind of packet")
	errTrailing = errors.New("has something behind its end")
	errReserved = errors.New("has an event name that clients refuse")
)

// parseFrame reads a frame. Event, arguments and attachments may have limit bytes. Nothing is allocated for what the frame
// only says that it has. The frame shares memory with body.
func parseFrame(body []byte, limit int64) (frame, error) {
	f := frame{namespace: "/"}
	parts, rest, err := msgp.ReadArrayHeaderBytes(body)
	if err != nil || parts < 2 || parts > 3 {
		return frame{}, errNotFrame
	}
	if f.old = parts == 2; !f.old {
		if rest, err = msgp.Skip(rest); err != nil {
			return frame{}, fmt.Errorf("has no id: %w", err)
		}
	}
	f.tail = rest
	if rest, err = f.packet(rest, limit); err != nil {
		return frame{}, err
	}
	if rest, err = f.options(rest); err != nil {
		return frame{}, err
	}
	if len(rest) > 0 {
		return frame{}, errTrailing
	}
	if f.event == "" {
		return frame{}, errNotEvent
	}
	return f, nil
}

// packet reads the second part of a frame.
func (f *frame) packet(b []byte, limit int64) ([]byte, error) {
	return eachMember(b, func(key string, b []byte) ([]byte, error) {
		switch key {
		case "type":
			kind, rest, err := msgp.ReadIntBytes(b)
			if err != nil {
				return b, fmt.Errorf("has a type that is no number: %w", err)
			}
			if kind != 2 && kind != 5 { // EVENT, BINARY_EVENT
				return b, errKind
			}
			return rest, nil
		case "nsp":
			if msgp.IsNil(b) {
				return b[1:], nil
			}
			name, rest, err := msgp.ReadStringBytes(b)
			if err != nil {
				return b, fmt.Errorf("has a namespace that is no text: %w", err)
			}
			if name != "" {
				f.namespace = name
			}
			return rest, nil
		case "data":
			return f.data(b, limit)
		}
		return msgp.Skip(b)
	})
}

// data reads the event and its arguments.
func (f *frame) data(b []byte, limit int64) ([]byte, error) {
	count, b, err := msgp.ReadArrayHeaderBytes(b)
	if err != nil || count == 0 {
		return b, errNotEvent
	}
	if f.event, b, err = readName(b); err != nil || f.event == "" {
		return b, errNotEvent
	}
	if reserved(f.event) {
		return b, errReserved
	}
	t := transcoder{limit: limit - int64(len(f.event))}
	var ends []int
	for range count - 1 {
		if b, err = t.value(b, 0); err != nil {
			return b, err
		}
		ends = append(ends, len(t.out))
	}
	if err := t.check(); err != nil {
		return b, err
	}
	from := 0
	f.args = make([]json.RawMessage, len(ends))
	for i, end := range ends {
		f.args[i], from = t.out[from:end:end], end
	}
	f.attachments = t.attachments
	return b, nil
}

// options reads the third part of a frame.
func (f *frame) options(b []byte) ([]byte, error) {
	return eachMember(b, func(key string, b []byte) (rest []byte, err error) {
		switch key {
		case "rooms":
			f.rooms, rest, err = readNames(b)
			return rest, err
		case "except":
			f.except, rest, err = readNames(b)
			return rest, err
		case "flags":
			f.textFlags = len(b) > 0 && b[0] == 0xa0
			return eachMember(b, func(flag string, b []byte) ([]byte, error) {
				if flag == "volatile" && msgp.NextType(b) == msgp.BoolType {
					f.volatile, b, err = msgp.ReadBoolBytes(b)
					return b, err
				}
				return msgp.Skip(b)
			})
		}
		return msgp.Skip(b)
	})
}

// eachMember has read read the value of each member of a map, and returns what is behind the map. An empty array, an empty
// text and nil are maps without members: so PHP and Python write them.
func eachMember(b []byte, read func(key string, b []byte) ([]byte, error)) ([]byte, error) {
	if len(b) > 0 && (b[0] == 0x90 || b[0] == 0xa0 || b[0] == 0xc0) {
		return b[1:], nil
	}
	count, b, err := msgp.ReadMapHeaderBytes(b)
	if err != nil {
		return b, fmt.Errorf("is not what an emitter sends: %w", err)
	}
	for range count {
		key, rest, err := msgp.ReadMapKeyZC(b)
		if err != nil {
			return b, fmt.Errorf("is not what an emitter sends: %w", err)
		}
		if b, err = read(string(key), rest); err != nil {
			return b, err
		}
	}
	return b, nil
}

// readNames reads a list of rooms: an array, a map (as PHP writes an array with gaps), one name, or nil and "", which are
// none.
func readNames(b []byte) (n names, rest []byte, err error) {
	var count uint32
	isMap := false
	switch msgp.NextType(b) {
	case msgp.NilType:
		return nil, b[1:], nil
	case msgp.ArrayType:
		count, b, err = msgp.ReadArrayHeaderBytes(b)
	case msgp.MapType:
		isMap = true
		count, b, err = msgp.ReadMapHeaderBytes(b)
	default:
		name, rest, err := readName(b)
		if err == nil && name != "" {
			n = names{name}
		}
		return n, rest, err
	}
	for range count {
		if err == nil && isMap {
			b, err = msgp.Skip(b)
		}
		if err != nil {
			return nil, b, fmt.Errorf("has broken rooms: %w", err)
		}
		var name string
		if name, b, err = readName(b); err != nil {
			return nil, b, err
		}
		if err = n.add(name); err != nil {
			return nil, b, err
		}
	}
	return n, b, err
}

// readName reads a room or an event: a text, or a whole number, which stands for its digits.
func readName(b []byte) (string, []byte, error) {
	switch msgp.NextType(b) {
	case msgp.StrType:
		return msgp.ReadStringBytes(b)
	case msgp.IntType:
		n, rest, err := msgp.ReadInt64Bytes(b)
		return strconv.FormatInt(n, 10), rest, err
	case msgp.UintType:
		n, rest, err := msgp.ReadUint64Bytes(b)
		return strconv.FormatUint(n, 10), rest, err
	}
	return "", b, errNotName
}

// reserved tells whether clients keep an event name for themselves (socket.io-parser).
func reserved(event string) bool {
	switch event {
	case "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener":
		return true
	}
	return false
}
