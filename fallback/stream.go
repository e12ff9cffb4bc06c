package fallback

import (
	"errors"
	"net/http"

	"crier/io/wsconn"
)

// stream is an answer that lasts: a [wsconn.Stream] or, over HTTP/2, a [body].
// All but serve may be called by many goroutines at once, and never wait. The
// errors of Send are those of package wsconn.
type stream interface {
	Send(piece []byte, messages int) error
	SendCopy(piece []byte, messages int) error // of a piece that may change after it
	Writable() bool
	Queued() int       // bytes that wait
	Close(last []byte) // with a last piece, if it is not empty, behind what waits already
	Abort()
	// Discard drops what waits, and Send takes nothing more: Close is to follow, with a word; where that cannot be, it aborts.
	Discard()
	// serve keeps the stream going; it may return at once or at its end. It has to be
	// called after newStream, unless Close or Abort is.
	serve()
}

// newStream answers a request with the headers of w and a stream. ended is
// called once, with the reason, when the client has gone or the stream is at its end; evict, as [wsconn.Evictee] says.
func (s *Server) newStream(w http.ResponseWriter, r *http.Request, ended func(error), evict func(stream)) (stream, error) {
	s.hold()
	over := func(err error) {
		ended(err)
		s.release()
	}
	taken, err := s.o.Upgrader.Stream(w, over, func(s *wsconn.Stream) { evict(ownStream{s}) })
	switch {
	case err == nil:
		return ownStream{taken}, nil
	case errors.Is(err, http.ErrNotSupported):
		return newBody(w, r, &s.o, over, evict), nil
	default:
		s.release()
		return nil, err
	}
}

// ownStream is a stream on a connection that has been taken over.
type ownStream struct{ *wsconn.Stream }

func (s ownStream) serve() { s.Start(nil) }
