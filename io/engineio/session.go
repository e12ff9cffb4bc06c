package engineio

import (
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"crier/io/wsconn"
)

// Handler is asked for a [Receiver] for every new session. It must neither
// send nor close yet: [Receiver] Opened is the place for that. r is the request
// that opens the session; it must not be kept.
type Handler interface {
	Accept(s *Session, r *http.Request) Receiver
}

// Receiver is told what happens to one session: first Opened, then Message
// for one message at a time, in order; Closed, once, possibly while another
// method runs, or instead of Opened. Send never calls it: when a queue is full
// or a time-out passes, Closed runs in a goroutine of its own.
type Receiver interface {
	// Opened says that the client has been sent its handshake.
	Opened()
	// Message takes a message. data is valid only during the call. An error
	// closes the session with [ParseError].
	Message(data []byte, binary bool) error
	// Closed says that the session has ended: nothing can be sent any more.
	Closed(reason Reason)
}

type state byte

const (
	stateNew state = iota // no receiver yet
	stateOpen
	stateClosing // ended for the receiver; the transport still has something to deliver
	stateClosed
)

// How long a closed polling session waits for the client's next request: to
// tell it so (30 s in the Node server), or to answer one that was on its way
// when the client closed.
const (
	closeLinger = 30 * time.Second
	leaveLinger = time.Second
)

// nudgeInterval is how often a poll is ended while the client moves to another transport.
const nudgeInterval = 100 * time.Millisecond

// Session is a connection with one client, over one transport at a time. It
// is safe for concurrent use.
type Session struct {
	// What is looked at for each packet lies together, up to server: it is in memory that has to be waited for, on a server with many clients.
	first     webSocket     // the transport, if it has begun on a WebSocket: here, it is one object less on the way to the socket
	rev       Revision      // static
	dialect   dialect       // static
	awaiting  bool          // revision 4: a ping is out
	state     atomic.Uint32 // a state; written with mu held, read by anybody
	mu        sync.Mutex    // guards what is not static; held while a transport writes without blocking that another may follow
	transport Transport
	receiver  Receiver // static, set when the session opens
	rare      *rare    // nil while it would be empty
	server    *Server  // static

	timer    wsconn.Timer  // filed in server.wheel
	id       string        // static
	beat     time.Duration // when the next ping is due, or the heartbeat is overdue; since server.start
	deadline time.Duration // SetDeadline, or the end of lingering; 0 = none
}

// rare is what a session has for a while only.
type rare struct {
	candidate *candidate // an upgrade under way
	confirms  confirms
	pace      wsconn.Pace     // of what the client says; used with Options.MessagesPerSecond
	kept      *wsconn.Account // of what Keep says; nil: nothing
}

// moreLocked returns what is rare, made if there is nothing.
func (s *Session) moreLocked() *rare {
	if s.rare == nil {
		s.rare = new(rare)
	}
	return s.rare
}

// lessLocked lets go of what has become empty.
func (s *Session) lessLocked() {
	if s.rare.candidate == nil && len(s.rare.confirms.waiting) == 0 && s.rare.pace == (wsconn.Pace{}) && s.rare.kept == nil {
		s.rare = nil
	}
}

// candidateLocked returns the upgrade under way, or nil.
func (s *Session) candidateLocked() *candidate {
	if s.rare == nil {
		return nil
	}
	return s.rare.candidate
}

// A candidate is a WebSocket that the session may move to.
type candidate struct {
	socket   *webSocket
	deadline time.Duration // the upgrade must be complete by then
	probed   bool
}

func (s *Session) load() state { return state(s.state.Load()) }

// ID is the session id, 24 characters behind [Options] Tag that nobody can guess: who knows it can
// act as the client.
func (s *Session) ID() string { return s.id }

// Revision is the Engine.IO revision that the client speaks.
func (s *Session) Revision() Revision { return s.rev }

// Transport is the name of the transport in use.
func (s *Session) Transport() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.transport.Name()
}

// Send sends p without blocking. [ErrQueueFull] means that the peer did not
// keep up: the session has been closed, so that the client comes back with an
// empty queue. [ErrClosed] means that it had ended before.
func (s *Session) Send(p *Prepared) error {
	if t := s.own(); t != nil {
		if s.load() != stateOpen {
			return ErrClosed
		}
		return s.sent(t.Send(p))
	}
	s.mu.Lock()
	err := s.sendLocked(p)
	s.mu.Unlock()
	return s.sent(err)
}

// SendVolatile sends p if it can leave at once and else drops it; sent tells which.
func (s *Session) SendVolatile(p *Prepared) (sent bool, err error) {
	s.mu.Lock()
	if s.load() == stateOpen && !s.transport.Writable() {
		s.mu.Unlock()
		return false, nil
	}
	err = s.sendLocked(p)
	s.mu.Unlock()
	return err == nil, s.sent(err)
}

func (s *Session) sendLocked(p *Prepared) error {
	if s.load() != stateOpen {
		return ErrClosed
	}
	return s.transport.Send(p)
}

// sent ends the session if sending failed. The lock must not be held.
func (s *Session) sent(err error) error {
	if err != nil {
		s.sendFailed(err)
	}
	return err
}

func (s *Session) sendFailed(err error) {
	switch {
	case errors.Is(err, ErrQueueFull):
		name, bytes := s.queued()
		if s.end(nil) {
			s.server.laggards.Add(wsconn.Full, name, bytes)
			s.tellLater(SlowConsumer)
		}
	case !errors.Is(err, ErrClosed):
		if s.end(nil) {
			s.tellLater(TransportError)
		}
	}
}

// queued returns what waits for the client, and its transport.
func (s *Session) queued() (transport string, bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.transport.Name(), s.transport.Queued()
}

// tellLater tells the receiver from a goroutine of its own: the caller is a
// sender, who may hold locks that the receiver wants, or the wheel, on which
// every other session waits.
func (s *Session) tellLater(reason Reason) {
	s.server.spawn(func() { s.receiver.Closed(reason) })
}

// Close ends the session in order: what is queued is sent, the client is told,
// and reconnects if it wants to.
func (s *Session) Close() { s.closeFor(ForcedClose) }

// SendBack is Close for somebody who may hold locks, or must not wait.
func (s *Session) SendBack() {
	if s.shut(ForcedClose) {
		s.tellLater(ForcedClose)
	}
}

func (s *Session) closeFor(reason Reason) {
	if s.shut(reason) {
		s.receiver.Closed(reason)
	}
}

// abort ends the session at once.
func (s *Session) abort(reason Reason) {
	if s.end(nil) {
		s.receiver.Closed(reason)
	}
}

// shut begins to close the session in order. It reports whether the caller is
// to tell the receiver.
func (s *Session) shut(reason Reason) (tell bool) {
	s.mu.Lock()
	if s.load() != stateOpen {
		s.mu.Unlock()
		return false
	}
	cand := s.dropCandidateLocked()
	s.loseLocked()
	s.state.Store(uint32(stateClosing))
	done := s.transport.Close()
	if done {
		s.keepLocked(0)
		s.state.Store(uint32(stateClosed))
	} else {
		linger := closeLinger
		if reason == TransportClose {
			linger = leaveLinger
		}
		s.deadline = s.server.now() + linger
		s.rearmLocked()
	}
	s.mu.Unlock()

	if cand != nil {
		cand.Abort()
	}
	if done {
		s.server.forget(s)
	}
	return true
}

// end ends the session at once. If t is not nil, it does so only if t is its
// transport, which then ends itself. It reports whether the caller is to tell
// the receiver.
func (s *Session) end(t Transport) (tell bool) {
	s.mu.Lock()
	if s.load() == stateNew || s.load() == stateClosed || t != nil && s.transport != t {
		s.mu.Unlock()
		return false
	}
	tell = s.load() == stateOpen
	s.state.Store(uint32(stateClosed))
	cand := s.dropCandidateLocked()
	s.loseLocked()
	s.keepLocked(0)
	if t == nil {
		s.transport.Abort()
	}
	s.mu.Unlock()

	if cand != nil {
		cand.Abort()
	}
	s.server.forget(s)
	return tell
}

// Fail is for transports: the connection broke or the peer broke the protocol.
// The transport ends itself. One that the session has left is ignored.
func (s *Session) Fail(t Transport, reason Reason) {
	if s.end(t) {
		s.receiver.Closed(reason)
	}
}

// LogRefusal is for transports: what a client sent is not taken, for the
// reason that err gives it. Of one kind, which is one of few, not every
// refusal is logged.
func (s *Session) LogRefusal(kind, remote string, err error) {
	s.server.refused.Add(kind, "remote", remote, "error", err)
}

// Evict is for transports that are a [wsconn.Evictee]: it ends the session if t has it still, and t ends itself.
func (s *Session) Evict(t Transport) {
	if s.end(t) {
		s.server.laggards.Add(wsconn.Evicted, t.Name(), 0)
		s.tellLater(SlowConsumer)
	}
}

// Keep says how many bytes the receiver keeps of a message of which the rest has not come yet; 0: none any more. They count for
// [Options] Budget beside what waits for clients: a client may keep many messages here, and has sent but little where it
// compresses. They count until the session has ended, and with it the receiver.
func (s *Session) Keep(bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.load() == stateOpen {
		s.keepLocked(bytes)
	}
}

func (s *Session) keepLocked(bytes int) {
	if bytes == 0 && (s.rare == nil || s.rare.kept == nil) {
		return
	}
	r := s.moreLocked()
	if r.kept == nil {
		r.kept = new(wsconn.Account)
	}
	s.server.opts.Budget.Charge(r.kept, (*keeper)(s), bytes)
	if bytes == 0 {
		r.kept = nil
		s.lessLocked()
	}
}

// keeper is a session as the Budget sees it for what its receiver keeps.
type keeper Session

// Evict implements [wsconn.Evictee].
func (k *keeper) Evict() {
	s := (*Session)(k)
	if s.end(nil) {
		s.server.laggards.Add(wsconn.Evicted, s.Transport(), 0)
		s.tellLater(SlowConsumer)
	}
}

// stall is Fail for a client that has taken nothing of so many bytes for too long.
func (s *Session) stall(t Transport, bytes int) {
	if s.end(t) {
		s.server.laggards.Add(wsconn.Stalled, t.Name(), bytes)
		s.receiver.Closed(TransportClose)
	}
}

// Finished is for transports: the client has been told that the session is over.
func (s *Session) Finished() {
	s.mu.Lock()
	done := s.load() == stateClosing
	if done {
		s.keepLocked(0)
		s.state.Store(uint32(stateClosed))
	}
	s.mu.Unlock()
	if done {
		s.server.forget(s)
	}
}

// SetDeadline closes the session after d from now; 0 takes an earlier call
// back. Protocols above use it for clients that connect and then say nothing.
func (s *Session) SetDeadline(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.load() != stateOpen {
		return
	}
	s.deadline = 0
	if d > 0 {
		s.deadline = s.server.now() + d
		if s.deadline < s.beat { // the timer is set for that at the latest
			s.rearmLocked()
		}
	}
}

// Receive is for transports: a packet arrived on t. After [ErrClosed] the
// transport need not do more than stop reading; any other error has ended the
// session, and the transport ends itself.
func (s *Session) Receive(t Transport, p Packet) error {
	s.mu.Lock()
	if s.load() != stateOpen || s.transport != t {
		s.mu.Unlock()
		return ErrClosed
	}
	var heartbeat bool
	var confirmed []waiter
	if p.Type != Message || s.rare != nil {
		heartbeat, confirmed = s.beatLocked(p)
	}
	if heartbeat {
		s.beat = s.nextBeat()
		s.awaiting = false
		if s.rev == Revision4 && s.server.opts.PingInterval < s.server.opts.PingTimeout { // the timer is set for the end of that
			s.rearmLocked()
		}
	}
	var pause time.Duration
	if most := s.server.opts.MessagesPerSecond; most > 0 && p.Type == Message && !p.Binary {
		pause = s.moreLocked().pace.Next(s.server.now(), most)
	}
	s.mu.Unlock()
	tell(confirmed, true)
	if pause > 0 && !s.rest(t, pause) {
		return ErrClosed
	}

	switch p.Type {
	case Message:
		return s.pass(t, p)
	case Ping, Pong:
		if (p.Type == Ping) != (s.rev == Revision3) {
			s.Fail(t, TransportError)
			return errDirection
		}
		if p.Type == Ping {
			return s.Send(s.server.pongFor(p))
		}
	case Close:
		s.closeFor(TransportClose)
		return ErrClosed
	case Open, Upgrade, Noop: // nothing to do on the transport in use
	}
	return nil
}

// pass has the receiver take a message that arrived on t.
func (s *Session) pass(t Transport, p Packet) error {
	err := s.receiver.Message(p.Data, p.Binary)
	if err != nil {
		s.Fail(t, ParseError)
	}
	return err
}

// rest has a client that says too much wait: nothing more is read of it meanwhile. It reports whether t is in use still.
func (s *Session) rest(t Transport, pause time.Duration) bool {
	s.server.rests.Add(1)
	s.Uncork()
	time.Sleep(pause)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.load() == stateOpen && s.transport == t
}

// beatLocked tells whether a packet is part of the heartbeat, and returns whom it confirms.
func (s *Session) beatLocked(p Packet) (heartbeat bool, confirmed []waiter) {
	switch {
	case s.rev == Revision4 && p.Type == Pong:
		return s.pongLocked()
	case s.rev == Revision4:
		return false, nil
	case s.rare != nil && s.rare.confirms.ponged > 0:
		confirmed = s.confirmedLocked(s.rare.confirms.ponged)
	}
	return p.Type == Ping, confirmed
}

// dropCandidateLocked gives up an upgrade under way; the caller aborts what it returns.
func (s *Session) dropCandidateLocked() *webSocket {
	c := s.candidateLocked()
	if c == nil {
		return nil
	}
	s.rare.candidate = nil
	s.lessLocked()
	return c.socket
}
