package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"crier/io/hub"
)

// Sockets are the connections in one namespace. A *hub.Hub is one.
type Sockets interface {
	Push(ctx context.Context, p hub.Push) (hub.Result, error)
	Members(a hub.Audience) ([]*hub.Member, error)
	Disconnect(ctx context.Context, a hub.Audience) (int, error)
}

// EmitterOptions are the settings of [Emitters].
type EmitterOptions struct {
	// Redis is where the emitters publish. Required.
	Redis *Redis
	// Prefix begins the names of their channels: the emitters' option key. Empty: socket.io, as theirs.
	Prefix string
	// Sockets are the namespaces that they reach, by name; what is for others is passed over. Required.
	Sockets map[string]Sockets
	// MaxPayload is how many bytes one message may have: event, arguments and attachments. Required.
	MaxPayload int64
	// Logger gets what is wrong with Redis, and with what emitters send. Nil: nothing is logged.
	Logger *slog.Logger
}

// EmitterStats is what emitters have sent since the start.
type EmitterStats struct {
	Pushes   uint64 // messages pushed
	Requests uint64 // joins, leaves and disconnections carried out
	Repeated uint64 // copies of a message that was pushed already
	Passed   uint64 // passed over: for namespaces that there are not, and what Socket.IO servers say to one another
	Dropped  uint64 // broken, too large, or refused
}

// complaintInterval is the least time between two lines in the log about what is dropped.
const complaintInterval = time.Minute

// Emitters carry out what emitters publish.
type Emitters struct {
	// static
	link       link
	prefix     string
	sockets    map[string]Sockets
	maxPayload int64
	log        *slog.Logger
	ended      chan struct{} // closed when nothing runs any more

	cancel atomic.Pointer[context.CancelFunc] // nil before Start
	stats  struct{ pushes, requests, repeated, passed, dropped atomic.Uint64 }

	// owned by the goroutine that carries out
	twice      twice
	complained time.Time // when the log last said that something was dropped
	unsaid     int       // how often since
}

// NewEmitters returns Emitters that do nothing yet.
func NewEmitters(o EmitterOptions) (*Emitters, error) {
	if o.Redis == nil || o.Sockets == nil || o.MaxPayload <= 0 {
		return nil, errors.New("cluster: Redis, Sockets or MaxPayload is missing in EmitterOptions")
	}
	if o.Prefix == "" {
		o.Prefix = "socket.io"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	e := &Emitters{
		prefix: o.Prefix, sockets: o.Sockets, maxPayload: o.MaxPayload, log: o.Logger,
		ended: make(chan struct{}), twice: newTwice(),
	}
	// Patterns for requests too: a subscription by name would count as a Socket.IO server, for whose answer others wait.
	plain := escapePattern(o.Prefix)
	e.link = link{
		redis: o.Redis, patterns: []string{plain + "#*", plain + "-request#*"},
		receive: e.receive, interval: pingInterval,
		lifeline: lifeline{
			log: o.Logger, back: "connected to Redis", status: Status{Since: time.Now()},
			away: "Redis is away: what emitters send meanwhile is lost; trying again",
		},
	}
	return e, nil
}

// escapePattern returns a pattern of PSUBSCRIBE that matches text alone.
func escapePattern(text string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`).Replace(text)
}

// Start connects to Redis, and again whenever the connection is lost, until Close. It must be called once at most.
func (e *Emitters) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	e.cancel.Store(&cancel)
	go func() {
		defer close(e.ended)
		e.link.run(ctx)
	}()
}

// Close ends the connection and waits until nothing is carried out any more, or ctx ends. It may be called again, and
// without Start.
func (e *Emitters) Close(ctx context.Context) error {
	cancel := e.cancel.Load()
	if cancel == nil {
		return nil
	}
	(*cancel)()
	select {
	case <-e.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("ending what emitters push: %w", ctx.Err())
	}
}

// Redis tells how the connection is.
func (e *Emitters) Redis() Status { return e.link.state() }

// Stats returns the current figures.
func (e *Emitters) Stats() EmitterStats {
	s := &e.stats
	return EmitterStats{
		Pushes: s.pushes.Load(), Requests: s.requests.Load(), Repeated: s.repeated.Load(),
		Passed: s.passed.Load(), Dropped: s.dropped.Load(),
	}
}

// receive carries out what was published in a channel.
func (e *Emitters) receive(ctx context.Context, channel string, body []byte) {
	var err error
	if int64(len(body)) > 2*e.maxPayload+1<<20 { // of a message that is small enough there is not so much
		err = errTooLarge
	} else if where, isRequest := strings.CutPrefix(channel, e.prefix+"-request#"); isRequest {
		err = e.request(ctx, where, body)
	} else {
		err = e.push(ctx, strings.TrimPrefix(channel, e.prefix+"#"), body)
	}
	if err != nil && ctx.Err() == nil {
		e.complain(channel, err)
	}
}

// complain counts what is dropped, and says so in the log once a minute.
func (e *Emitters) complain(channel string, err error) {
	e.stats.dropped.Add(1)
	e.unsaid++
	if now := time.Now(); now.Sub(e.complained) >= complaintInterval {
		e.log.Warn("dropped what an emitter sent", "count", e.unsaid, "channel", fmt.Sprintf("%.100q", channel), "error", err)
		e.complained, e.unsaid = now, 0
	}
}

// push pushes a message. where is the rest of the channel's name: emitter, or a namespace and perhaps a room.
func (e *Emitters) push(ctx context.Context, where string, body []byte) error {
	f, err := parseFrame(body, e.maxPayload)
	if err != nil {
		return err
	}
	if f.repeated(where) || e.twice.again(f) {
		e.stats.repeated.Add(1)
		return nil
	}
	target, known := e.sockets[f.namespace]
	if !known {
		e.stats.passed.Add(1)
		return nil
	}
	m := &hub.Message{Event: f.event, Args: f.args, Attachments: f.attachments, Volatile: f.volatile}
	if _, err := target.Push(ctx, hub.Push{To: audience(f.rooms, f.except), Message: m}); err != nil {
		return err
	}
	e.stats.pushes.Add(1)
	return nil
}

// request does what an emitter wants to be done with sockets. where is a namespace, and perhaps a room.
func (e *Emitters) request(ctx context.Context, where string, body []byte) error {
	r, err := parseRequest(body)
	if err != nil {
		return err
	}
	namespace, _, _ := strings.Cut(where, "#")
	target, known := e.sockets[namespace]
	if !known || r.Opts == nil {
		e.stats.passed.Add(1)
		return nil
	}
	whom := audience(r.Opts.Rooms, r.Opts.Except)
	switch *r.Type {
	case requestJoin:
		err = move(target, whom, r.Rooms, (*hub.Member).Join)
	case requestLeave:
		err = move(target, whom, r.Rooms, func(m *hub.Member, room string) error {
			m.Leave(room)
			return nil
		})
	case requestDisconnect:
		err = disconnect(ctx, target, whom, r.Close)
	default:
		e.stats.passed.Add(1)
		return nil
	}
	if err == nil {
		e.stats.requests.Add(1)
	}
	return err
}

// move has each connection enter or leave each room. One that ends meanwhile is no failure.
func move(target Sockets, whom hub.Audience, rooms names, do func(*hub.Member, string) error) error {
	for _, room := range rooms {
		if hub.CheckUID(room) != nil {
			return hub.ErrBadRoom // before anybody has moved; the rule is the same
		}
	}
	members, err := target.Members(whom)
	if err != nil {
		return err
	}
	for _, m := range members {
		for _, room := range rooms {
			if err := do(m, room); err != nil && !errors.Is(err, hub.ErrGone) && !errors.Is(err, hub.ErrLoginFirst) {
				return err
			}
		}
	}
	return nil
}

// disconnect sends clients away: from all namespaces if their connections are to be closed, else from this one.
func disconnect(ctx context.Context, target Sockets, whom hub.Audience, closing bool) error {
	if closing {
		_, err := target.Disconnect(ctx, whom)
		return err
	}
	members, err := target.Members(whom)
	if err != nil {
		return err
	}
	for _, m := range members {
		if s, ok := m.Conn().(interface{ Disconnect() }); ok { // a *socketio.Socket
			s.Disconnect()
		} else {
			m.Conn().Kick()
		}
	}
	return nil
}
