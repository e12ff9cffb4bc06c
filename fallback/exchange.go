package fallback

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"crier/io/engineio"
)

// An exchange is how one request of a session carries a payload: as it is
// ([xhr]), or in the forms that work without XMLHttpRequest ([jsonp]). The
// requests of one session may differ.
type exchange interface {
	// framing is the framing of an answer of about size bytes with, or without, binary packets.
	framing(s *engineio.Session, binary bool, size int) engineio.Framing
	// answer returns the body of an answer, and sets its headers.
	answer(h http.Header, payload []byte, f engineio.Framing) (body []byte)
	// octets reports whether a POST brings a payload of bytes rather than text.
	octets(r *http.Request) bool
	// read returns the payload of a POST, which has at most limit bytes: if it
	// has more, the error is an [http.MaxBytesError]; an error that wraps
	// [engineio.ErrParse] says that the client wrote it wrongly.
	read(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error)
}

// exchangeOf tells by the query, as the clients say it: j is the index of a
// JSONP callback. [engineio.Server] has refused what is no number.
func exchangeOf(r *http.Request) exchange {
	if index, err := strconv.ParseUint(queryValue(r, "j"), 10, 32); err == nil {
		return jsonp{index: index}
	}
	return xhr{}
}

// queryValue is the first value of that name in the query, which all clients write without escapes: then the query, which
// [engineio.Server] has parsed, need not be parsed again.
func queryValue(r *http.Request, name string) string {
	if strings.ContainsAny(r.URL.RawQuery, "%+;") {
		return r.URL.Query().Get(name)
	}
	for one := range strings.SplitSeq(r.URL.RawQuery, "&") {
		if key, value, _ := strings.Cut(one, "="); key == name {
			return value
		}
	}
	return ""
}

// xhr carries payloads as they are.
//
// Specification: v4-current.md and v3.md, "HTTP long-polling".
type xhr struct{}

func (xhr) framing(s *engineio.Session, binary bool, size int) engineio.Framing {
	return s.Framing(binary, size)
}

func (xhr) answer(h http.Header, payload []byte, f engineio.Framing) []byte {
	contentType := "text/plain; charset=UTF-8"
	if f == engineio.FramingV3Binary {
		contentType = "application/octet-stream"
	}
	h.Set("Content-Type", contentType)
	return payload
}

func (xhr) octets(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Content-Type"), "application/octet-stream")
}

func (xhr) read(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	return readBody(w, r, limit)
}

// readBody reads a body of at most limit bytes; what is announced beyond that
// is refused before anything is read.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, &http.MaxBytesError{Limit: limit}
	}
	var body bytes.Buffer
	_, err := io.Copy(&body, http.MaxBytesReader(w, r.Body, limit))
	return body.Bytes(), err
}

// writeAnswer writes the whole body of an answer; the client may take answerTimeout for it.
func writeAnswer(w http.ResponseWriter, body []byte) error {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTimeout))
	if err == nil || errors.Is(err, http.ErrNotSupported) {
		_, err = w.Write(body)
	}
	return err
}
