package api

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
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
	ctx    context.Context // ends when the server stops; kept here because Message has none
	cancel context.CancelFunc
	out    []byte // owned by Message
}

// stream answers GET /v1/stream.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, who *caller) {
	if s.upgrader == nil {
		s.refuseV1(w, r, &fault{code: codeUnsupported, detail: "This server has no /v1/stream: use POST /v1/push/batch with lines."})
		return
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	f := &feed{ctx: ctx, cancel: cancel}
	ready := make(chan struct{})
	f.link = s.newLink(r, who, func() {
		cancel()
		<-ready
		if f.conn != nil {
			f.conn.Close(ws.StatusGoingAway, "the server is stopping")
		}
	})
	if f.link == nil {
		cancel()
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
		cancel()
		f.link.remove()
		return
	}
	conn.Start()
}

// Message answers the lines of one message.
func (f *feed) Message(_ ws.OpCode, payload []byte) error {
	var frames []byte // not kept for the next message: the connection may hold it
	push := context.WithoutCancel(f.ctx)
	for line := range bytes.Lines(payload) {
		if blank(line) {
			continue
		}
		bad := f.link.allowed()
		if bad == nil {
			bad = f.link.turn(f.ctx, func() {})
		}
		if bad != nil {
			f.link.s.logFault(f.link.r, bad)
			frames = wsconn.AppendText(frames, bad.append(nil))
			return errors.Join(f.send(frames), &wsconn.CloseError{Code: ws.StatusPolicyViolation, Reason: string(bad.code)})
		}
		f.out = f.link.answer(push, line, f.out[:0])
		frames = wsconn.AppendText(frames, f.out)
	}
	return f.send(frames)
}

// send sends frames once the caller has read enough of those before.
func (f *feed) send(frames []byte) error {
	f.await(unread)
	err := f.conn.Send(frames, 1)
	if errors.Is(err, wsconn.ErrQueueFull) {
		f.await(0)
		err = f.conn.Send(frames, 1)
	}
	if err != nil && !errors.Is(err, wsconn.ErrClosed) {
		return err
	}
	return nil // a closed connection tells Closed by itself
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
	f.link.remove()
}
