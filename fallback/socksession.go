package fallback

import (
	"net/http"
	"sync"
	"time"

	"crier/io/hub"
	"crier/io/wsconn"
)

// sockSession is the line of a client of SockJS that has no WebSocket. It
// receives by one request after the other: a stream, or polls.
type sockSession struct {
	client *Client
	name   string       // that the client gave it
	timer  wsconn.Timer // for heartbeats, and for the end of a gap

	mu      sync.Mutex // taken before that of the wheel, of the server and of a stream
	box     outbox     // what no request has taken yet
	stream  *sockReceiver
	poll    *poll
	opening bool // by the request that came first
	sending bool // a POST is being handled
	ended   *Reason
	number  uint64 // of messages
	silent  bool   // some were given to a request whose end does not say that it has brought them
	waits   waits
}

// sockReceiver is a stream of a session.
type sockReceiver struct {
	out  stream
	once bool // the client begins the next only when this has ended well
	form sockForm
	sent int // bytes of messages
}

// sockSession finds the session of that name, or makes it, which its request then
// has to open.
func (s *Server) sockSession(name string) (l *sockSession, fresh bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.socks[name]; l != nil {
		return l, false
	}
	l = &sockSession{client: s.newClient(), name: name, opening: true}
	l.client.line = l
	s.socks[name] = l
	return l, true
}

// open lets the client of a new session in, by its first request.
func (l *sockSession) open(r *http.Request, silent bool) error {
	s := l.client.server
	l.mu.Lock()
	l.silent = silent
	l.mu.Unlock()
	q, err := newRequest(r, true)
	if err == nil {
		var a *Admission
		if a, err = s.admit(l.client, r, q); err == nil {
			err = l.client.open(a, q)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.opening = false
	if err != nil {
		s.log.Debug("refused a client", "path", r.URL.Path, "remote", r.RemoteAddr, "error", err)
		l.forgetLocked()
		return err
	}
	l.armLocked(sockGap)
	return nil
}

func (l *sockSession) forgetLocked() {
	s := l.client.server
	s.wheel.Stop(&l.timer)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.socks[l.name] == l {
		delete(s.socks, l.name)
	}
}

func (l *sockSession) armLocked(after time.Duration) {
	l.client.server.wheel.Set(&l.timer, l, time.Now().Add(after))
}

// busyLocked is the frame for a request that cannot receive, or "".
func (l *sockSession) busyLocked() string {
	switch {
	case l.ended != nil:
		return sockClose(*l.ended)
	case l.stream != nil || l.poll != nil || l.opening:
		return sockBusy
	}
	return ""
}

// serveSockStream answers a request that receives for as long as it lasts.
func (s *Server) serveSockStream(w http.ResponseWriter, r *http.Request, name string, f sockForm) {
	l, fresh := s.sockSession(name)
	first := []byte(f.prelude)
	if fresh {
		if err := l.open(r, f.messages != formSockLine); err != nil {
			s.write(w, append(first, f.frame(sockClose(reasonOf(err)))...))
			return
		}
		first = append(first, f.frame("o")...)
	}
	l.received()
	one := &sockReceiver{form: f, once: f.messages == formSockLine}
	var err error
	if one.out, err = s.newStream(w, r, func(err error) { l.detach(one, err) }, func(out stream) { l.evictStream(one, out) }); err != nil {
		s.log.Debug("a stream has not begun", "error", err)
		return
	}
	l.attach(one, first)
	one.out.serve()
}

// attach begins to receive by a stream: first, and then what has waited.
func (l *sockSession) attach(one *sockReceiver, first []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if busy := l.busyLocked(); busy != "" {
		one.out.Close(append(first, one.form.frame(busy)...))
		return
	}
	for _, w := range l.box.list {
		first = append(first, w.form(one.form.messages)...)
	}
	messages := len(l.box.list)
	l.box.clear()
	l.settleLocked()
	l.stream, l.silent = one, !one.once
	l.armLocked(sockBeat)
	l.give(one, first, messages)
	l.checkLocked(one)
	if messages > 0 {
		l.turnLocked()
	}
}

// give sends on a stream for which nothing waits. An error shows in its end.
func (l *sockSession) give(one *sockReceiver, piece []byte, messages int) {
	one.sent += len(piece)
	if err := one.out.Send(piece, messages); err != nil {
		l.client.server.log.Debug("a stream does not take more", "error", err)
	}
}

// checkLocked ends a stream that has brought enough; the client begins another.
func (l *sockSession) checkLocked(one *sockReceiver) {
	if one.sent >= sockLimit {
		one.out.Close(nil)
		l.stream = nil
		l.armLocked(sockGap)
	}
}

// detach is told that a stream has ended, with err. What a client has not taken for too long is lost, which it is told when it
// comes again.
func (l *sockSession) detach(one *sockReceiver, err error) {
	stalled := l.client.stalled(err)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.stream != one:
	case stalled:
		l.stream = nil
		l.closeLocked(TooSlow)
	default:
		l.stream = nil
		l.armLocked(sockGap)
	}
}

// serveSockPoll answers a request that receives once.
func (s *Server) serveSockPoll(w http.ResponseWriter, r *http.Request, name string) {
	l, fresh := s.sockSession(name)
	if fresh {
		frame := "o"
		if err := l.open(r, false); err != nil {
			frame = sockClose(reasonOf(err))
		}
		s.write(w, sockLines.frame(frame))
		return
	}
	l.received()
	p, busy := l.wait()
	if p == nil {
		s.write(w, sockLines.frame(busy))
		return
	}
	select {
	case <-p.wake:
	case <-r.Context().Done():
	}
	if answer := l.end(r.Context().Err() != nil); answer != nil {
		s.write(w, answer)
	}
}

// wait makes a poll the receiver, or returns the frame that says why not.
func (l *sockSession) wait() (*poll, string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if busy := l.busyLocked(); busy != "" {
		return nil, busy
	}
	l.poll = newPoll()
	l.armLocked(sockBeat)
	if len(l.box.list) > 0 {
		l.poll.answer()
	}
	return l.poll, ""
}

// end takes what the poll is answered with; nothing if its client has gone.
func (l *sockSession) end(gone bool) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.poll = nil
	if l.ended != nil {
		return sockLines.frame(sockClose(*l.ended))
	}
	l.armLocked(sockGap)
	switch {
	case gone:
		return nil
	case len(l.box.list) == 0:
		return sockLines.frame("h")
	}
	b := []byte("a[")
	for i, w := range l.box.list {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, w.sockString()...)
	}
	l.box.clear()
	l.settleLocked()
	return append(b, "]\n"...)
}

// serveSockSend takes messages of the client.
func (s *Server) serveSockSend(w http.ResponseWriter, r *http.Request, name string) {
	s.mu.Lock()
	l := s.socks[name]
	s.mu.Unlock()
	if l == nil || !l.beginSend() {
		s.refuse(w, r, Reason{http.StatusNotFound, "no_session", "there is no session of this name, or it is being sent to already"})
		return
	}
	defer l.endSend()
	data, err := readPost(w, r, s.o.MaxPayload)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	if err := l.client.hear(data); err != nil {
		l.close(reasonOf(err))
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusNoContent)
}

func (l *sockSession) beginSend() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.opening || l.sending || l.ended != nil {
		return false
	}
	l.sending = true
	return true
}

func (l *sockSession) endSend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sending = false
}

// send implements [line].
func (l *sockSession) send(p placed, volatile bool) error {
	w := p.own()
	l.mu.Lock()
	defer l.mu.Unlock()
	one := l.stream
	switch {
	case l.ended != nil:
		return hub.ErrGone
	case volatile && (one == nil && l.poll == nil || one != nil && !one.out.Writable()):
		return hub.ErrSlow
	case one == nil:
		if err := l.box.add(w, &l.client.server.o); err != nil {
			return err
		}
		l.settleLocked()
		l.number++
		l.poll.answer()
		return nil
	}
	piece := w.form(one.form.messages)
	err := sendError(one.out.Send(piece, 1))
	if err == nil {
		l.number++
		one.sent += len(piece)
		l.checkLocked(one)
	}
	return err
}

// settleLocked tells the budget what no request has taken.
func (l *sockSession) settleLocked() { l.box.settle(l.client.server.o.Budget, l) }

// Evict implements [wsconn.Evictee].
func (l *sockSession) Evict() { l.client.evict() }

// evictStream ends the session whose stream it is, or what is left of an earlier one.
func (l *sockSession) evictStream(one *sockReceiver, out stream) {
	l.mu.Lock()
	current := l.stream == one
	l.mu.Unlock()
	if !current {
		out.Abort()
		return
	}
	out.Discard()
	l.client.evict()
}

func (*sockSession) kind() string { return "sockjs" }

func (l *sockSession) queued() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stream != nil {
		return l.stream.out.Queued()
	}
	return l.box.bytes
}

func (l *sockSession) hears() bool { return true }

// begin implements [line].
func (l *sockSession) begin(at position, list []*wire) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.number = at.count + uint64(len(list))
	l.box.put(list)
	l.settleLocked()
	return nil
}

// count implements [line].
func (l *sockSession) count() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.number
}

// confirm implements [line]. A client of XMLHttpRequest makes its next request when the last has ended well: a stream ends,
// so that it does. Nothing comes back on an event stream, as with [events].
func (l *sockSession) confirm(taken func(), arrived func(ok bool)) {
	l.mu.Lock()
	silent := l.silent
	l.mu.Unlock()
	l.waits.add(l.count(), arrived)
	if silent {
		l.client.server.pace(l.writable, taken)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turnLocked()
}

// turnLocked ends a stream whose client has something to confirm.
func (l *sockSession) turnLocked() {
	if one := l.stream; one != nil && one.once && l.waits.some() {
		one.out.Close(nil)
		l.stream = nil
		l.armLocked(sockGap)
	}
}

// received notes that a request comes that receives, and so that the one before has brought what was given to it.
func (l *sockSession) received() {
	l.mu.Lock()
	given := l.number - uint64(len(l.box.list))
	idle := l.busyLocked() == "" && !l.silent
	l.mu.Unlock()
	if idle {
		l.waits.reach(given)
	}
}

// writable reports whether nothing waits for the stream, or the session is over.
func (l *sockSession) writable() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended != nil || l.stream != nil && l.stream.out.Writable()
}

// close implements [line]. The request that receives is told, or those that come within a gap.
func (l *sockSession) close(why Reason) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closeLocked(why)
}

func (l *sockSession) closeLocked(why Reason) {
	if l.ended != nil {
		return
	}
	l.ended = &why
	l.box.clear()
	l.settleLocked()
	if one := l.stream; one != nil {
		l.stream = nil
		one.out.Close(one.form.frame(sockClose(why)))
	}
	l.poll.answer()
	l.armLocked(sockGap)
	l.client.server.spawn(l.client.gone) // not here, which may be within a delivery
}

func (l *sockSession) abort() { l.close(Stopping) }

// left implements [line]: the timer forgets the session later, so that its client can hear why it ended.
func (l *sockSession) left() *waits { return &l.waits }

// Tick implements [wsconn.Timed].
func (l *sockSession) Tick(now time.Time) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.ended != nil:
		l.forgetLocked()
	case l.stream != nil:
		if l.stream.out.Writable() {
			l.give(l.stream, l.stream.form.frame("h"), 0)
		}
		return now.Add(sockBeat)
	case l.poll != nil:
		l.poll.answer()
	default:
		l.closeLocked(tooLate)
		l.forgetLocked()
	}
	return time.Time{}
}

// poll is a request that waits for messages. It is guarded by its session.
type poll struct {
	wake  chan struct{} // closed when there is something to answer
	woken bool
}

func newPoll() *poll { return &poll{wake: make(chan struct{})} }

// answer wakes the poll, if there is one.
func (p *poll) answer() {
	if p != nil && !p.woken {
		p.woken = true
		close(p.wake)
	}
}
