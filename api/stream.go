package api

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"crier/io/wsconn"
)

// unread is how many bytes of answers a caller may leave unread before no more of its lines are read.
const unread = 64 << 10

// feed is one WebSocket of /v1/stream: every message is a line, or several, and is answered by a message for each.
type feed struct {
	link   *link
	conn   *wsconn.Conn
	ctx    context.Context // ends when the server stops, or the connection; kept here because Message has none
	cancel context.CancelFunc
	leave  context.CancelFunc // ends link.gone

	unsent atomic.Bool // there are frames

	lines uint // taken; owned by the goroutine that reads

	// owned by the goroutine that answers
	frames []byte
}

// stream answers GET /v1/stream.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, who *caller) {
	if s.upgrader == nil {
		s.refuseV1(w, r, &fault{code: codeUnsupported, detail: "This server has no /v1/stream: use POST /v1/push/batch with lines."})
		return
	}
	f := &feed{}
	f.ctx, f.cancel = context.WithCancel(context.WithoutCancel(r.Context()))
	gone, leave := context.WithCancel(context.WithoutCancel(r.Context()))
	f.leave = leave
	ready := make(chan struct{})
	f.link = s.newLink(gone, r, who, f, func() {
		f.cancel()
		<-ready
		if f.conn != nil {
			f.end()
		}
	})
	if f.link == nil {
		f.cancel()
		leave()
		s.refuseV1(w, r, errStopping())
		return
	}
	conn, err := s.upgrader.Upgrade(w, r, nil, func(c *wsconn.Conn) wsconn.Handler {
		f.conn = c
		return f
	})
	close(ready)
	if err != nil {
		s.log.LogAttrs(r.Context(), slog.LevelDebug, "no stream", slog.Any("error", err))
		f.cancel()
		leave()
		f.link.remove()
		return
	}
	conn.Start()
}

// Message takes the lines of one message.
func (f *feed) Message(_ ws.OpCode, payload []byte) error {
	for line := range bytes.Lines(payload) {
		if blank(line) {
			continue
		}
		if f.lines++; f.lines%breatheAfter == 0 {
			breathe()
		}
		if f.link.add(line) {
			if err := f.take(); err != nil {
				return err
			}
		}
	}
	return f.take()
}

// take takes the lines that have been added.
func (f *feed) take() error {
	bad := f.link.take(f.ctx)
	if bad == nil {
		return nil
	}
	f.link.rest()
	return &wsconn.CloseError{Code: ws.StatusPolicyViolation, Reason: string(bad.code)}
}

// Pause implements [wsconn.PauseHandler]: it sends the answers to what was read.
func (f *feed) Pause() { f.link.idle() }

// put implements [outlet].
func (f *feed) put(answer []byte) {
	if len(f.frames) == 0 {
		f.unsent.Store(true)
	}
	f.frames = wsconn.AppendText(f.frames, answer)
	if len(f.frames) >= unread {
		f.flush()
	}
}

// flush implements [outlet]: it sends once the caller has read enough of what was sent before. When the server stops it
// ends the connection after the last answer that is due.
func (f *feed) flush() {
	f.await(unread)
	err := f.conn.SendCopy(f.frames, 1)
	if errors.Is(err, wsconn.ErrQueueFull) {
		f.await(0)
		err = f.conn.SendCopy(f.frames, 1)
	}
	if f.frames = f.frames[:0]; cap(f.frames) > 2*unread {
		f.frames = nil
	}
	f.unsent.Store(false)
	switch {
	case err != nil && !errors.Is(err, wsconn.ErrClosed): // a closed connection tells Closed by itself
		f.conn.Close(ws.StatusInternalServerError, "answers cannot be sent")
	case f.ctx.Err() != nil:
		f.end()
	}
}

// end ends the connection, unless answers are due or have not been sent.
func (f *feed) end() {
	if f.link.due.Load() == 0 && !f.unsent.Load() {
		f.conn.Close(ws.StatusGoingAway, "the server is stopping")
	}
}

// await waits until no more than limit bytes wait to be written. A caller that reads nothing is cut off by the
// connection, and then nothing waits.
func (f *feed) await(limit int) {
	for pause := time.Millisecond; f.conn.Queued() > limit; pause = min(2*pause, 50*time.Millisecond) {
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-f.ctx.Done():
			timer.Stop()
			return
		}
	}
}

// Closed ends the link.
func (f *feed) Closed(error) {
	f.cancel()
	f.leave()
	f.link.rest()
	f.link.remove()
}
