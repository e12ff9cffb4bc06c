package http1

import "net/http"

// maxShape is how many fields the header of an answer may have that is kept, and maxShapeText how many bytes.
const (
	maxShape     = 8
	maxShapeText = 1 << 10
)

// shape is how an answer begins, to the end of the handler's fields: most begin as the one before.
type shape struct {
	status int // 0: there is none
	fields [maxShape]struct{ key, value string }
	count  int // of fields
	text   []byte
}

// fits reports whether an answer begins so.
func (s *shape) fits(status int, h http.Header) bool {
	if status != s.status || len(h) != s.count {
		return false
	}
	for i := range s.fields[:s.count] {
		f := &s.fields[i]
		if values := h[f.key]; len(values) != 1 || values[0] != f.value {
			return false
		}
	}
	return true
}

// keep makes s that of an answer which begins with text, unless that depends on more than its status and its header, or has
// fields that are not there once.
func (s *shape) keep(status int, h http.Header, text []byte) {
	s.status = 0
	if len(h) > maxShape || len(text) > maxShapeText {
		return
	}
	s.count = 0
	for key, values := range h {
		if len(values) != 1 || key == "Content-Length" || key == "Connection" {
			return
		}
		s.fields[s.count] = struct{ key, value string }{key, values[0]}
		s.count++
	}
	s.status, s.text = status, append(s.text[:0], text...)
}
