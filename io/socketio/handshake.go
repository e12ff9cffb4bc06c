package socketio

import (
	"net/http"
	"net/url"
	"time"
)

// Handshake is what the client sent when it connected.
type Handshake struct {
	Query      url.Values  // of the request that opened the connection
	Header     http.Header // of that request
	RemoteAddr string      // "host:port" of the peer
	Time       time.Time
}

func newHandshake(r *http.Request) *Handshake {
	return &Handshake{
		Query:      r.URL.Query(),
		Header:     r.Header,
		RemoteAddr: r.RemoteAddr,
		Time:       time.Now(),
	}
}
