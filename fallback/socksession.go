package fallback

import (
	"errors"
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
	opening bool      // by the request that came first
	sending bool      // a POST is being handled
	beat    time.Time // when the stream needs a heartbeat
	ended   *Reason

	// How many messages there were, were given to a request, and have got to the client as far as one can know.
	count, given, proved uint64
	arrivals             arrivals // by count
}

// sockReceiver is a stream of a session.
type sockReceiver struct {
	out  stream
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
func (l *sockSession) open(r *http.Request) error {
	s := l.client.server
	q, err := newRequest(r, true)
	if err == nil {
		var enter func(*Client) error
		if enter, err = s.handler.Admit(q); err == nil {
			err = l.client.open(enter, q.after)
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
		if err := l.open(r); err != nil {
			s.write(w, append(first, f.frame(sockClose(reasonOf(err)))...))
			return
		}
		first = append(first, f.frame("o")...)
	}
	one := &sockReceiver{form: f}
	var err error
	if one.out, err = s.newStream(w, r, func() { l.detach(one) }); err != nil {
		s.log.Debug("a stream has not begun", "error", err)
		return
	}
	l.attach(one, first)
	one.out.serve()
}

// attach begins to receive by a stream: first, and then what has waited.
func (l *sockSession) attach(one *sockReceiver, first []byte) {
	var come arrivals
	defer func() { come.tell(true) }()
	l.mu.Lock()
	defer l.mu.Unlock()
	if busy := l.busyLocked(); busy != "" {
		l.give(one, append(first, one.form.frame(busy)...), 0)
		one.out.Close()
		return
	}
	for _, w := range l.box.list {
		first = append(first, w.form(one.form.messages)...)
	}
	messages := len(l.box.list)
	come = l.proveLocked()
	l.box, l.given = outbox{}, l.count
	l.stream = one
	l.beat = time.Now().Add(sockBeat)
	l.armLocked(drainInterval)
	if full := l.give(one, first, messages); full {
		l.client.server.slow.Add(1)
		l.closeLocked(TooSlow)
		return
	}
	l.checkLocked(one)
}

// give sends on a stream, and reports whether its queue was too full for that. Any other error shows in its end.
func (l *sockSession) give(one *sockReceiver, piece []byte, messages int) (full bool) {
	one.sent += len(piece)
	err := one.out.Send(piece, messages)
	if err != nil {
		l.client.server.log.Debug("a stream does not take more", "error", err)
	}
	return errors.Is(err, wsconn.ErrQueueFull)
}

// checkLocked ends a stream that has brought enough; the client begins another.
func (l *sockSession) checkLocked(one *sockReceiver) {
	if one.sent >= sockLimit {
		one.out.Close()
		l.stream = nil
		l.armLocked(sockGap)
	}
}

// detach is told that a stream has ended.
func (l *sockSession) detach(one *sockReceiver) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stream != one {
		return
	}
	l.stream = nil
	if len(l.arrivals) > 0 && l.proved < l.given { // something may be lost that somebody cares for: the client has to begin anew
		l.closeLocked(interrupted)
		return
	}
	l.armLocked(sockGap)
}

// proveLocked is called when the client has got what it was given: it asks for more, or a stream has taken all.
func (l *sockSession) proveLocked() (come arrivals) {
	l.proved = l.given
	return l.arrivals.upTo(l.proved)
}

// confirm implements [line]. A request that follows says that the answer to the last one has arrived; of a stream, all that
// can be known is that the system has taken what was queued.
func (l *sockSession) confirm(a arrival) bool {
	l.mu.Lock()
	ended, known := l.ended != nil, l.proved == l.count
	if !ended && !known {
		a.number = l.count
		l.arrivals = append(l.arrivals, a)
		if l.stream != nil {
			l.armLocked(0)
		}
	}
	l.mu.Unlock()
	if !ended && known {
		a.told(true)
	}
	return !ended
}

// serveSockPoll answers a request that receives once.
func (s *Server) serveSockPoll(w http.ResponseWriter, r *http.Request, name string) {
	l, fresh := s.sockSession(name)
	if fresh {
		frame := "o"
		if err := l.open(r); err != nil {
			frame = sockClose(reasonOf(err))
		}
		s.write(w, sockLines.frame(frame))
		return
	}
	p, busy := l.begin()
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

// begin makes a poll the receiver, or returns the frame that says why not.
func (l *sockSession) begin() (*poll, string) {
	var come arrivals
	defer func() { come.tell(true) }()
	l.mu.Lock()
	defer l.mu.Unlock()
	if busy := l.busyLocked(); busy != "" {
		return nil, busy
	}
	come = l.proveLocked()
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
	l.box, l.given = outbox{}, l.count
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
func (l *sockSession) send(w *wire, volatile bool) error {
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
		l.count++
		l.poll.answer()
		return nil
	}
	piece := w.form(one.form.messages)
	err := sendError(one.out.Send(piece, 1))
	if err == nil {
		l.count++
		l.given = l.count
		one.sent += len(piece)
		l.checkLocked(one)
	}
	return err
}

func (l *sockSession) hears() bool { return true }

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
	l.box = outbox{}
	if one := l.stream; one != nil {
		l.stream = nil
		l.give(one, one.form.frame(sockClose(why)), 0)
		one.out.Close()
	}
	l.poll.answer()
	l.armLocked(sockGap)
	l.client.server.spawn(l.client.gone) // not here, which may be within a delivery
}

func (l *sockSession) abort() { l.close(Stopping) }

// left implements [line]: the timer forgets the session later, so that its client can hear why it ended.
func (l *sockSession) left() {
	l.mu.Lock()
	if l.ended == nil { // it has not been let in after all
		l.ended = &tooLate
	}
	lost := l.arrivals.all()
	l.mu.Unlock()
	lost.tell(false)
}

// Tick implements [wsconn.Timed].
func (l *sockSession) Tick(now time.Time) time.Time {
	var come arrivals
	defer func() { come.tell(true) }()
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.ended != nil:
		l.forgetLocked()
	case l.stream != nil:
		if l.stream.out.Writable() {
			come = l.proveLocked()
			if !now.Before(l.beat) {
				l.give(l.stream, l.stream.form.frame("h"), 0)
			}
		}
		if !now.Before(l.beat) {
			l.beat = now.Add(sockBeat)
		}
		if len(l.arrivals) > 0 {
			return now.Add(drainInterval)
		}
		return l.beat
	case l.poll != nil:
		l.poll.answer()
	default:
		l.closeLocked(tooLate)
		l.forgetLocked()
	}
	return time.Time{}
}
