package http1

import (
	"io"
	"net/http"
)

// Body is the body of a request, which is in the connection's buffer.
type Body struct {
	rest   []byte
	closed bool
}

// Read reads what is left.
func (b *Body) Read(p []byte) (int, error) {
	switch {
	case b.closed:
		return 0, http.ErrBodyReadAfterClose
	case len(b.rest) == 0:
		return 0, io.EOF
	}
	n := copy(p, b.rest)
	if b.rest = b.rest[n:]; len(b.rest) == 0 {
		return n, io.EOF // saves the second call
	}
	return n, nil
}

// Close ends the body.
func (b *Body) Close() error {
	b.closed = true
	return nil
}
