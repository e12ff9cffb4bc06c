package httpconn

import (
	"net/http"

	"crier/io/http1"
)

// fields are a header that is kept: requests that wait mostly have the same.
type fields struct{ list []field }

type field struct{ key, value string }

// fieldsOf returns a copy of h, or the one that was made last if that is the same.
func (s *Server) fieldsOf(h http.Header) *fields {
	if last := s.latest.Load(); last != nil && last.are(h) {
		return last
	}
	f := new(fields)
	for key, values := range h {
		for _, value := range values {
			f.list = append(f.list, field{key, value})
		}
	}
	s.latest.Store(f)
	return f
}

// are reports whether h has the same fields, each once.
func (f *fields) are(h http.Header) bool {
	if len(h) != len(f.list) {
		return false
	}
	for _, one := range f.list {
		if values := h[one.key]; len(values) != 1 || values[0] != one.value {
			return false
		}
	}
	return true
}

// fill puts the fields into h, which is empty. values is memory for them.
func (f *fields) fill(h http.Header, values *[http1.MaxLines]string) {
	for i, one := range f.list {
		if before := h[one.key]; before != nil || i == len(values) {
			h[one.key] = append(before, one.value)
			continue
		}
		values[i] = one.value
		h[one.key] = values[i : i+1 : i+1]
	}
}
