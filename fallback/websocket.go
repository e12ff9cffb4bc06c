package fallback

import (
	"encoding/binary"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"crier/io/hub"
	"crier/io/wsconn"
)

// socket is the line of a client on a WebSocket.
type socket struct {
	client *Client
	conn   *wsconn.Conn
	sock   bool         // in the frames of SockJS
	timer  wsconn.Timer // for the heartbeat

	opened  atomic.Bool // the client has its place; what it says before is not heard
	waiting atomic.Bool // a ping has not been answered
	pinged  bool        // owned by Tick: the last one pinged

	mu       sync.Mutex // held while a ping is sent
	pings    uint64     // sent for confirm; the last one's number
	arrivals arrivals   // by the number of the ping behind them
	gone     bool
}

// serveWebSocket lets a client in on a WebSocket. As pages cannot see how a
// handshake is refused, they are told by the close frame.
func (s *Server) serveWebSocket(w http.ResponseWriter, r *http.Request, sock bool) {
	q, err := newRequest(r, true)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	l := &socket{client: s.newClient(), sock: sock}
	l.client.line = l
	conn, err := s.o.Upgrader.Upgrade(w, r, subprotocol(r), func(c *wsconn.Conn) wsconn.Handler {
		s.hold() // until Closed, which can come at any time from now on
		l.conn = c
		return l
	})
	if err != nil { // the caller has been answered
		s.log.Debug("websocket handshake failed", "error", err)
		return
	}
	enter, err := s.handler.Admit(q)
	if err == nil {
		l.sockFrame("o")
		s.wheel.Set(&l.timer, l, time.Now().Add(s.o.PingInterval))
		err = l.client.open(enter, q.after)
	}
	if err != nil {
		s.log.Debug("refused a client", "path", r.URL.Path, "remote", r.RemoteAddr, "error", err)
		conn.Start() // somebody has to read, or the close frame may be lost to a reset
		l.close(reasonOf(err))
		return
	}
	l.opened.Store(true)
	conn.Start()
}

// subprotocol is the header that confirms the first subprotocol that the client
// names, if any. It means nothing; but a browser gives up when none is confirmed
// (WebSockets Standard, "establish a WebSocket connection").
func subprotocol(r *http.Request) http.Header {
	first, _, _ := strings.Cut(r.Header.Get("Sec-WebSocket-Protocol"), ",")
	if first = strings.TrimSpace(first); first == "" {
		return nil
	}
	return http.Header{"Sec-WebSocket-Protocol": {first}}
}

// send implements [line].
func (l *socket) send(w *wire, volatile bool) error {
	if volatile && !l.conn.Writable() {
		return hub.ErrSlow
	}
	f := formFrame
	if l.sock {
		f = formSockFrame
	}
	return sendError(l.conn.Send(w.form(f), 1))
}

// sockFrame sends a frame of SockJS that brings no message. An error shows in the connection's end.
func (l *socket) sockFrame(text string) {
	if !l.sock {
		return
	}
	if err := l.conn.Send(wsconn.AppendText(nil, []byte(text)), 0); err != nil {
		l.client.server.log.Debug("a WebSocket has ended", "error", err)
	}
}

// sendError is the error of a Send of package wsconn as a line's.
func sendError(err error) error {
	switch {
	case errors.Is(err, wsconn.ErrQueueFull):
		return errFull
	case err != nil:
		return hub.ErrGone
	default:
		return nil
	}
}

// close implements [line].
func (l *socket) close(why Reason) {
	l.sockFrame(sockClose(why))
	l.conn.Close(why.close(), why.Text)
	l.client.server.spawn(l.client.gone) // not here, which may be within a delivery
}

func (l *socket) hears() bool { return true }
func (l *socket) abort()      { l.conn.Abort() }

// left implements [line].
func (l *socket) left() {
	l.client.server.wheel.Stop(&l.timer)
	l.mu.Lock()
	l.gone = true
	lost := l.arrivals.all()
	l.mu.Unlock()
	lost.tell(false)
}

// confirm implements [line]: clients answer pings in order (RFC 6455 section 5.5.3), so the answer to one says that all
// before it has arrived.
func (l *socket) confirm(a arrival) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone {
		return false
	}
	l.pings++
	a.number = l.pings
	l.arrivals = append(l.arrivals, a)
	if err := l.pingLocked(); errors.Is(err, wsconn.ErrQueueFull) {
		l.client.server.spawn(l.client.Drop) // which tells a
	}
	return true
}

// pingLocked sends a ping with the number of the last one for confirm: of several a client may answer the last alone.
func (l *socket) pingLocked() error {
	var payload []byte
	if len(l.arrivals) > 0 {
		payload = binary.BigEndian.AppendUint64(nil, l.pings)
	}
	return l.conn.Send(wsconn.AppendPing(nil, payload), 0)
}

// Message implements [wsconn.Handler].
func (l *socket) Message(_ ws.OpCode, payload []byte) error {
	l.waiting.Store(false)
	if !l.opened.Load() || l.sock && len(payload) == 0 {
		return nil
	}
	hear := l.client.receive
	if l.sock {
		hear = l.client.hear
	}
	if err := hear(payload); err != nil {
		l.close(reasonOf(err))
	}
	return nil
}

// Pong implements [wsconn.PongHandler].
func (l *socket) Pong(payload []byte) {
	l.waiting.Store(false)
	if len(payload) != 8 {
		return
	}
	l.mu.Lock()
	come := l.arrivals.upTo(min(binary.BigEndian.Uint64(payload), l.pings))
	l.mu.Unlock()
	come.tell(true)
}

// Closed implements [wsconn.Handler].
func (l *socket) Closed(error) {
	l.client.gone()
	l.client.server.release()
}

// Tick implements [wsconn.Timed]: it pings, and ends who has not answered in time.
func (l *socket) Tick(now time.Time) time.Time {
	o := &l.client.server.o
	if l.pinged {
		l.pinged = false
		if l.waiting.Load() {
			l.abort()
			return time.Time{}
		}
		return now.Add(max(o.PingInterval-o.PingTimeout, 0))
	}
	l.pinged = true
	l.waiting.Store(true)
	l.sockFrame("h")
	l.mu.Lock()
	err := l.pingLocked()
	l.mu.Unlock()
	if errors.Is(err, wsconn.ErrClosed) {
		return time.Time{}
	}
	return now.Add(o.PingTimeout)
}
