package fallback

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"crier/io/hub"
	"crier/io/wsconn"
)

const (
	// commentInterval is how often a stream says that it is alive.
	commentInterval = 15 * time.Second
	// A client that has lost its stream comes back after between retryLeast and twice that, so that not all come at once.
	retryLeast = time.Second
	// retryNever is for who should not come back: an EventSource cannot be told so, except by a long wait.
	retryNever = 24 * time.Hour
)

// events is the line of a client with an event stream (HTML Standard, section
// 9.2, "Server-sent events").
type events struct {
	client *Client
	out    stream
	timer  wsconn.Timer // for the comments, and to look what was taken
	due    time.Time    // of the next comment; owned by Tick once the timer is set

	mu       sync.Mutex
	arrivals arrivals
	gone     bool
}

// serveEvents lets a client in on an event stream. Who is refused gets a status
// other than 200, with which an EventSource gives up.
func (s *Server) serveEvents(w http.ResponseWriter, r *http.Request) {
	if !s.allows(http.MethodGet, w, r) {
		return
	}
	q, err := newRequest(r, false)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	q.after = cmp.Or(r.Header.Get("Last-Event-ID"), r.URL.Query().Get("lastEventId"), q.after)
	enter, err := s.handler.Admit(q)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	l := &events{client: s.newClient()}
	l.client.line = l
	eventHeaders(w.Header())
	if l.out, err = s.newStream(w, r, l.client.gone); err != nil {
		s.log.Debug("an event stream has not begun", "error", err)
		return
	}
	l.note("retry: %d\n\n", (retryLeast + rand.N(retryLeast)).Milliseconds())
	l.due = time.Now().Add(commentInterval)
	s.wheel.Set(&l.timer, l, l.due)
	if err := l.client.open(enter, q.after); err != nil {
		l.close(reasonOf(err))
	}
	l.out.serve()
}

// eventHeaders are those of an event stream, which keep proxies from holding it back.
func eventHeaders(h http.Header) {
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-cache, no-transform")
	h.Set("X-Accel-Buffering", "no")
	h.Set("X-Content-Type-Options", "nosniff")
}

// note writes something that is no message. An error shows in the end of the stream.
func (l *events) note(format string, args ...any) {
	if err := l.out.Send(fmt.Appendf(nil, format, args...), 0); err != nil {
		l.client.server.log.Debug("an event stream has ended", "error", err)
	}
}

// send implements [line].
func (l *events) send(w *wire, volatile bool) error {
	if volatile && !l.out.Writable() {
		return hub.ErrSlow
	}
	return sendError(l.out.Send(w.form(formEvent), 1))
}

func (l *events) hears() bool { return false }

// close implements [line]: it sends the event disconnect, with the reason.
func (l *events) close(why Reason) {
	if why == Kicked {
		l.note("retry: %d\n", retryNever.Milliseconds())
	}
	l.note("event: disconnect\ndata: [%s]\n\n", why.details())
	l.out.Close()
	l.client.server.spawn(l.client.gone) // not here, which may be within a delivery
}

func (l *events) abort() { l.out.Abort() }

// left implements [line].
func (l *events) left() {
	l.client.server.wheel.Stop(&l.timer)
	l.mu.Lock()
	l.gone = true
	lost := l.arrivals.all()
	l.mu.Unlock()
	lost.tell(false)
}

// confirm implements [line]. All that can be known of a stream is that the system has taken what was queued.
func (l *events) confirm(a arrival) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.gone {
		l.arrivals = append(l.arrivals, a)
		l.client.server.wheel.Set(&l.timer, l, time.Now()) // not here: the caller may hold locks of its own
	}
	return !l.gone
}

// Tick implements [wsconn.Timed]: it sends a comment, unless something waits anyway, and looks whether what was queued has
// been taken.
func (l *events) Tick(now time.Time) time.Time {
	if !now.Before(l.due) {
		l.due = now.Add(commentInterval)
		if l.out.Writable() {
			l.note(":\n\n")
		}
	}
	var come arrivals
	l.mu.Lock()
	if len(l.arrivals) > 0 && l.out.Writable() {
		come = l.arrivals.all()
	}
	open := len(l.arrivals) > 0
	l.mu.Unlock()
	come.tell(true)
	if open {
		return now.Add(drainInterval)
	}
	return l.due
}
