package engineio

import (
	"context"
	"maps"
	"slices"
	"time"
)

// closeGrace is how long Close lets clients take what is queued for them and
// answer. Those that are alive need a round trip; dead ones must not hold up
// a restart.
const closeGrace = time.Second

// hold counts something that Close waits for, until release.
func (srv *Server) hold() {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.held++
}

func (srv *Server) release() {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.held--
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
	if srv.drained == nil || len(srv.sessions) > 0 || srv.held > 0 {
		return
	}
	select {
	case <-srv.drained:
	default:
		close(srv.drained)
	}
}

// Close closes every session, so that the clients reconnect (to whoever
// listens then). It waits until all of them have been told and their
// connections have ended, but at most a second, and not longer than ctx; then
// it cuts the rest off. A [Options] Poller that is not the server's own keeps
// its connections until it is closed.
func (srv *Server) Close(ctx context.Context) error {
	srv.mu.Lock()
	srv.closed = true
	if srv.drained == nil {
		srv.drained = make(chan struct{})
	}
	srv.checkDrainedLocked()
	srv.mu.Unlock()
	for _, s := range srv.list() {
		s.closeFor(ServerShuttingDown)
	}
	grace := time.NewTimer(closeGrace)
	defer grace.Stop()
	select {
	case <-srv.drained:
	case <-grace.C:
	case <-ctx.Done():
	}
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
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return slices.Collect(maps.Values(srv.sessions))
}
