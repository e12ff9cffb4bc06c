package app

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"
)

const (
	// bodyTime is how long the body of a request may take, unless its handler says otherwise, as that of callers who are let in does.
	bodyTime = time.Minute
	// restTime is how long net/http may wait for what its handler has left of it, and how long that of a GET may take.
	restTime = 5 * time.Second
)

// deadliner is a ResponseWriter of net/http, for HTTP/1. Those of the fast path and of the poller, whose requests have come whole, cannot be
// hijacked: nothing is done for them.
type deadliner interface {
	http.Hijacker
	SetReadDeadline(time.Time) error
}

// unsent bounds the time for which a body may be waited for that is announced and does not come. Without that whoever is
// refused, or answered without it being read, could keep the connection and its goroutine for ever: net/http reads a part of what
// is left before it answers.
func unsent(next http.Handler, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor > 1 { // a stream waits for no body that its handler leaves
			defer timeless(w, r, log)
			next.ServeHTTP(w, r)
			return
		}
		d, ok := w.(deadliner)
		if !ok || r.Body == nil || r.Body == http.NoBody {
			next.ServeHTTP(w, r)
			return
		}
		limit := func(at time.Time) {
			noteTime(r, log, d.SetReadDeadline(at))
		}
		if r.Method == http.MethodGet || r.Method == http.MethodHead { // whose bodies mean little
			limit(time.Now().Add(restTime))
		} else {
			limit(time.Now().Add(bodyTime))
		}
		b := &unsentBody{ReadCloser: r.Body, limit: limit}
		// In a copy: net/http looks at the body of its own, to give who is still sending the time to read the answer before the connection
		// is reset.
		read := *r
		read.Body = b
		next.ServeHTTP(w, &read)
		if b.over {
			return
		}
		if _, err := w.Write(nil); !errors.Is(err, http.ErrHijacked) { // whose connection is another's
			limit(time.Now().Add(restTime))
		}
	})
}

// timeless takes back what times a handler has set for a stream of HTTP/2. If that had been reset by then, net/http would keep it in memory
// until they are over, and anybody can reset many.
func timeless(w http.ResponseWriter, r *http.Request, log *slog.Logger) {
	c := http.NewResponseController(w)
	noteTime(r, log, c.SetReadDeadline(time.Time{}))
	noteTime(r, log, c.SetWriteDeadline(time.Time{}))
}

func noteTime(r *http.Request, log *slog.Logger, err error) {
	if err != nil {
		log.LogAttrs(r.Context(), slog.LevelDebug, "bounding the time of a request", slog.Any("error", err))
	}
}

// unsentBody is a body whose end, when it has come, is waited for no more.
type unsentBody struct {
	io.ReadCloser
	limit func(time.Time)
	over  bool // it has ended, or failed
}

func (b *unsentBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !b.over {
		b.over = true
		if errors.Is(err, io.EOF) {
			b.limit(time.Time{})
		}
	}
	return n, err
}
