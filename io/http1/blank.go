package http1

import "net/http"

// maxBlank is how many line ends an old client may send behind the body of a POST (RFC 9112, section 2.2). net/http skips as many.
const maxBlank = 4

// Blank is how many line ends in front of the next request of a connection are to be skipped.
type Blank int

// Follow notes that r is the latest request.
func (b *Blank) Follow(r *http.Request) {
	*b = 0
	if r.Method == http.MethodPost {
		*b = maxBlank
	}
}

// Skip returns p, which follows a request, without the line ends in front.
func (b *Blank) Skip(p []byte) []byte {
	for len(p) > 0 && *b > 0 && (p[0] == '\r' || p[0] == '\n') {
		p = p[1:]
		*b--
	}
	return p
}
