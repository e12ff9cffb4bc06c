package fallback

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"crier/io/engineio"
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
	timer  wsconn.Timer // ends the line when no poll comes; after a Kick, when it can be forgotten

	mu    sync.Mutex // taken before that of the wheel, and before the server's
	box   outbox     // what the client may not have
	first uint64     // how many messages were before those in the box
	poll  *poll      // the one that waits
	ended *Reason
	at    string // the offset of the last message that the client has got
	waits waits
}

// poll is one that waits. It is guarded by its owner.
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
	a, err := l.next(r.Context(), count, missed, wait)
	switch {
	case r.Context().Err() != nil: // the client has gone
	case err != nil:
		s.refuse(w, r, err)
	default:
		if err := a.write(w, callback); err != nil {
			s.log.Debug("a poll was not answered", "error", err) // the client asks again
		}
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

// next waits for messages after the first count. The error is a [Reason], or that of ctx.
func (l *comet) next(ctx context.Context, count uint64, missed bool, wait time.Duration) (pollAnswer, error) {
	p, missed, err := l.wait(count, missed)
	if err != nil {
		return pollAnswer{}, err
	}
	if !missed {
		l.waits.reach(count)
	}
	if !missed && wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-p.wake:
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	a, err := l.end(p)
	a.missed = missed
	return a, err
}

// wait makes a poll the one that waits. What the client has is dropped.
func (l *comet) wait(count uint64, missed bool) (*poll, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended != nil {
		return nil, false, *l.ended
	}
	l.poll.answer() // an earlier one
	switch has := count - l.first; {
	case missed:
	case count < l.first || has > uint64(len(l.box.list)):
		missed = true
	default:
		l.at = lastOffset(l.box.list[:has], l.at)
		l.box.drop(int(has))
		l.first = count
	}
	l.poll = newPoll()
	l.client.server.wheel.Stop(&l.timer)
	if len(l.box.list) > 0 {
		l.poll.answer()
	}
	return l.poll, missed, nil
}

// end takes what a poll is answered with.
func (l *comet) end(p *poll) (pollAnswer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
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
	return pollAnswer{next: next.String(), messages: messages}, nil
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
	l.poll.answer()
	return nil
}

func (*comet) kind() string { return "comet" }

func (l *comet) hears() bool { return false }

// begin implements [line].
func (l *comet) begin(at position, list []*wire) error {
	l.name(at.pid)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.first, l.at = at.count, at.offset
	l.box.put(list)
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
	l.box = outbox{}
	l.poll.answer()
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
	}
	return time.Time{}
}
