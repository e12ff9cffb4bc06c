package load

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// maxResponse bounds an answer over HTTP.
const maxResponse = 16 << 20

var errResponse = errors.New("the server's answer is not HTTP")

// response is an answer of HTTP/1.1 (RFC 9112) that is whole.
type response struct {
	status int
	head   []byte // with its first line, without the empty one
	body   []byte // chunks are put together
}

// errorText says what an answer said that was not as it should be.
func (r response) errorText() error {
	text := r.body
	if len(text) > 200 {
		text = text[:200]
	}
	return fmt.Errorf("the server answered %d: %q", r.status, bytes.TrimSpace(text))
}

// cutHead cuts the head of an answer off p. ok is false if it is not whole.
func cutHead(p []byte) (r response, rest []byte, ok bool, err error) {
	if len(p) >= 9 && !bytes.HasPrefix(p, []byte("HTTP/1.")) {
		return r, p, false, errResponse
	}
	head, rest, ok := bytes.Cut(p, []byte("\r\n\r\n"))
	if !ok {
		if len(p) > 64<<10 {
			return r, p, false, errResponse
		}
		return r, p, false, nil
	}
	if len(head) < 12 {
		return r, p, false, errResponse
	}
	status, err := strconv.Atoi(string(head[9:12]))
	if err != nil {
		return r, p, false, errResponse
	}
	return response{status: status, head: head}, rest, true, nil
}

// cutResponse cuts the first answer off p, which has a length or is in chunks. ok is false if it is not whole.
func cutResponse(p []byte) (r response, rest []byte, ok bool, err error) {
	r, body, ok, err := cutHead(p)
	if !ok || err != nil {
		return r, p, false, err
	}
	switch length, has := r.header("content-length"); {
	case has:
		n, err := strconv.Atoi(string(length))
		if err != nil || n < 0 || n > maxResponse {
			return r, p, false, errResponse
		}
		if len(body) < n {
			return r, p, false, nil
		}
		r.body, rest = body[:n], body[n:]
	case r.chunked():
		if r.body, rest, ok, err = cutChunks(body); !ok || err != nil {
			return r, p, false, err
		}
	case r.status == 204 || r.status == 304:
		rest = body
	default:
		return r, p, false, fmt.Errorf("the server's answer %d has no length", r.status)
	}
	return r, rest, true, nil
}

// header is the value of the first field of that name, in lower case.
func (r response) header(name string) (value []byte, ok bool) {
	_, lines, _ := bytes.Cut(r.head, []byte("\r\n"))
	for line := range bytes.SplitSeq(lines, []byte("\r\n")) {
		key, value, _ := bytes.Cut(line, []byte(":"))
		if len(key) == len(name) && bytes.EqualFold(key, []byte(name)) {
			return bytes.TrimSpace(value), true
		}
	}
	return nil, false
}

func (r response) chunked() bool {
	coding, _ := r.header("transfer-encoding")
	return bytes.EqualFold(coding, []byte("chunked"))
}

// cutChunks cuts a body in chunks off p (RFC 9112 §7.1).
func cutChunks(p []byte) (body, rest []byte, ok bool, err error) {
	for rest = p; ; {
		line, more, whole := bytes.Cut(rest, []byte("\r\n"))
		if !whole {
			return nil, p, false, nil
		}
		size, _, _ := bytes.Cut(line, []byte(";"))
		n, err := strconv.ParseUint(string(bytes.TrimSpace(size)), 16, 32)
		if err != nil || len(body)+int(n) > maxResponse {
			return nil, p, false, errResponse
		}
		if len(more) < int(n)+2 {
			return nil, p, false, nil
		}
		body, rest = append(body, more[:n]...), more[n+2:]
		if n == 0 {
			return body, rest, true, nil
		}
	}
}
