package wsconn

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"crier/io/netpoll"
)

// Stream is what is sent on a connection that no WebSocket is on, as it is: the
// answer to an HTTP/1 request that ends when the connection does, or one answer
// after the other. Its methods may be called concurrently.
type Stream struct {
	output
	in netpoll.Handler
}

// Stream takes over the connection of a request, whose body has been read, and
// answers it with status 200, the headers of w, and then whatever is given to
// [Stream.Send], as it is. It is an error that wraps [http.ErrNotSupported] if the
// connection cannot be taken over, as with HTTP/2; then nothing has happened.
//
// ended is called exactly once, by a goroutine of the poller: with io.EOF when the client
// went, net.ErrClosed after Close or Abort, or a network error. Until then the
// caller has to call one of Start, Close and Abort; what is sent before that leaves with it, in one write, or when it is more than a
// queue takes. evict is given the Stream when it is to end as [Evictee] says; nil: it is aborted.
func (u *Upgrader) Stream(w http.ResponseWriter, ended func(error), evict func(*Stream)) (*Stream, error) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, fmt.Errorf("taking over a connection: %w", err)
	}
	if err := conn.SetDeadline(time.Time{}); err != nil { // those of the server
		return nil, fmt.Errorf("taking over a connection: %w", errors.Join(err, conn.Close()))
	}
	s := new(Stream)
	var in netpoll.Handler = deaf(ended)
	if evict != nil {
		in = leaver{deaf(ended), func() { evict(s) }}
	}
	if err := u.stream(s, conn, w.Header(), in); err != nil {
		return nil, err
	}
	return s, nil
}

// stream begins the answer on s.
func (u *Upgrader) stream(s *Stream, conn net.Conn, header http.Header, in netpoll.Handler) error {
	if err := limitSilence(conn, u.o.Silence); err != nil {
		return fmt.Errorf("taking over a connection: %w", errors.Join(err, conn.Close()))
	}
	if err := u.Take(s, conn, in); err != nil {
		return err
	}
	s.Cork()
	if err := s.Send(streamHead(header), 0); err != nil {
		u.o.Logger.Debug("beginning a stream", "error", err) // ended is told
	}
	return nil
}

// Take makes s, which must be zero and may be a part of something larger of in's, the Stream
// of a connection that nobody else uses from now on; in gets what is read, from
// Start on and until Close. Its Closed is as ended of [Upgrader.Stream]; it may be an [Evictee]. After an
// error conn is closed.
func (u *Upgrader) Take(s *Stream, conn net.Conn, in netpoll.Handler) error {
	s.up, s.in = u, in
	if err := u.o.Poller.Adopt(&s.nc, conn, (*streamEvents)(s)); err != nil {
		return fmt.Errorf("taking over a connection: %w", errors.Join(err, conn.Close()))
	}
	u.open.Add(1)
	return nil
}

// streamHead is the status line and the headers. Without a length the body
// lasts until the connection is closed (RFC 9112 §6.3).
func streamHead(header http.Header) []byte {
	h := header.Clone()
	h.Set("Connection", "close")
	h.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	var head bytes.Buffer
	head.WriteString("HTTP/1.1 200 OK\r\n")
	h.Write(&head) // never fails: it is memory
	head.WriteString("\r\n")
	return head.Bytes()
}

// Start begins to read, and to watch for the client's end. What has been read
// before, which now belongs to the Stream, comes first.
func (s *Stream) Start(early []byte) {
	s.mu.Lock()
	start := !s.started && s.load() != closed
	s.started = s.started || start
	s.mu.Unlock()
	if start {
		s.Uncork()
		s.nc.Start(early)
	}
}

// Close ends the answer, with a last piece if there is one, behind what waits already, and then the connection: once
// the client has ended its side, at the latest after CloseTimeout. It never
// waits. Only the first call counts.
func (s *Stream) Close(last []byte) { s.shutdown(last, false, net.ErrClosed) }

// Release ends the Stream without its connection, which it returns, so that it can be given to somebody else; see
// [netpoll.Conn.Release]. Nil means that this cannot be, since something waits to be written
// or the end has begun.
func (s *Stream) Release() net.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.out != nil || s.load() != open {
		return nil
	}
	nc := s.nc.Release()
	if nc != nil {
		s.state.Store(uint32(closed))
		s.up.open.Add(-1)
	}
	return nc
}

// deaf is the input of who only wants to know of the end.
type deaf func(error)

// Data implements [netpoll.Handler].
func (deaf) Data([]byte) error { return nil }

// Closed implements [netpoll.Handler].
func (d deaf) Closed(err error) { d(err) }

// leaver is the same who sees to the end that a Budget wants.
type leaver struct {
	deaf
	evict func()
}

// Evict implements [Evictee].
func (l leaver) Evict() { l.evict() }

// streamEvents is a Stream as its poller sees it.
type streamEvents Stream

// Data implements [netpoll.Handler].
func (e *streamEvents) Data(p []byte) error {
	s := (*Stream)(e)
	if s.load() != open {
		return nil
	}
	return s.in.Data(p)
}

// Closed implements [netpoll.Handler].
func (e *streamEvents) Closed(err error) {
	s := (*Stream)(e)
	err = s.finish(err)
	s.up.open.Add(-1)
	s.in.Closed(err)
}

// evictee implements [evictable].
func (e *streamEvents) evictee() any { return e.in }
