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

// deadliner is a ResponseWriter of net/http. What [fastpath] answers has come whole, and has none.
type deadliner interface{ SetReadDeadline(time.Time) error }

// unsent bounds the time for which a body may be waited for that is announced and does not come. Without that whoever is
// refused, or answered without it being read, could keep the connection and its goroutine for ever: net/http reads a part of what
// is left before it answers.
func unsent(next http.Handler, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d, ok := w.(deadliner)
		if !ok || r.Body == nil || r.Body == http.NoBody {
			next.ServeHTTP(w, r)
			return
		}
		limit := func(at time.Time) {
			if err := d.SetReadDeadline(at); err != nil {
				log.LogAttrs(r.Context(), slog.LevelDebug, "bounding the time to read", slog.Any("error", err))
			}
		}
		if r.Method == http.MethodGet || r.Method == http.MethodHead { // whose bodies mean little
			limit(time.Now().Add(restTime))
		} else {
			limit(time.Now().Add(bodyTime))
		}
		b := &unsentBody{ReadCloser: r.Body, limit: limit}
		r.Body = b
		next.ServeHTTP(w, r)
		if b.over {
			return
		}
		if _, err := w.Write(nil); !errors.Is(err, http.ErrHijacked) { // whose connection is another's
			limit(time.Now().Add(restTime))
		}
	})
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
