package socketio

import (
	"net/http"
	"net/url"
	"time"
)

// Handshake is what the client sent when it connected.
type Handshake struct {
	Query      url.Values  // of the request that opened the connection
	Header     http.Header // of that request; nil with [Options] NoHeader
	RemoteAddr string      // "host:port" of the peer
	Time       time.Time

	query string // as it came; Query is made when somebody asks for it
}

func newHandshake(r *http.Request, header bool) *Handshake {
	h := &Handshake{RemoteAddr: r.RemoteAddr, Time: time.Now(), query: r.URL.RawQuery}
	if header {
		h.Header = r.Header.Clone()
	}
	return h
}

// whole returns the handshake with its Query.
func (h *Handshake) whole() *Handshake {
	if h != nil && h.Query == nil {
		h.Query = (&url.URL{RawQuery: h.query}).Query()
	}
	return h
}
