package fallback

import (
	"context"
	"net/http"
	"strconv"
	"strings"
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
	superseded  = Reason{http.StatusConflict, "superseded", "another poll of the same client has come after this one, and takes its place"}
	interrupted = Reason{http.StatusGone, "interrupted", "the connection broke before all of it had arrived; connect again"}
	tooLate     = Reason{http.StatusGone, "too_late", "the client has not polled for too long; poll again"}
)

// comet is the line of a client that polls. What it gets is kept until it shows,
// by the cursor of its next poll, that it has it.
type comet struct {
	client *Client
	secret string       // names the line in cursors; unlike the client's id, nobody else knows it
	uid    string       // whose it is; guarded by the server's mu
	timer  wsconn.Timer // ends the line when no poll comes; after a Kick, when it can be forgotten

	mu    sync.Mutex // taken before that of the wheel, and before the server's
	box   outbox     // what the client may not have
	first uint64     // how many messages were before those in the box
	poll  *poll      // the one that waits
	ended *Reason

	arrivals arrivals // by how many messages there were
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
		if l, err = s.openComet(q); err != nil {
			s.refuse(w, r, err)
			return
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
	secret, number, _ := strings.Cut(q.after, ".")
	count, err := strconv.ParseUint(number, 10, 64)
	s.mu.Lock()
	defer s.mu.Unlock()
	l = s.comets[secret]
	if err != nil || l == nil || q.Query.Has("uid") && q.Query.Get("uid") != l.uid {
		return nil, 0, true
	}
	return l, count, false
}

// openComet lets a client in that begins to poll.
func (s *Server) openComet(q *Request) (*comet, error) {
	enter, err := s.handler.Admit(q)
	if err != nil {
		return nil, err
	}
	l := &comet{client: s.newClient(), secret: engineio.NewID()}
	l.client.line = l
	s.mu.Lock()
	s.comets[l.secret] = l
	s.mu.Unlock()
	if err := l.client.open(enter, ""); err != nil {
		s.forget(l)
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l.uid = l.client.Member().UID()
	return l, nil
}

func (s *Server) forget(l *comet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.comets, l.secret)
}

// next waits for messages after the first count. The error is a [Reason], or that of ctx.
func (l *comet) next(ctx context.Context, count uint64, missed bool, wait time.Duration) (pollAnswer, error) {
	p, missed, err := l.begin(count, missed)
	if err != nil {
		return pollAnswer{}, err
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

// begin makes a poll the one that waits. What the client has is dropped.
func (l *comet) begin(count uint64, missed bool) (*poll, bool, error) {
	var come arrivals
	defer func() { come.tell(true) }()
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
		l.box.drop(int(has))
		l.first = count
		come = l.arrivals.upTo(count)
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
	next := l.secret + "." + strconv.FormatUint(l.first+uint64(len(messages)), 10)
	return pollAnswer{next: next, messages: messages}, nil
}

// armLocked has Tick called when no poll has come in time.
func (l *comet) armLocked() {
	o := &l.client.server.o
	l.client.server.wheel.Set(&l.timer, l, time.Now().Add(o.PingInterval+o.PingTimeout))
}

// send implements [line].
func (l *comet) send(w *wire, volatile bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.ended != nil:
		return hub.ErrGone
	case volatile && l.poll == nil:
		return hub.ErrSlow
	}
	if err := l.box.add(w, &l.client.server.o); err != nil {
		return err
	}
	l.poll.answer()
	return nil
}

func (l *comet) hears() bool { return false }

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

// confirm implements [line]: the next cursor says what the client has.
func (l *comet) confirm(a arrival) bool {
	l.mu.Lock()
	ended, known := l.ended != nil, len(l.box.list) == 0
	if !ended && !known {
		a.number = l.first + uint64(len(l.box.list))
		l.arrivals = append(l.arrivals, a)
	}
	l.mu.Unlock()
	if !ended && known {
		a.told(true)
	}
	return !ended
}

// left implements [line].
func (l *comet) left() {
	l.mu.Lock()
	if l.ended == nil { // it has not been let in after all
		l.ended = &tooLate
	}
	if *l.ended == Kicked {
		l.armLocked()
	} else {
		l.client.server.wheel.Stop(&l.timer)
		l.client.server.forget(l)
	}
	lost := l.arrivals.all()
	l.mu.Unlock()
	lost.tell(false)
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
