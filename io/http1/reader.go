package http1

import (
	"net/http"
	"net/url"
)

// Reader makes requests for handlers, one after the other, and allocates nothing for one that is like the one before.
type Reader struct {
	head    head
	values  [MaxLines]string
	header  http.Header
	url     url.URL
	body    Body
	request http.Request
}

// NewReader returns a Reader of the requests that takes wants, which ask for no WebSocket; all others are [Foreign] to it.
func NewReader(takes func(method, path, query string) bool) *Reader {
	return &Reader{head: head{takes: takes}, header: make(http.Header)}
}

// TakeUpgrades has the requests for a WebSocket taken, too, that wants wants.
func (r *Reader) TakeUpgrades(wants func(path, query string) bool) { r.head.upgrades = wants }

// Parse reads what has come, for which there are room bytes in all. With [Whole] it is a request, whose body is a part of b.
func (r *Reader) Parse(b []byte, room int) Verdict {
	n, v := r.head.parse(b, room)
	if v == Whole {
		r.body = Body{rest: b[n:]}
	}
	return v
}

// Upgrade reports whether the request asks for a WebSocket. behind is what has come behind it, a part of what was parsed.
func (r *Reader) Upgrade() (behind []byte, asked bool) {
	if !r.head.upgrade {
		return nil, false
	}
	return r.body.rest, true
}

// Closes reports whether the client wants the connection to end with the answer.
func (r *Reader) Closes() bool { return r.head.close }

// Request returns the request that was parsed, for a handler; all that it has is used again for the next one. What it does not bring along is that of template: the version, and the context.
func (r *Reader) Request(template *http.Request, remote string) *http.Request {
	h := &r.head
	clear(r.header)
	h.fill(r.header, r.values[:])
	r.url = h.url
	q := &r.request
	*q = *template
	q.Method, q.URL, q.RequestURI, q.Host = h.method, &r.url, h.target, h.host
	q.Header, q.RemoteAddr, q.Close = r.header, remote, h.close
	q.ContentLength, q.Body = int64(h.length), &r.body
	if h.length == 0 {
		q.Body = http.NoBody
	}
	return q
}
