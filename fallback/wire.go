package fallback

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"sync/atomic"

	"crier/io/hub"
	"crier/io/wsconn"
)

// wire is something that is sent, in the forms that it has on the wire. Each is
// made when it is first needed and shared by all clients.
type wire struct {
	id, event string
	args      []json.RawMessage // without attachments
	ack       uint64            // the answer's number; 0: none is asked for
	err       error             // why the message cannot be sent
	offset    string            // in the hub, for a client that can come back

	forms [formCount]atomic.Pointer[[]byte]
}

// A form is one of the ways in which something is written.
type form int

const (
	formText      form = iota // JSON: {"id","event","args","ack"}
	formFrame                 // a WebSocket frame of that
	formEvent                 // a block of an event stream
	formEventRest             // that without its id
	formSockFrame             // SockJS: a WebSocket frame
	formSockLine              // SockJS: a line of a stream, or of the answer to a poll
	formSockEvent             // SockJS: a block of an event stream
	formCount
)

// The keys under which a message keeps its wires.
type (
	messageKey  struct{}
	questionKey struct{ *Server }
)

// wireOf returns what clients are sent of m.
func (s *Server) wireOf(m *hub.Message) *wire {
	return ours(m.Encoded(messageKey{}, func(m *hub.Message) any { return s.newWire(m, 0) }))
}

// questionOf returns what clients are sent of m who are to answer it, all of
// them with the same number.
func (s *Server) questionOf(m *hub.Message) *wire {
	return ours(m.Encoded(questionKey{s}, func(m *hub.Message) any { return s.newWire(m, s.questions.Add(1)) }))
}

func ours(v any) *wire {
	w, ok := v.(*wire)
	if !ok { // nobody else has the keys
		panic("fallback: foreign value under a key of ours")
	}
	return w
}

func (s *Server) newWire(m *hub.Message, ack uint64) *wire {
	w := &wire{id: m.ID, event: m.Event, args: m.Args, ack: ack}
	if len(m.Attachments) > 0 {
		w.args, w.err = s.o.Plain(m)
	}
	return w
}

// textWire is a text that is no message.
func textWire(text []byte) *wire {
	w := new(wire)
	w.forms[formText].Store(&text)
	return w
}

// ackWire acknowledges an event: {"ack","args"}. id is what the client called it.
func ackWire(id json.RawMessage, args []json.RawMessage) *wire {
	text := append([]byte(`{"ack":`), id...)
	text = append(text, `,"args":`...)
	return textWire(append(appendArray(text, args), '}'))
}

// form returns one of the forms, which must not be modified.
func (w *wire) form(f form) []byte {
	if b := w.forms[f].Load(); b != nil {
		return *b
	}
	// Two callers may both encode; the results are equal and one is kept.
	b := w.encode(f)
	w.forms[f].Store(&b)
	return b
}

// joined are several in one form.
func joined(list []*wire, f form) []byte {
	var all []byte
	for _, w := range list {
		if w.err == nil {
			all = append(all, w.form(f)...)
		}
	}
	return all
}

func (w *wire) encode(f form) []byte {
	switch f {
	case formFrame:
		return wsconn.AppendText(nil, w.form(formText))
	case formEvent:
		return append(appendEventID(nil, w.id), w.form(formEventRest)...)
	case formEventRest:
		return w.eventRest()
	case formSockFrame:
		return wsconn.AppendText(nil, w.sockArray())
	case formSockLine:
		return append(w.sockArray(), '\n')
	case formSockEvent:
		block := append([]byte("data: "), w.sockArray()...)
		return append(block, "\r\n\r\n"...)
	default:
		return w.text()
	}
}

func (w *wire) text() []byte {
	size := 64 + len(w.id) + len(w.event)
	for _, a := range w.args {
		size += len(a) + 1
	}
	text := append(make([]byte, 0, size), '{')
	if w.id != "" {
		text = append(text, `"id":`...)
		text = append(appendJSONString(text, w.id), ',')
	}
	text = append(text, `"event":`...)
	text = appendJSONString(text, w.event)
	text = append(text, `,"args":`...)
	text = appendArray(text, w.args)
	if w.ack != 0 {
		text = append(text, `,"ack":`...)
		text = strconv.AppendUint(text, w.ack, 10)
	}
	return append(text, '}')
}

// appendEventID appends the id of a message in an event stream (HTML Standard, section 9.2.5), if it has one.
func appendEventID(dst []byte, id string) []byte {
	if id == "" {
		return dst
	}
	return appendField(dst, "id", oneLine(id))
}

// eventRest is the rest of it: the data is the array of the arguments or, for new_msg with a string, that.
func (w *wire) eventRest() []byte {
	b := appendField(nil, "event", oneLine(w.event))
	b = appendData(b, w.eventData())
	return append(b, '\n')
}

func (w *wire) eventData() []byte {
	if w.event == "new_msg" && len(w.args) == 1 {
		var content *string
		if err := json.Unmarshal(w.args[0], &content); err == nil && content != nil {
			return []byte(*content)
		}
	}
	return appendArray(nil, w.args)
}

func appendField(dst []byte, name, value string) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	return append(append(dst, value...), '\n')
}

// appendData appends a data field for each line. The three line breaks there are
// become one and the same, which the page gets as \n.
func appendData(dst, data []byte) []byte {
	for {
		end := bytes.IndexAny(data, "\r\n")
		if end < 0 {
			return appendField(dst, "data", string(data))
		}
		dst = appendField(dst, "data", string(data[:end]))
		if data[end] == '\r' && end+1 < len(data) && data[end+1] == '\n' {
			end++
		}
		data = data[end+1:]
	}
}

// oneLine is a value of a field that must have no line break, nor NUL.
func oneLine(s string) string {
	if !strings.ContainsAny(s, "\r\n\x00") {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r == '\r' || r == '\n' || r == 0 {
			return ' '
		}
		return r
	}, s)
}

// sockString is the text as a JSON string in ASCII: browsers change some of the other characters.
func (w *wire) sockString() []byte {
	text := w.form(formText)
	return appendString(make([]byte, 0, len(text)+len(text)/4+8), text)
}

// sockArray is a frame of SockJS: a["text"].
func (w *wire) sockArray() []byte {
	return append(append([]byte("a["), w.sockString()...), ']')
}

func appendArray(dst []byte, list []json.RawMessage) []byte {
	dst = append(dst, '[')
	for i, a := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, a...)
	}
	return append(dst, ']')
}

func appendJSONString(dst []byte, s string) []byte {
	quoted, err := json.Marshal(s)
	if err != nil { // not with a string
		quoted = []byte(`""`)
	}
	return append(dst, quoted...)
}
