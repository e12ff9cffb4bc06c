package app

import (
	"log/slog"
	"net"
	"sync/atomic"
	"time"
)

// turnAwayAnswer is what a connection is sent that there is no room for.
const turnAwayAnswer = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 10\r\nContent-Length: 0\r\n\r\n"

// turnAwayQuiet is how often it is logged at most that connections are turned away.
const turnAwayQuiet = time.Minute

// doorkeeper is a port that turns connections away when the process is about to run out of descriptors: they would be those of
// the push port, of callbacks and of the store. It is a [net.Listener], or is asked of each connection.
type doorkeeper struct {
	net.Listener
	open  func() int64 // connections of the port
	most  atomic.Int64 // that there may be
	plain bool         // what is turned away can be told why: there is no TLS
	log   *slog.Logger

	turned atomic.Uint64
	said   time.Time // owned by who accepts
}

// Accept implements [net.Listener].
func (d *doorkeeper) Accept() (net.Conn, error) {
	for {
		conn, err := d.Listener.Accept()
		if err != nil || d.admit(conn) {
			return conn, err
		}
	}
}

// admit says whether there is room for a connection that has just been accepted, and turns it away otherwise.
func (d *doorkeeper) admit(conn net.Conn) bool {
	if d.open() < d.most.Load() {
		return true
	}
	d.turnAway(conn)
	return false
}

// turnAway ends a connection that has just been accepted.
func (d *doorkeeper) turnAway(conn net.Conn) {
	d.turned.Add(1)
	if time.Since(d.said) >= turnAwayQuiet {
		d.said = time.Now()
		d.log.Warn("connections are turned away: nearly all files that the process may have open are; raise the limit (LimitNOFILE, ulimit -n) or lower `limits.connections`",
			"turned_away", d.turned.Load())
	}
	if d.plain { // it fits into the empty buffer of a new connection
		if _, err := conn.Write([]byte(turnAwayAnswer)); err != nil {
			d.log.Debug("a connection was not told why it is turned away", "error", err)
		}
	}
	if err := conn.Close(); err != nil {
		d.log.Debug("a connection that was turned away had ended", "error", err)
	}
}
