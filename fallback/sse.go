package fallback

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
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
	timer  wsconn.Timer // for the comments
	sent   atomic.Uint64
	waits  waits
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
	l := &events{client: s.newClient()}
	l.client.line = l
	a, err := s.admit(l.client, r, q)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	eventHeaders(w.Header())
	if l.out, err = s.newStream(w, r, l.client.lost, l.evict); err != nil {
		l.client.exit()
		s.log.Debug("an event stream has not begun", "error", err)
		return
	}
	l.note("retry: %d\n\n", (retryLeast + rand.N(retryLeast)).Milliseconds())
	s.wheel.Set(&l.timer, l, time.Now().Add(commentInterval))
	if err := l.client.open(a, q); err != nil {
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
func (l *events) send(p placed, volatile bool) error {
	if volatile && !l.out.Writable() {
		return hub.ErrSlow
	}
	err := l.write(p)
	if err == nil {
		l.sent.Add(1)
	}
	return err
}

// write writes one message. Most clients can come back, so each has ids of its own.
func (l *events) write(p placed) error {
	if p.at.pid == "" {
		return sendError(l.out.Send(p.form(formEvent), 1))
	}
	piece := l.client.server.pieces.Get().(*[]byte)
	defer l.client.server.pieces.Put(piece)
	*piece = p.appendEvent((*piece)[:0])
	return sendError(l.out.SendCopy(*piece, 1))
}

// sendAll implements [joiner].
func (l *events) sendAll(pieces []byte, messages int) error {
	err := l.out.Send(pieces, messages)
	if err == nil {
		l.sent.Add(uint64(messages))
	}
	return sendError(err)
}

func (*events) form() form { return formEvent }

func (*events) kind() string { return "sse" }

func (l *events) queued() int { return l.out.Queued() }

func (l *events) hears() bool { return false }

// close implements [line]: it sends the event disconnect, with the reason.
func (l *events) close(why Reason) {
	var last []byte
	if why == Kicked {
		last = fmt.Appendf(last, "retry: %d\n", retryNever.Milliseconds())
	}
	l.out.Close(fmt.Appendf(last, "event: disconnect\ndata: [%s]\n\n", why.details()))
	l.client.server.spawn(l.client.gone) // not here, which may be within a delivery
}

// evict ends the client whose stream out is.
func (l *events) evict(out stream) {
	if !l.client.isOpen() { // and l.out may not be set
		out.Abort()
		return
	}
	out.Discard()
	l.client.evict()
}

func (l *events) abort() { l.out.Abort() }

// left implements [line].
func (l *events) left() *waits {
	l.client.server.wheel.Stop(&l.timer)
	return &l.waits
}

// begin implements [line].
func (l *events) begin(at position, list []*wire) error {
	l.sent.Store(at.count + uint64(len(list)))
	return sendError(l.out.Send(joined(list, formEvent), 1))
}

func (l *events) count() uint64 { return l.sent.Load() }

// confirm implements [line]: nothing comes back on a stream, so what is stored is given to a client as fast as it can be
// written, and confirmed when the client comes back.
func (l *events) confirm(taken func(), arrived func(ok bool)) {
	l.waits.add(l.sent.Load(), arrived)
	l.client.server.pace(func() bool { return l.out.Writable() || l.client.ended() }, taken)
}

// Tick implements [wsconn.Timed]: it sends a comment, unless something waits anyway.
func (l *events) Tick(now time.Time) time.Time {
	if l.out.Writable() {
		l.note(":\n\n")
	}
	return now.Add(commentInterval)
}
