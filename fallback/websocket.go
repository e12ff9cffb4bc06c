package fallback

import (
	"encoding/binary"
	"errors"
	"net/http"
	"strings"
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

	opened  atomic.Bool   // the client has its place; what it says before is not heard
	waiting atomic.Bool   // a ping has not been answered
	pinged  bool          // owned by Tick: the last one pinged
	asked   atomic.Uint64 // pings that confirm
	waits   waits
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
	if err := s.enter(l.client, r); err != nil { // before there is a WebSocket to tell it with
		s.refuse(w, r, err)
		return
	}
	conn, err := s.o.Upgrader.Upgrade(w, r, subprotocol(r), func(c *wsconn.Conn) wsconn.Handler {
		s.hold() // until Closed, which can come at any time from now on
		l.conn = c
		return l
	})
	if err != nil { // the caller has been answered
		l.client.exit()
		s.log.Debug("websocket handshake failed", "error", err)
		return
	}
	a, err := s.handler.Admit(q)
	if err == nil {
		conn.Cork() // so that it hears nothing, and above all not that it is ready, until it can be reached, which is at Start
		l.sockFrame("o")
		s.wheel.Set(&l.timer, l, time.Now().Add(s.o.PingInterval))
		err = l.client.open(a, q)
	}
	if err != nil {
		l.client.exit()
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
func (l *socket) send(p placed, volatile bool) error {
	if volatile && !l.conn.Writable() {
		return hub.ErrSlow
	}
	return sendError(l.conn.Send(p.own().form(l.form()), 1))
}

// sendAll implements [joiner].
func (l *socket) sendAll(pieces []byte, messages int) error {
	return sendError(l.conn.Send(pieces, messages))
}

// form implements [joiner]: it is that of messages.
func (l *socket) form() form {
	if l.sock {
		return formSockFrame
	}
	return formFrame
}

// begin implements [line].
func (l *socket) begin(_ position, list []*wire) error {
	return sendError(l.conn.Send(joined(list, l.form()), 1))
}

func (l *socket) count() uint64 { return 0 }

// confirm implements [line]: a pong answers a ping that follows what was sent (RFC 6455 §5.5.3).
func (l *socket) confirm(_ func(), arrived func(ok bool)) {
	n := l.asked.Add(1)
	l.waits.add(n, arrived)
	if err := l.conn.Send(wsconn.AppendPing(nil, binary.BigEndian.AppendUint64(nil, n)), 0); err != nil {
		l.client.server.log.Debug("a WebSocket was not pinged", "error", err) // it has ended, or ends
	}
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
	var last []byte
	if l.sock {
		last = wsconn.AppendText(nil, []byte(sockClose(why)))
	}
	l.conn.CloseWith(last, why.close(), why.Text)
	l.client.server.spawn(l.client.gone) // not here, which may be within a delivery
}

func (l *socket) kind() string {
	if l.sock {
		return "sockjs"
	}
	return "ws"
}

// Evict implements [wsconn.Evictee].
func (l *socket) Evict() {
	l.conn.Discard()
	l.client.evict()
}

func (l *socket) queued() int { return l.conn.Queued() }
func (l *socket) hears() bool { return true }
func (l *socket) abort()      { l.conn.Abort() }

// left implements [line].
func (l *socket) left() *waits {
	l.client.server.wheel.Stop(&l.timer)
	l.waits.lose()
	return nil
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
	if len(payload) == 8 {
		l.waits.reach(min(binary.BigEndian.Uint64(payload), l.asked.Load()))
	}
}

// Closed implements [wsconn.Handler].
func (l *socket) Closed(err error) {
	l.client.lost(err)
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
	if err := l.conn.Send(wsconn.AppendPing(nil, nil), 0); errors.Is(err, wsconn.ErrClosed) {
		return time.Time{}
	}
	return now.Add(o.PingTimeout)
}
