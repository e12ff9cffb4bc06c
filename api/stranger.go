package api

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	// strangerFree is how many bytes of its body each stranger may have read.
	strangerFree = 64 << 10
	// strangerMost is how many more all of them together may have, at one time.
	strangerMost = 64 << 20
	// strangerTime is how long a stranger may take to send its body.
	strangerTime = time.Minute
)

// errCrowd says that the bodies of strangers have as much memory as they may have.
var errCrowd = errors.New("too many bodies of callers who have shown no key")

// strangerBody is the body of a caller who has shown no key yet, which may be in that very body. Anybody can send one, so
// that its memory is counted; who shows a key in the header is not in this crowd.
type strangerBody struct {
	io.ReadCloser
	free  int64         // bytes that still need no counting
	held  int64         // bytes that are counted in crowd
	crowd *atomic.Int64 // of all
}

// strange makes the body of r a stranger's. The caller must call leave once nothing of the body is kept.
func (s *Server) strange(w http.ResponseWriter, r *http.Request) (leave func()) {
	ctl := http.NewResponseController(w)
	s.debug(r, "bounding the time to read", ctl.SetReadDeadline(time.Now().Add(strangerTime)))
	b := &strangerBody{ReadCloser: r.Body, free: strangerFree, crowd: &s.crowd}
	r.Body = b
	return func() {
		s.debug(r, "bounding the time to read", ctl.SetReadDeadline(time.Time{}))
		s.crowd.Add(-b.held)
	}
}

// unhurried lets the body of who may call take as long as it likes, whatever bounds those of all others.
func (s *Server) unhurried(w http.ResponseWriter, r *http.Request) {
	if d, ok := w.(interface{ SetReadDeadline(time.Time) error }); ok && r.ContentLength != 0 {
		s.debug(r, "letting the body take its time", d.SetReadDeadline(time.Time{}))
	}
}

// Read counts what it reads.
func (b *strangerBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.free -= int64(n); b.free < 0 {
		more := -b.free
		b.free, b.held = 0, b.held+more
		if b.crowd.Add(more) > strangerMost {
			return n, errCrowd
		}
	}
	return n, err
}

// crowded is the answer to a stranger whose body is not read for want of memory.
func crowded() *problem {
	return &problem{
		kind: tooMany, retry: time.Second,
		text: "Too many large bodies of callers who have shown no key yet are being read: send the key as " +
			"\"Authorization: Bearer KEY\" or \"X-Api-Key: KEY\", or come back.",
	}
}
