package api

import (
	"bytes"
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// links are the connections that callers keep open.
type links struct {
	mu     sync.Mutex
	closed bool
	open   map[*link]struct{}
}

// handful is how many lines are parsed, at most, before the first of them is pushed.
const handful = 16

// aheadOf is how many lines may be pushed while one before them waits for acknowledgements or the disk.
const aheadOf = 256

// link is one of them. Its lines are answered in their order. While one waits for acknowledgements, or the disk, those behind it
// are pushed already; then a goroutine answers, otherwise the one that reads.
type link struct {
	s    *Server
	end  func() // makes it end soon; called without a lock, perhaps after the end
	r    *http.Request
	out  outlet
	gone context.Context // ends when nobody can be answered any more
	push context.Context // never ends: a line that has arrived is pushed even if the link ends

	// owned by the goroutine that reads
	access *rules // under which who was let in
	who    *caller
	parsed []parsed // lines that have not been taken yet, at most a handful
	users  []string // of those, for Warm
	text   []byte
	turns  turns
	queue  chan reply // nil until an answer has to wait

	answering sync.WaitGroup
	due       atomic.Int32 // lines that have been taken and whose answers have not been put
}

// parsed is a line that has been read, or why it cannot be pushed.
type parsed struct {
	order order
	bad   *fault
}

// outlet sends answers. Its methods are called by one goroutine at a time.
type outlet interface {
	put(answer []byte) // keeps nothing of it
	flush()            // sends all there are
}

// reply is an answer, or what it waits for.
type reply struct {
	text   []byte
	ticket *ticket
}

// errStopping is the answer to who wants a link from a server that stops.
func errStopping() *fault {
	return &fault{code: codeStopping, retry: stopRetry, detail: "The server is stopping: try again."}
}

// newLink files a link, which the caller must remove in the end. Nobody can be answered any more once gone has ended. It
// returns nil once Close has been called.
func (s *Server) newLink(gone context.Context, r *http.Request, who *caller, out outlet, end func()) *link {
	l := &link{
		s: s, end: end, r: r, out: out, gone: gone, push: context.WithoutCancel(gone),
		access: s.rules.Load(), who: who, parsed: make([]parsed, 0, handful),
	}
	s.links.mu.Lock()
	defer s.links.mu.Unlock()
	if s.links.closed {
		return nil
	}
	if s.links.open == nil {
		s.links.open = make(map[*link]struct{})
	}
	s.links.open[l] = struct{}{}
	return l
}

// remove forgets a link that has ended.
func (l *link) remove() {
	l.s.links.mu.Lock()
	defer l.s.links.mu.Unlock()
	delete(l.s.links.open, l)
}

// allowed says why the link may not go on. It asks again after the rules have changed.
func (l *link) allowed() *fault {
	access := l.s.rules.Load()
	if access == l.access {
		return nil
	}
	who, refused := l.s.authorize(l.r, RightPush)
	if refused != nil {
		return refused.fault()
	}
	l.access, l.who = access, who
	return nil
}

// turn waits until the caller's rate allows one more line. It says why there is no turn.
func (l *link) turn(ctx context.Context) *fault {
	if l.who.spend() == nil {
		return nil
	}
	if l.queue == nil {
		l.out.flush()
	}
	if err := l.who.limit.Wait(ctx); err != nil {
		return errStopping()
	}
	return nil
}

// add parses a line, which take is to take: at once if add returns true, otherwise before anything is waited for.
func (l *link) add(line []byte) (due bool) {
	l.parsed = l.parsed[:len(l.parsed)+1]
	p := &l.parsed[len(l.parsed)-1]
	p.bad = l.s.parse(line, &p.order)
	return len(l.parsed) == cap(l.parsed)
}

// take does what the lines say that have been added. The error says that the link may not go on.
func (l *link) take(ctx context.Context) *fault {
	list := l.parsed
	l.parsed = list[:0]
	if l.s.warmer != nil && len(list) > 1 {
		l.warm(list)
	}
	for i := range list {
		bad := l.takeOne(ctx, &list[i])
		list[i] = parsed{} // a link may be idle for long
		if bad != nil {
			return bad
		}
	}
	return nil
}

// warm has the memory of those users fetched whom the lines are for.
func (l *link) warm(list []parsed) {
	l.users = l.users[:0]
	for i := range list {
		if to := list[i].order.to.Users; len(to) == 1 {
			l.users = append(l.users, to[0])
		}
	}
	l.s.warmer.Warm(l.users)
}

// takeOne does what one line says. It is answered now, or in its turn. The error says that the link may not go on.
func (l *link) takeOne(ctx context.Context, p *parsed) *fault {
	l.due.Add(1)
	bad := l.allowed()
	if bad == nil {
		bad = l.turn(ctx)
	}
	if bad == nil { // the rules may have changed while it waited
		bad = l.allowed()
	}
	if bad != nil {
		l.refuse(bad)
		return bad
	}
	if p.bad != nil {
		l.refuse(p.bad)
		return nil
	}
	text, t, bad := l.s.carryOut(l.push, l.who, &p.order, l.text[:0], maxAnswers, &l.turns)
	if l.text = text[:0]; cap(text) > maxScratch {
		l.text = nil
	}
	if bad != nil {
		l.refuse(bad)
		return nil
	}
	l.reply(reply{text, t})
	return nil
}

// skip answers a line that cannot be taken.
func (l *link) skip(bad *fault) {
	l.due.Add(1)
	l.refuse(bad)
}

// refuse answers a line that was taken with a problem.
func (l *link) refuse(bad *fault) {
	l.s.logFault(l.r, bad)
	l.reply(reply{text: bad.append(nil)})
}

// reply answers the next line.
func (l *link) reply(r reply) {
	if l.queue == nil && r.ticket == nil {
		l.out.put(r.text)
		l.due.Add(-1)
		return
	}
	if l.queue == nil {
		l.out.flush()
		l.queue = make(chan reply, aheadOf)
		l.answering.Go(l.answer)
	}
	if r.ticket == nil {
		r.text = bytes.Clone(r.text)
	} else {
		r.text = nil
	}
	l.queue <- r
}

// answer answers what is in the queue, until it is closed.
func (l *link) answer() {
	for r := range l.queue {
		text := r.text
		if t := r.ticket; t != nil {
			if !t.over() {
				l.out.flush()
			}
			var bad *fault
			if text, bad = t.finish(l.gone, nil); bad != nil {
				l.s.logFault(l.r, bad)
				text = bad.append(nil)
			}
		}
		l.out.put(text)
		l.due.Add(-1)
		if len(l.queue) == 0 {
			l.out.flush()
		}
	}
}

// idle is told that no further line has arrived yet.
func (l *link) idle() {
	if l.queue == nil {
		l.out.flush()
	}
}

// rest waits until all lines are answered, or nobody can be any more. No line comes after it.
func (l *link) rest() {
	if l.queue != nil {
		close(l.queue)
		l.answering.Wait()
		l.queue = nil
	}
	l.out.flush()
}

// Close ends the links that callers keep open, once the lines that have arrived are answered, and refuses new ones. It
// does not wait for their end: that is for the HTTP server and, of WebSockets, for the poller. Single calls are still
// answered.
func (s *Server) Close() {
	s.links.mu.Lock()
	s.links.closed = true
	open := make([]*link, 0, len(s.links.open))
	for l := range s.links.open {
		open = append(open, l)
	}
	s.links.mu.Unlock()
	for _, l := range open {
		l.end()
	}
}

// past is a deadline that has passed.
func past() time.Time { return time.Unix(1, 0) }
