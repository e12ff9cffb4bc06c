package httpconn

import (
	"errors"
	"net/http"
	"time"

	"crier/io/http1"
)

// errPanic ends a connection whose handler has panicked.
var errPanic = errors.New("the handler has panicked")

// exchange is a request and its answer. It is the [http.ResponseWriter] of the request, and belongs to its handler's goroutine.
type exchange struct {
	*http1.Response
	server   *Server
	reader   *http1.Reader
	template *http.Request          // has the context
	values   [http1.MaxLines]string // memory for fields.fill

	conn   *conn
	parked bool
}

// newExchange returns an exchange to be used for one request after the other.
func newExchange(s *Server) *exchange {
	x := &exchange{server: s, Response: http1.NewResponse(&s.stopping), reader: http1.NewReader(s.o.Takes)}
	x.template = (&http.Request{Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}).WithContext((*exchangeContext)(x))
	return x
}

// exchange takes one for a request on c.
func (s *Server) exchange(c *conn) *exchange {
	x := s.exchanges.Get().(*exchange)
	x.conn, x.parked = c, false
	x.Reset(false)
	return x
}

// release puts it back.
func (s *Server) release(x *exchange) {
	x.conn = nil
	s.exchanges.Put(x)
}

// serve has the request answered. An error ends the connection.
func (x *exchange) serve(r *http.Request) (err error) {
	done := false
	defer func() {
		if done {
			x.server.release(x)
			return
		}
		x.conn.logPanic(recover()) // and x is left to the collector
		err = errPanic
	}()
	x.server.o.Server.Handler.ServeHTTP(x, r)
	if !x.parked {
		err = x.conn.reply(x.Response)
	}
	done = true
	return err
}

// park makes the request one that waits. The header of the answer is kept.
func (x *exchange) park(owner Owner) *Waiting {
	p := &Waiting{owner: owner, conn: x.conn, header: x.server.fieldsOf(x.Header())}
	x.parked = true
	x.conn.mu.Lock()
	defer x.conn.mu.Unlock()
	x.conn.waiting = p
	return p
}

// exchangeContext is the context of an exchange's request. It has no end: whether the client has gone, [Owner] is told.
type exchangeContext exchange

// Deadline implements [context.Context].
func (*exchangeContext) Deadline() (deadline time.Time, ok bool) { return time.Time{}, false }

// Done implements [context.Context].
func (*exchangeContext) Done() <-chan struct{} { return nil }

// Err implements [context.Context].
func (*exchangeContext) Err() error { return nil }

// Value returns what net/http's contexts have.
func (x *exchangeContext) Value(key any) any {
	switch key {
	case http.ServerContextKey:
		return x.server.o.Server
	case http.LocalAddrContextKey:
		return x.conn.LocalAddr()
	}
	return nil
}
