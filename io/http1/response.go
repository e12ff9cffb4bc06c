package http1

import (
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
)

// maxKept is how many bytes an answer's memory may have to be kept for the next one.
const maxKept = 64 << 10

// Response is an http.ResponseWriter that gathers an answer as net/http would send it, but for one thing: it has a
// Content-Length whatever its size, where net/http sends more than 2 KB in chunks.
type Response struct {
	header   http.Header
	status   int    // 0 until WriteHeader
	out      []byte // the status line and the handler's fields, then all of it
	body     []byte
	keys     []string     // of header, sorted
	close    bool         // the connection ends with this answer
	stopping *atomic.Bool // so does every connection
	said     bool         // out has Connection: close already
	last     shape        // of the answer before
	lengthAt int          // where in out the Content-Length belongs; -1: behind the handler's fields

	date   []byte // an HTTP date
	dateOf int64  // the second that it is of
}

// NewResponse returns a Response whose connections all end with their next answers once stopping is true.
func NewResponse(stopping *atomic.Bool) *Response {
	return &Response{header: make(http.Header), stopping: stopping}
}

// Reset makes w ready for the answer to a request after which the connection closes, or does not.
func (w *Response) Reset(closes bool) {
	clear(w.header)
	w.status, w.close, w.said, w.lengthAt = 0, closes, false, -1
	if cap(w.out)+cap(w.body) > maxKept {
		w.out, w.body = nil, nil
	}
	w.out, w.body = w.out[:0], w.body[:0]
}

// Header returns the header of the answer. Changes after WriteHeader have no effect.
func (w *Response) Header() http.Header { return w.header }

// WriteHeader begins the answer. Only the first final status counts, and a Content-Length is replaced by the right one.
func (w *Response) WriteHeader(status int) {
	if status < 100 || status > 999 {
		panic(fmt.Sprintf("invalid WriteHeader code %v", status)) // as in net/http
	}
	if w.status != 0 || status < http.StatusOK {
		return
	}
	w.status = status
	w.close = w.close || w.stopping.Load()
	if w.last.fits(status, w.header) {
		w.out = append(w.out, w.last.text...)
		return
	}
	w.begin(status)
	w.last.keep(status, w.header, w.out)
}

// begin appends the status line and the handler's fields.
func (w *Response) begin(status int) {
	w.out = append(w.out, "HTTP/1.1 "...)
	w.out = strconv.AppendInt(w.out, int64(status), 10)
	w.out = append(w.out, ' ')
	if text := http.StatusText(status); text != "" {
		w.out = append(w.out, text...)
	} else {
		w.out = strconv.AppendInt(append(w.out, "status code "...), int64(status), 10)
	}
	w.out = append(w.out, "\r\n"...)
	w.keys = w.keys[:0]
	for key := range w.header {
		w.keys = append(w.keys, key)
	}
	slices.Sort(w.keys)
	for _, key := range w.keys {
		w.appendFields(key)
	}
}

// appendFields appends the handler's fields of one name.
func (w *Response) appendFields(key string) {
	values := w.header[key]
	switch {
	case key == "Content-Length":
		w.lengthAt = len(w.out) // net/http sends it where the handler's would be
		return
	case key == "Transfer-Encoding", !isToken(key):
		return
	case key == "Content-Type" && w.status == http.StatusNotModified: // RFC 9110, section 15.4.5; net/http leaves it out
		return
	case key == "Connection" && len(values) > 0 && values[0] == "close":
		w.close, w.said = true, true
	case key == "Connection" && w.close:
		if len(values) == 0 || !hasWord(values[0], "close") {
			return
		}
		w.said = true
	}
	for _, value := range values {
		w.out = append(append(w.out, key...), ": "...)
		for _, c := range []byte(textproto.TrimString(value)) {
			if c == '\r' || c == '\n' {
				c = ' '
			}
			w.out = append(w.out, c)
		}
		w.out = append(w.out, "\r\n"...)
	}
}

// Write adds to the body.
func (w *Response) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.bodyless() {
		return 0, http.ErrBodyNotAllowed
	}
	w.body = append(w.body, p...)
	return len(p), nil
}

// SetReadDeadline does nothing, as the request has been read.
func (w *Response) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing, as the answer is written later.
func (w *Response) SetWriteDeadline(time.Time) error { return nil }

// bodyless reports whether answers of the status have no body (RFC 9110, section 6.4.1).
func (w *Response) bodyless() bool {
	return w.status == http.StatusNoContent || w.status == http.StatusNotModified
}

// insertLength puts the Content-Length where it belongs.
func (w *Response) insertLength() {
	end := len(w.out)
	w.out = strconv.AppendInt(append(w.out, "Content-Length: "...), int64(len(w.body)), 10)
	w.out = append(w.out, "\r\n"...)
	if w.lengthAt >= 0 {
		var field [48]byte
		n := copy(field[:], w.out[end:])
		copy(w.out[w.lengthAt+n:], w.out[w.lengthAt:end])
		copy(w.out[w.lengthAt:], field[:n])
	}
}

// Closes reports whether the connection ends with the answer, which has begun.
func (w *Response) Closes() bool { return w.close }

// Finish returns the whole answer, which is valid until the next Reset.
func (w *Response) Finish(now time.Time) []byte {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if len(w.header["Date"]) == 0 {
		if second := now.Unix(); second != w.dateOf || w.date == nil {
			w.date, w.dateOf = now.UTC().AppendFormat(w.date[:0], http.TimeFormat), second
		}
		w.out = append(append(append(w.out, "Date: "...), w.date...), "\r\n"...)
	}
	if !w.bodyless() {
		w.insertLength()
		if len(w.body) > 0 && w.header["Content-Type"] == nil && w.header.Get("Content-Encoding") == "" {
			w.out = append(append(append(w.out, "Content-Type: "...), http.DetectContentType(w.body)...), "\r\n"...)
		}
	}
	if w.close && !w.said {
		w.out = append(w.out, "Connection: close\r\n"...)
	}
	w.out = append(w.out, "\r\n"...)
	w.out = append(w.out, w.body...)
	return w.out
}
