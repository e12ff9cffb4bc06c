package fallback

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/gobwas/ws"
)

// Reason says why a client is not let in, or why its connection ends. It is an
// error whose text goes to the client.
type Reason struct {
	Status int    // of the HTTP answer; a WebSocket is closed with 4000 and this
	Code   string // its stable name
	Text   string // a sentence
}

// Error returns the sentence.
func (r Reason) Error() string { return r.Text }

// retryAfter is after how many seconds who was refused for now should come again.
const retryAfter = "5"

// Reasons of this package. The text of those for bad requests says more.
var (
	Kicked   = Reason{http.StatusForbidden, "kicked", "the server has disconnected this client, which should not come back by itself"}
	TooSlow  = Reason{http.StatusTooManyRequests, "too_slow", "the client has not taken its messages fast enough (settings `limits.queue_bytes` and `limits.queue_messages`)"}
	TooMuch  = Reason{http.StatusTooManyRequests, "too_slow", "too much waits for all clients together, and this one was among those furthest behind (setting `limits.queue_total`)"}
	Stopping = Reason{http.StatusServiceUnavailable, "stopping", "the server is stopping; come back in a moment"}

	sentBack = Reason{http.StatusServiceUnavailable, "unavailable", "the server cannot go on with this connection; come back"}
)

func badRequest(text string) Reason { return Reason{http.StatusBadRequest, "bad_request", text} }
func badMessage(text string) Reason { return Reason{http.StatusBadRequest, "bad_message", text} }

// close is the status code of a WebSocket or of SockJS (RFC 6455 section 7.4.2: 4000 to 4999 are for applications).
func (r Reason) close() ws.StatusCode { return ws.StatusCode(4000 + r.Status) }

// details is the reason as JSON: {"error","code"}.
func (r Reason) details() []byte {
	data, err := json.Marshal(struct {
		Error string `json:"error"`
		Code  string `json:"code"`
	}{r.Text, r.Code})
	if err != nil { // not with two strings
		return []byte("{}")
	}
	return data
}

// reasonOf is what a client is told of err.
func reasonOf(err error) Reason {
	var r Reason
	if errors.As(err, &r) {
		return r
	}
	return Reason{http.StatusServiceUnavailable, "unavailable", "the server cannot take this client at the moment; come back later"}
}

// writeError answers a request with a reason.
func writeError(w http.ResponseWriter, err error) {
	r := reasonOf(err)
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if r.Status == http.StatusTooManyRequests || r.Status == http.StatusServiceUnavailable {
		h.Set("Retry-After", retryAfter)
	}
	w.WriteHeader(r.Status)
	if _, err := w.Write(append(r.details(), '\n')); err != nil {
		return // the client has gone; there is nobody to tell
	}
}
