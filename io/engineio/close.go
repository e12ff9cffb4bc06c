package engineio

import (
	"context"
	"maps"
	"slices"
	"time"
)

// closeGrace is how long Close waits for clients to take something of what is
// queued for them, and to answer. Those that are alive need a round trip; dead ones must not hold up
// a restart.
const closeGrace = time.Second

// hold counts something that Close waits for, until release.
func (srv *Server) hold() { srv.held.Add(1) }

func (srv *Server) release() {
	if srv.held.Add(-1) > 0 {
		return
	}
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.checkDrainedLocked()
}

// spawn runs f in a goroutine that Close waits for.
func (srv *Server) spawn(f func()) {
	srv.hold()
	go func() {
		defer srv.release()
		f()
	}()
}

// checkDrainedLocked tells Close that nothing is left to wait for.
func (srv *Server) checkDrainedLocked() {
	if srv.drained == nil || len(srv.sessions) > 0 || srv.held.Load() > 0 {
		return
	}
	select {
	case <-srv.drained:
	default:
		close(srv.drained)
	}
}

// Retire refuses new sessions from now on, with status 503, and returns what
// closes each of those that there are, as Close does: for who lets them end one
// after the other before that, since clients come back at once.
func (srv *Server) Retire() []func() {
	srv.mu.Lock()
	srv.closed = true
	srv.mu.Unlock()
	list := srv.list()
	ends := make([]func(), len(list))
	for i, s := range list {
		ends[i] = func() { s.closeFor(ServerShuttingDown) }
	}
	return ends
}

// retired reports whether there are no new sessions any more.
func (srv *Server) retired() bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.closed
}

// Close closes every session, so that the clients reconnect (to whoever
// listens then). It waits until all of them have been told and their
// connections have ended; but not longer than ctx, and no more than a second in
// which nobody takes anything of what is queued. Then it cuts the rest off. A
// [Options] Poller that is not the server's own keeps its connections until it
// is closed.
func (srv *Server) Close(ctx context.Context) error {
	for _, end := range srv.Retire() {
		end()
	}
	srv.mu.Lock()
	if srv.drained == nil {
		srv.drained = make(chan struct{})
	}
	srv.checkDrainedLocked()
	srv.mu.Unlock()
	srv.upgrader.Linger(ctx, srv.drained, closeGrace)
	for _, s := range srv.list() {
		s.abort(ServerShuttingDown)
	}
	var err error
	if srv.ownPoll {
		err = srv.poller.Close(ctx)
	}
	srv.wheel.Close()
	return err
}

// list returns the sessions that have not ended.
func (srv *Server) list() []*Session {
	return srv.appendTo(nil)
}

// appendTo appends the sessions that have not ended to list.
func (srv *Server) appendTo(list []*Session) []*Session {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return slices.AppendSeq(slices.Grow(list, len(srv.sessions)), maps.Values(srv.sessions))
}
