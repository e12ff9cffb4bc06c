package callbacks

import (
	"net/http"
	"time"
)

// faultOneIn is how many requests there are to one that the receiver does wrong while it is sick.
const faultOneIn = 16

// A fault is something that a receiver does instead of answering a request.
type fault struct {
	name   string
	before bool // before it has taken note
	act    func(w http.ResponseWriter, q *http.Request, over <-chan struct{})
}

// faults are those that hit single requests.
var faults = []fault{
	{"500", true, status(http.StatusInternalServerError)},
	{"500 when noted", false, status(http.StatusInternalServerError)},
	{"302", true, status(http.StatusFound)},
	{"503, come back in a second", true, later},
	{"no answer", true, wait},
	{"no answer when noted", false, wait},
	{"reset", true, reset},
	{"reset when noted", false, reset},
	{"slow", false, slow},
}

// status answers with a code.
func status(code int) func(http.ResponseWriter, *http.Request, <-chan struct{}) {
	return func(w http.ResponseWriter, _ *http.Request, _ <-chan struct{}) {
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(code)
	}
}

func later(w http.ResponseWriter, _ *http.Request, _ <-chan struct{}) {
	w.Header().Set("Retry-After", "1")
	w.WriteHeader(http.StatusServiceUnavailable)
}

// wait does not answer while the sender waits, and then with an error.
func wait(w http.ResponseWriter, q *http.Request, over <-chan struct{}) {
	select {
	case <-q.Context().Done():
	case <-over:
	}
	w.WriteHeader(http.StatusInternalServerError)
}

// slow answers well, but takes its time.
func slow(w http.ResponseWriter, _ *http.Request, over <-chan struct{}) {
	select {
	case <-time.After(receiverPatience / 2):
	case <-over:
	}
	w.WriteHeader(http.StatusNoContent)
}

// reset cuts the connection.
func reset(http.ResponseWriter, *http.Request, <-chan struct{}) { panic(http.ErrAbortHandler) }

// either returns the first of two channels that is there.
func either(one, other chan struct{}) <-chan struct{} {
	if one != nil {
		return one
	}
	return other
}
