package engineio

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gobwas/ws"

	"crier/io/wsconn"
)

var (
	errDirection = errors.New("engineio: heartbeat in the wrong direction")
	errProbe     = errors.New("engineio: want a probe and then an upgrade packet on the new transport")
)

// handshakePause is between the WebSocket handshake and the open packet of
// revision 3. Programs in Node that await "open" before they listen, as the
// official test suite of that revision does, miss a packet that arrives in one
// segment with the handshake.
const handshakePause = 10 * time.Millisecond

// webSocket is the WebSocket transport: one message per packet.
type webSocket struct {
	session *Session
	conn    *wsconn.Conn
}

func (t *webSocket) Name() string { return "websocket" }

func (t *webSocket) Send(p *Prepared) error {
	return t.send(t.frames(p), p.Packets())
}

// frames returns p as this client takes it, shared.
func (t *webSocket) frames(p *Prepared) []byte {
	if p.large() {
		if z := t.conn.Deflater(); z != nil {
			return p.deflate(p.frameForm(t.session.rev, t.session.dialect), z)
		}
	}
	return p.frames(t.session.rev, t.session.dialect)
}

// sendAll sends all that another transport has left, and the pings behind it,
// in one go, which the limits of an empty queue always allow.
func (t *webSocket) sendAll(list []*Prepared, pings []byte) error {
	if len(list) == 1 && pings == nil {
		return t.Send(list[0])
	}
	var joined []byte
	packets := 0
	for _, p := range list {
		joined = append(joined, t.frames(p)...)
		packets += p.Packets()
	}
	return t.send(append(joined, pings...), packets)
}

func (t *webSocket) send(frames []byte, packets int) error {
	return sendError(t.conn.Send(frames, packets))
}

// sendCopy sends the frame of one packet, which may change after it.
func (t *webSocket) sendCopy(frame []byte) error { return sendError(t.conn.SendCopy(frame, 1)) }

// sendError is an error of a WebSocket as one of a transport.
func sendError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, wsconn.ErrQueueFull):
		return ErrQueueFull
	case errors.Is(err, wsconn.ErrClosed):
		return ErrClosed
	default:
		return err
	}
}

func (t *webSocket) Writable() bool { return t.conn.Writable() }

func (t *webSocket) Close() bool {
	if t.session.dialect.breaks {
		t.conn.Hangup()
		return true
	}
	// No status code, as the Node server: clients take it for a lost
	// connection and come back.
	t.conn.Close(0, "")
	return true
}

func (t *webSocket) Queued() int { return t.conn.Queued() }
func (t *webSocket) Abort()      { t.conn.Abort() }

// Cork has what is sent from now on leave in one write, if the session is on a WebSocket: with Uncork, or at the latest when all messages
// that were read together have been handled. Who may wait before that has to Uncork. Only while a message is handled it does anything. A
// write(2) for each message takes longer than all else that is done for it.
func (s *Session) Cork() {
	if t := s.socket(); t != nil {
		t.conn.Cork()
	}
}

// Uncork sends what Cork has held back.
func (s *Session) Uncork() {
	if t := s.socket(); t != nil {
		t.conn.Uncork()
	}
}

// own is the transport if the session has begun on a WebSocket, and nil if it has not. There is none to move to from that, so it is
// used without the session's lock: its connection knows itself when it has ended. That lock and [Session.simple] were a tenth of an event.
func (s *Session) own() *webSocket {
	if s.first.conn != nil {
		return &s.first
	}
	return nil
}

// simple reports whether a message that arrived on t is all the receiver's: it changes nothing of the session, which is as long as t is in use.
func (s *Session) simple(t *webSocket) bool {
	return t == &s.first && s.rev == Revision4 && s.server.opts.MessagesPerSecond == 0 && s.load() == stateOpen
}

// socket is the transport in use if that is a WebSocket.
func (s *Session) socket() *webSocket {
	if t := s.own(); t != nil {
		return t
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t, _ := s.transport.(*webSocket)
	return t
}

// Message implements [wsconn.Handler]. Its errors close the connection.
func (t *webSocket) Message(op ws.OpCode, payload []byte) error {
	p, err := t.parse(op, payload)
	if err != nil {
		t.session.Fail(t, ParseError)
		return err
	}
	if p.Type == Message && t.session.simple(t) {
		return t.session.pass(t, p)
	}
	err = t.session.Receive(t, p)
	if errors.Is(err, ErrClosed) && t.session.isCandidate(t) {
		return t.session.receiveCandidate(t, p) // the session has another transport yet, so nothing has been received
	}
	return err
}

// Pong implements [wsconn.PongHandler].
func (t *webSocket) Pong(payload []byte) { t.session.ponged(t, payload) }

func (t *webSocket) parse(op ws.OpCode, payload []byte) (Packet, error) {
	if op == ws.OpBinary {
		return ParseBinary(t.session.rev, payload)
	}
	p, err := ParseText(t.session.rev, payload)
	if t.session.dialect.twice && !p.Binary {
		p.Data = decodeTwice(p.Data)
	}
	return p, err
}

// Evict implements [wsconn.Evictee].
func (t *webSocket) Evict() {
	t.session.lostCandidate(t)
	t.session.Evict(t)
	t.conn.Abort()
}

// Closed implements [wsconn.Handler].
func (t *webSocket) Closed(err error) {
	if ce, ok := errors.AsType[*wsconn.CloseError](err); ok && !ce.Remote && ce.Code == ws.StatusMessageTooBig {
		t.session.LogRefusal("message too big", t.conn.RemoteAddr().String(),
			fmt.Errorf("the message is larger than %d bytes (setting `socketio.max_payload`)", t.session.server.opts.MaxPayload))
	}
	t.session.lostCandidate(t)
	if stalled, ok := errors.AsType[*wsconn.StalledError](err); ok {
		t.session.stall(t, stalled.Bytes)
	} else {
		t.session.Fail(t, closeReason(err))
	}
	t.session.server.release()
}

// closeReason tells a connection that ended, in order or not, from a peer that
// broke the protocol, as the Node server does.
func closeReason(err error) Reason {
	if ce, ok := errors.AsType[*wsconn.CloseError](err); ok && !ce.Remote {
		return TransportError
	}
	return TransportClose
}

// isCandidate reports whether t is a WebSocket that the session may move to.
func (s *Session) isCandidate(t *webSocket) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.candidateLocked()
	return c != nil && c.socket == t
}

// offer makes t the transport that the session may move to; false if it has
// moved, is about to, or has ended.
func (s *Session) offer(t *webSocket) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.load() != stateOpen || s.candidateLocked() != nil || s.transport.Name() == "websocket" {
		return false
	}
	s.moreLocked().candidate = &candidate{socket: t, deadline: s.server.now() + s.server.opts.UpgradeTimeout}
	s.rearmLocked()
	return true
}

// receiveCandidate handles what arrives on a WebSocket before the session has
// moved to it: a ping "probe", answered, and then an upgrade packet
// (v4-current.md, "Upgrade").
func (s *Session) receiveCandidate(t *webSocket, p Packet) error {
	switch {
	case p.Type == Ping && bytes.Equal(p.Data, []byte("probe")):
		return s.probe(t)
	case p.Type == Upgrade && s.upgrade(t):
		s.server.upgrades.Add(1)
		return nil
	}
	s.lostCandidate(t)
	return errProbe // which closes t
}

func (s *Session) probe(t *webSocket) error {
	if err := t.Send(s.server.probePong); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.candidateLocked()
	if c == nil || c.socket != t {
		return ErrClosed
	}
	c.probed = true
	if old, ok := s.transport.(RequestTransport); ok {
		old.Nudge()
	}
	s.rearmLocked()
	return nil
}

// upgrade moves the session to t, with all that the old transport has not sent.
func (s *Session) upgrade(t *webSocket) bool {
	s.mu.Lock()
	old, ok := s.transport.(RequestTransport)
	c := s.candidateLocked()
	if !ok || s.load() != stateOpen || c == nil || c.socket != t || !c.probed {
		s.mu.Unlock()
		return false
	}
	unsent, unconfirmed, ok := old.Handover()
	if !ok {
		s.mu.Unlock()
		return false
	}
	s.transport = t
	confirmed := s.confirmedLocked(len(s.rare.confirms.waiting) - unconfirmed)
	err := t.sendAll(unsent, s.pingsLocked(unconfirmed))
	s.dropCandidateLocked()
	s.mu.Unlock()
	tell(confirmed, true)
	return s.sent(err) == nil
}

// lostCandidate forgets t if it was an upgrade under way.
func (s *Session) lostCandidate(t *webSocket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.candidateLocked(); c != nil && c.socket == t {
		s.dropCandidateLocked()
	}
}

// serveWebSocket opens the session s, if it is new, on a WebSocket, or else
// offers the WebSocket to it.
func (srv *Server) serveWebSocket(w http.ResponseWriter, r *http.Request, s *Session, isNew bool) {
	t := &s.first
	if !isNew {
		t = new(webSocket)
	}
	t.session = s
	conn, err := srv.upgrader.Upgrade(w, r, nil, func(c *wsconn.Conn) wsconn.Handler {
		srv.hold() // until Closed, which can come at any time from now on
		t.conn = c
		return t
	})
	if err != nil { // the caller has been answered
		srv.log.Debug("websocket handshake failed", "error", err)
		if isNew {
			srv.left(s)
		}
		return
	}
	switch {
	case isNew:
		if s.rev == Revision3 {
			conn.Uncork()
			time.Sleep(handshakePause)
		}
		srv.open(s, t, r)
	case !s.offer(t):
		srv.log.Debug("closed a WebSocket for a session that cannot move to it", "remote", r.RemoteAddr)
		conn.Close(0, "")
		return
	}
	conn.Start()
}
