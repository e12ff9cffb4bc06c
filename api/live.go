package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"crier/io/hub"
)

// liveTimeout is how long a watcher may take to read what it is sent.
const liveTimeout = 30 * time.Second

// Pulse takes samples of the figures: often while somebody watches, else seldom.
type Pulse interface {
	// Follow calls fn for each sample that is later than after, those of the past that are still known first, until ctx or
	// the Pulse ends, or fn returns an error, which it passes on.
	Follow(ctx context.Context, after time.Time, fn func(*Sample) error) error
}

// Sample is what GET /v1/stats/live shows of one moment. The counts are since the start.
type Sample struct {
	Time        time.Time        `json:"time"`
	Users       int              `json:"users"`       // online, on all servers
	Connections int              `json:"connections"` // logged in, on all servers
	Sockets     []SocketCount    `json:"sockets"`     // all connections of this server
	Pushes      uint64           `json:"pushes"`
	Delivered   uint64           `json:"delivered"`
	Slow        uint64           `json:"slow"`
	Gone        uint64           `json:"gone"`
	Failed      uint64           `json:"failed"`
	Latency     *Latency         `json:"latency,omitempty"` // of the pushes since the sample before; nil if there were none
	QueueBytes  int              `json:"queue_bytes"`       // that wait for clients to read
	Memory      uint64           `json:"memory"`            // bytes that the process has from the system for Go
	Heap        uint64           `json:"heap"`              // of these, what is in use
	Webhooks    *callbackFigures `json:"webhooks,omitempty"`
}

// SocketCount is how many connections there are of a kind.
type SocketCount struct {
	Transport string `json:"transport"`
	Revision  int    `json:"revision,omitempty"` // of Engine.IO: 3 are clients of 1.x and 2.x, 4 later ones
	Count     int    `json:"count"`
}

// Latency is how long pushes took until they were written to, or queued for, the last of their connections, in seconds.
type Latency struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
}

// SetCallbacks puts the figures of c, if there are any, into the sample.
func (p *Sample) SetCallbacks(c Callbacks) {
	st := c.Stats()
	p.Webhooks = &callbackFigures{Waiting: st.Waiting, Dead: st.Dead, Delivered: st.Done, Failed: st.Failed}
}

// live answers GET /v1/stats/live: an event stream (https://html.spec.whatwg.org/multipage/server-sent-events.html) whose
// events are samples, with their times as ids, so that who comes back misses none that are still known.
func (s *Server) live(w http.ResponseWriter, r *http.Request, who *caller) {
	bad := s.lookup(who, &hub.Audience{All: true})
	if bad == nil && s.pulse == nil {
		bad = &fault{code: codeUnsupported, detail: "This server takes no samples of its figures: ask for GET /v1/stats."}
	}
	var after time.Time
	if bad == nil {
		after, bad = liveAfter(r)
	}
	if bad != nil {
		s.refuseV1(w, r, bad)
		return
	}
	h := w.Header()
	h["Content-Type"] = []string{"text/event-stream"}
	h["Cache-Control"] = s.noStore
	h["X-Content-Type-Options"] = s.noSniff
	h.Set("X-Accel-Buffering", "no") // nginx would keep it until it has much
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	out := &watcher{to: w, control: http.NewResponseController(w)}
	err := s.pulse.Follow(r.Context(), after, func(one *Sample) error {
		if refused := s.still(r, RightRead); refused != nil {
			return refused
		}
		return out.show(one)
	})
	// The connection may have other requests yet.
	s.debug(r, "ending the time to write", out.control.SetWriteDeadline(time.Time{}))
	if err != nil && !errors.Is(err, context.Canceled) {
		s.log.LogAttrs(r.Context(), slog.LevelDebug, "a watcher of the figures has gone", slog.Any("error", err))
	}
}

// liveAfter reads from which time on somebody wants samples: Last-Event-ID, in milliseconds since 1970.
func liveAfter(r *http.Request) (time.Time, *fault) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return time.Time{}, errBadQuery()
	}
	for name := range query {
		return time.Time{}, unknownField("", []byte(name))
	}
	id := r.Header.Get("Last-Event-ID")
	if id == "" {
		return time.Time{}, nil
	}
	ms, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return time.Time{}, &fault{code: codeInvalidCursor, detail: "Last-Event-ID is not the id of an event of this stream: begin again without one."}
	}
	return time.UnixMilli(ms), nil
}

// watcher writes events.
type watcher struct {
	to      http.ResponseWriter
	control *http.ResponseController
	text    bytes.Buffer
}

// show sends a sample.
func (o *watcher) show(one *Sample) error {
	body, err := json.Marshal(one)
	if err != nil {
		return err
	}
	o.text.Reset()
	o.text.WriteString("id: " + strconv.FormatInt(one.Time.UnixMilli(), 10) + "\nevent: sample\ndata: ")
	o.text.Write(body)
	o.text.WriteString("\n\n")
	if err := o.control.SetWriteDeadline(time.Now().Add(liveTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := o.to.Write(o.text.Bytes()); err != nil {
		return err
	}
	return o.control.Flush()
}
