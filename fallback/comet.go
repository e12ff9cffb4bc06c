package fallback

import (
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"crier/io/engineio"
	"crier/io/httpconn"
	"crier/io/hub"
	"crier/io/wsconn"
)

const (
	// defaultWait and maxWait are how long a poll waits for a message.
	defaultWait = 25 * time.Second
	maxWait     = 60 * time.Second
)

var (
	superseded = Reason{http.StatusConflict, "superseded", "another poll of the same client has come after this one, and takes its place"}
	tooLate    = Reason{http.StatusGone, "too_late", "the client has not polled for too long; poll again"}
)

// comet is the line of a client that polls. What it gets is kept until it shows,
// by the cursor of its next poll, that it has it.
type comet struct {
	client *Client
	secret string       // names the line in cursors; unlike the client's id, nobody else knows it; set before the first cursor
	uid    string       // whose it is; guarded by the server's mu
	timer  wsconn.Timer // answers the poll that waits, or ends the line when none comes; after a Kick, when it can be forgotten

	mu    sync.Mutex // taken before that of the wheel, and before the server's
	box   outbox     // what the client may not have
	first uint64     // how many messages were before those in the box
	poll  *cometPoll // the latest, until it has its answer
	ended *Reason
	at    string // the offset of the last message that the client has got
	waits waits
}

// cometPoll is a poll that has no answer yet. It is guarded by its comet.
type cometPoll struct {
	waiting  *httpconn.Waiting // nil: its handler has it still
	callback string
	missed   bool // the client may have missed messages
}

// pollAnswer is what a poll gets.
type pollAnswer struct {
	next     string
	messages []*wire
	missed   bool // there may have been others that are lost
}

// servePoll answers a poll: GET ?after=&wait=&callback=.
func (s *Server) servePoll(w http.ResponseWriter, r *http.Request) {
	if !s.allows(http.MethodGet, w, r) {
		return
	}
	q, err := newRequest(r, false)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	query := r.URL.Query()
	callback, wait, err := pollOptions(query.Get("callback"), query.Get("wait"))
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	l, count, missed := s.cometOf(q)
	if l == nil {
		if l, err = s.openComet(r, q); err != nil {
			s.refuse(w, r, err)
			return
		}
		if l.client.returning {
			count, missed = parsePosition(q.after).count, false
		}
	}
	if err := l.serve(w, r, cometPoll{callback: callback, missed: missed}, count, wait); err != nil {
		s.refuse(w, r, err)
	}
}

// pollOptions reads callback and wait.
func pollOptions(callback, seconds string) (name string, wait time.Duration, err error) {
	if callback != "" && !validCallback(callback) {
		return "", 0, badRequest("callback has to be the name of a function, such as app.got_1, of up to 128 characters")
	}
	if seconds == "" {
		return callback, defaultWait, nil
	}
	n, err := strconv.ParseUint(seconds, 10, 32)
	if err != nil {
		return "", 0, badRequest("wait has to be a whole number of seconds, 0 or more")
	}
	return callback, min(time.Duration(n)*time.Second, maxWait), nil
}

// cometOf finds the line that a cursor names, with how many messages the client
// has got; nil if there is none. missed says that the cursor is none of the line's.
func (s *Server) cometOf(q *Request) (l *comet, count uint64, missed bool) {
	if q.after == "" {
		return nil, 0, false
	}
	at := parsePosition(q.after)
	s.mu.Lock()
	defer s.mu.Unlock()
	l = s.comets[at.pid]
	if l == nil || q.Query.Has("uid") && q.Query.Get("uid") != l.uid {
		return nil, 0, true
	}
	return l, at.count, false
}

// openComet lets a client in that begins to poll.
func (s *Server) openComet(r *http.Request, q *Request) (*comet, error) {
	c := s.newClient()
	a, err := s.admit(c, r, q)
	if err != nil {
		return nil, err
	}
	l := &comet{client: c, uid: a.UID}
	c.line, c.cursor = l, true
	if !s.hub.Recovers() {
		l.name(engineio.NewID())
	}
	if err := l.client.open(a, q); err != nil {
		s.forget(l)
		return nil, err
	}
	return l, nil
}

// name gives the line its secret, before it has handed out a cursor.
func (l *comet) name(secret string) {
	s := l.client.server
	s.mu.Lock()
	defer s.mu.Unlock()
	l.secret = secret
	s.comets[secret] = l
}

func (s *Server) forget(l *comet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.comets[l.secret] == l {
		delete(s.comets, l.secret)
	}
}

// serve answers a poll for messages after the first count, now or later. The error is a [Reason] for the client, and then nothing
// has been answered.
func (l *comet) serve(w http.ResponseWriter, r *http.Request, of cometPoll, count uint64, wait time.Duration) error {
	p := &of
	if err := l.take(p, count); err != nil {
		return err
	}
	if !p.missed {
		l.waits.reach(count)
	}
	if !p.missed && wait > 0 && l.empty() {
		waiting := httpconn.Park(w, r, l)
		l.park(p, waiting, wait)
		waiting.Wait()
		return nil
	}
	a, err := l.end(p)
	if err == nil {
		l.write(w, a, p.callback)
	}
	return err
}

// take makes a poll the one that there is. What the client has is dropped.
func (l *comet) take(p *cometPoll, count uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended != nil {
		return *l.ended
	}
	earlier := l.poll
	l.poll = p
	l.answerLocked(earlier)
	switch has := count - l.first; {
	case p.missed:
	case count < l.first || has > uint64(len(l.box.list)):
		p.missed = true
	default:
		l.at = lastOffset(l.box.list[:has], l.at)
		l.box.drop(int(has))
		l.settleLocked()
		l.first = count
	}
	l.client.server.wheel.Stop(&l.timer)
	return nil
}

func (l *comet) empty() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.box.list) == 0
}

// park has a poll wait for a message, for so long.
func (l *comet) park(p *cometPoll, waiting *httpconn.Waiting, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.waiting = waiting
	if l.ended != nil || l.poll != p || len(l.box.list) > 0 {
		l.answerLocked(p)
		return
	}
	l.client.server.wheel.Set(&l.timer, l, time.Now().Add(wait))
}

// answerLocked answers a poll that waits, if p is one.
func (l *comet) answerLocked(p *cometPoll) {
	if p == nil || p.waiting == nil {
		return // its handler will
	}
	a, err := l.endLocked(p)
	waiting, callback := p.waiting, p.callback
	p.waiting = nil
	waiting.Respond(func(w http.ResponseWriter) {
		if err != nil {
			writeError(w, err)
			return
		}
		l.write(w, a, callback)
	})
}

// write writes an answer. If that fails the client asks again.
func (l *comet) write(w http.ResponseWriter, a pollAnswer, callback string) {
	if err := a.write(w, callback); err != nil {
		l.client.server.log.Debug("a poll was not answered", "error", err)
	}
}

// Gone implements [httpconn.Owner].
func (l *comet) Gone(waiting *httpconn.Waiting) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.poll != nil && l.poll.waiting == waiting && l.ended == nil {
		l.poll = nil
		l.armLocked()
	}
}

// end takes what a poll is answered with.
func (l *comet) end(p *cometPoll) (pollAnswer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.endLocked(p)
}

func (l *comet) endLocked(p *cometPoll) (pollAnswer, error) {
	switch {
	case l.ended != nil:
		return pollAnswer{}, *l.ended
	case l.poll != p:
		return pollAnswer{}, superseded
	}
	l.poll = nil
	l.armLocked()
	messages := append([]*wire(nil), l.box.list...)
	next := position{l.secret, l.first + uint64(len(messages)), lastOffset(messages, l.at)}
	return pollAnswer{next: next.String(), messages: messages, missed: p.missed}, nil
}

// armLocked has Tick called when no poll has come in time.
func (l *comet) armLocked() {
	o := &l.client.server.o
	l.client.server.wheel.Set(&l.timer, l, time.Now().Add(o.PingInterval+o.PingTimeout))
}

// send implements [line].
func (l *comet) send(p placed, volatile bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.ended != nil:
		return hub.ErrGone
	case volatile && l.poll == nil:
		return hub.ErrSlow
	}
	if err := l.box.add(p.own(), &l.client.server.o); err != nil {
		return err
	}
	l.settleLocked()
	l.answerLocked(l.poll)
	return nil
}

// settleLocked tells the budget what waits.
func (l *comet) settleLocked() { l.box.settle(l.client.server.o.Budget, l) }

// Evict implements [wsconn.Evictee].
func (l *comet) Evict() { l.client.evict() }

func (*comet) kind() string { return "comet" }

func (l *comet) queued() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.box.bytes
}

func (l *comet) hears() bool { return false }

// begin implements [line].
func (l *comet) begin(at position, list []*wire) error {
	l.name(at.pid)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.first, l.at = at.count, at.offset
	l.box.put(list)
	l.settleLocked()
	return nil
}

// count implements [line]. The cursors have the number.
func (l *comet) count() uint64 { return 0 }

// confirm implements [line]: the cursor of the next poll confirms what is in the box.
func (l *comet) confirm(_ func(), arrived func(ok bool)) {
	l.mu.Lock()
	mark, has := l.first+uint64(len(l.box.list)), len(l.box.list) == 0
	l.mu.Unlock()
	if has {
		arrived(true)
		return
	}
	l.waits.add(mark, arrived)
}

// lastOffset is the offset of the last message that has one.
func lastOffset(list []*wire, before string) string {
	for _, w := range slices.Backward(list) {
		if w.offset != "" {
			return w.offset
		}
	}
	return before
}

// close implements [line]. The poll that waits is told; who has been kicked, with the next one too.
func (l *comet) close(why Reason) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closeLocked(why)
}

// closeLocked ends the line, the first time.
func (l *comet) closeLocked(why Reason) {
	if l.ended != nil {
		return
	}
	l.ended = &why
	l.box.clear()
	l.settleLocked()
	l.answerLocked(l.poll)
	l.client.server.spawn(l.client.gone) // not here, which may be within a delivery
}

func (l *comet) abort() { l.close(Stopping) }

// left implements [line].
func (l *comet) left() *waits {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended != nil && *l.ended == Kicked {
		l.armLocked()
		return nil
	}
	l.client.server.wheel.Stop(&l.timer)
	l.client.server.forget(l)
	return &l.waits
}

// Tick implements [wsconn.Timed].
func (l *comet) Tick(time.Time) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.ended != nil: // the grace of who has been kicked is over
		l.client.server.forget(l)
	case l.poll == nil:
		l.closeLocked(tooLate)
	default:
		l.answerLocked(l.poll)
	}
	return time.Time{}
}
