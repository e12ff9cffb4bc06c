package api

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// links are the connections that callers keep open.
type links struct {
	mu     sync.Mutex
	closed bool
	open   map[*link]struct{}
}

// link is one of them.
type link struct {
	s      *Server
	end    func() // makes it end soon; called without a lock, perhaps after the end
	r      *http.Request
	access *rules // under which who was let in

	who *caller // owned by the goroutine that reads
}

// errStopping is the answer to who wants a link from a server that stops.
func errStopping() *fault {
	return &fault{code: codeStopping, retry: stopRetry, detail: "The server is stopping: try again."}
}

// newLink files a link, which the caller must remove in the end. It returns nil once Close has been called.
func (s *Server) newLink(r *http.Request, who *caller, end func()) *link {
	l := &link{s: s, end: end, r: r, access: s.rules.Load(), who: who}
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

// turn waits until the caller's rate allows one more line; idle is called before a wait. It says why there is no turn.
func (l *link) turn(ctx context.Context, idle func()) *fault {
	if l.who.spend() == nil {
		return nil
	}
	idle()
	if err := l.who.limit.Wait(ctx); err != nil {
		return errStopping()
	}
	return nil
}

// answer does what one line says and appends the answer to dst.
func (l *link) answer(ctx context.Context, line, dst []byte) []byte {
	out, bad := l.s.perform(ctx, l.who, line, dst)
	if bad != nil {
		l.s.logFault(l.r, bad)
		out = bad.append(dst)
	}
	return out
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
