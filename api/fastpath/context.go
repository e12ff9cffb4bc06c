package fastpath

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// requestContext is the context of the request in hand. As under net/http it ends with the request, or when the caller goes
// away; but the connection is watched for that only from the first call of Done on, which most requests do without.
type requestContext struct {
	// static
	conn *conn

	// guarded by mu
	mu      sync.Mutex
	live    bool          // the handler runs
	left    bool          // and has the connection
	nc      net.Conn      // the connection
	done    chan struct{} // nil until somebody asks
	err     error
	watched chan struct{} // closed when nobody reads any more; nil until somebody has

	// owned by the watching goroutine until watched is closed
	early [1]byte
	count int // of early
}

// Deadline returns none.
func (x *requestContext) Deadline() (deadline time.Time, ok bool) { return time.Time{}, false }

// Done returns a channel that is closed at the end.
func (x *requestContext) Done() <-chan struct{} {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.done == nil {
		x.done = make(chan struct{})
		if x.live {
			x.startLocked()
		} else {
			x.cancelLocked()
		}
	}
	return x.done
}

// Err returns context.Canceled after the end, if Done has been called.
func (x *requestContext) Err() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.err
}

// Value returns what net/http's contexts have.
func (x *requestContext) Value(key any) any {
	switch key {
	case http.ServerContextKey:
		return x.conn.listener.server
	case http.LocalAddrContextKey:
		x.mu.Lock()
		defer x.mu.Unlock()
		return x.nc.LocalAddr()
	}
	return nil
}

// startLocked begins to watch the connection; mu is held.
func (x *requestContext) startLocked() {
	if x.left {
		return
	}
	if err := x.conn.nc.SetReadDeadline(time.Time{}); err != nil {
		x.cancelLocked() // it has been closed
		return
	}
	x.watched = make(chan struct{})
	go x.watch() // end waits for it
}

// cancelLocked ends the context; mu is held.
func (x *requestContext) cancelLocked() {
	if x.err == nil {
		x.err = context.Canceled
		close(x.done)
	}
}

// watch reads from the connection until something comes, which is the beginning of the next request, or it ends.
func (x *requestContext) watch() {
	defer close(x.watched)
	n, err := x.conn.nc.Read(x.early[:])
	x.count = n
	if n > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		return // the deadline is end's
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.cancelLocked()
}

// begin makes x the context of a request, and reports whether it can be: not once somebody has asked for Done.
func (x *requestContext) begin() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.live, x.left, x.nc = x.done == nil, false, x.conn.nc
	return x.live
}

// leave leaves the connection to the handler: nobody watches it any more. It returns what has been seen of the client.
func (x *requestContext) leave() (seen []byte, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.left = true
	err = x.unwatchLocked()
	return x.early[:x.count], err
}

// unwatchLocked ends the watch, if there is one; mu is held, but for the time until then.
func (x *requestContext) unwatchLocked() error {
	if x.watched == nil {
		return nil
	}
	err := x.conn.nc.SetReadDeadline(time.Unix(1, 0)) // fails if it has been closed, which ends the watch too
	x.mu.Unlock()
	<-x.watched
	x.mu.Lock()
	x.watched = nil
	return err
}

// end ends the request, and the watch if there is one. It reports whether somebody has asked for Done: then x is used up,
// and the connection's read deadline is another.
func (x *requestContext) end() (asked bool, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.live = false
	if x.done == nil {
		return false, nil
	}
	err = x.unwatchLocked()
	x.cancelLocked()
	return true, err
}
