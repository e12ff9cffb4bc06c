package engineio

import (
	"net/http"
)

// Transport carries the packets of one session. Its methods never block, and
// are called with the session's lock held: they must not call the session.
type Transport interface {
	// Name is "websocket" or "polling".
	Name() string
	// Send queues p, or writes it at once. ErrQueueFull means that p was not
	// taken and the peer is too slow; any other error, that the transport has ended.
	Send(p *Prepared) error
	// Writable reports whether what is sent now leaves now.
	Writable() bool
	// Queued is how many bytes wait.
	Queued() int
	// Close sends what is queued, tells the peer that the session is over,
	// and ends. It reports whether that is done as far as the session is
	// concerned; if not (the peer has no request open), the transport calls
	// [Session.Finished] later.
	Close() (done bool)
	// Abort ends the transport at once.
	Abort()
}

// RequestTransport is a transport made of many HTTP requests.
type RequestTransport interface {
	Transport
	// ServeHTTP answers one request of the session, including the one that opened it.
	ServeHTTP(w http.ResponseWriter, r *http.Request)
	// Nudge answers a waiting request with a noop packet, so that the
	// client's poll cycle ends and it can move to another transport.
	Nudge()
	// Confirm reports whether everything that was sent has reached the client.
	// If not, the transport calls [Session.Arrived] when it has.
	Confirm() (arrived bool)
	// Handover ends the transport in favour of another one and returns what
	// it has not sent, and how many calls of Confirm wait for that. It refuses
	// while a request of the client's is being read.
	Handover() (unsent []*Prepared, unconfirmed int, ok bool)
}
