package app

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"time"

	"crier/fallback"
	"crier/io/engineio"
	"crier/io/hub"
	"crier/io/socketio"
	"crier/io/wsconn"
)

// loginTimeout is why a client is disconnected that has not logged in.
var loginTimeout = fallback.Reason{
	Status: http.StatusRequestTimeout, Code: "login_timeout", Text: "the client has not logged in in time (setting `auth.login_timeout`)",
}

// unknownEvent answers an event that nobody handles.
var unknownEvent = reply{Error: "there is no such event (setting `forward.events`)", Code: "unknown_event"}

// outsiders is the [fallback.Handler]: what a client without Socket.IO says means
// the same as in the main namespace.
type outsiders struct {
	clients
	listeners map[string]listener
}

// Admit implements [fallback.Handler].
func (o outsiders) Admit(r *fallback.Request) (*fallback.Admission, error) {
	for _, room := range r.Rooms {
		if hub.CheckUID(room) != nil { // rooms are named as users are
			return nil, reasonOf(hub.ErrBadRoom)
		}
	}
	a, err := o.door.admitClient(r)
	if err != nil {
		return nil, reasonOf(err)
	}
	enter := a.Enter
	a.Enter = func(c *fallback.Client) error {
		err := enter(c)
		for i := 0; i < len(r.Rooms) && err == nil; i++ {
			err = c.Member().Join(r.Rooms[i])
		}
		if err != nil {
			return reasonOf(err)
		}
		if c.Member().UID() != "" {
			o.counter.show(c)
		}
		return nil
	}
	return a, nil
}

// Event implements [fallback.Handler].
func (o outsiders) Event(e *fallback.Event) {
	handle := o.listeners[e.Name]
	if handle == nil {
		acknowledge(clientEvent{e}, unknownEvent.json(), o.log)
		return
	}
	handle(clientEvent{e})
}

// Closed implements [fallback.Handler].
func (outsiders) Closed(c *fallback.Client) {
	if v, ok := c.Data().(*guest); ok { // the gate has let it in
		v.move(false)
	}
}

// admitClient implements [door].
func (d openDoor) admitClient(r *fallback.Request) (*fallback.Admission, error) {
	if len(r.Rooms) > 0 && !d.mayJoin {
		return nil, errForbidden
	}
	uid, err := queryUID(r.Query)
	if err != nil {
		return nil, err
	}
	enter := func(c *fallback.Client) error {
		if uid == "" {
			return nil
		}
		return c.Member().Login(uid)
	}
	return &fallback.Admission{UID: uid, Enter: enter, MayEnter: func(string) bool { return d.mayJoin }}, nil
}

// admitClient implements [door].
func (g *gate) admitClient(r *fallback.Request) (*fallback.Admission, error) {
	h := &socketio.Handshake{Query: r.Query, Header: r.Header, RemoteAddr: r.RemoteAddr, Time: time.Now()}
	q := g.requestOf(h)
	var err error
	if q.UID, err = queryUID(r.Query); err != nil {
		return nil, err
	}
	q.Token = requestToken(h)
	identify := g.identify
	if r.Talks {
		identify = g.identifyOrWait
	}
	id, err := identify(q)
	for i := 0; i < len(r.Rooms) && err == nil; i++ {
		err = g.mayEnter(id, r.Rooms[i])
	}
	if err != nil {
		if g.ctx.Err() != nil {
			err = fallback.Stopping
		}
		return nil, err
	}
	enter := func(c *fallback.Client) error {
		v := &guest{gate: g, visitor: c}
		if g.callback && r.Talks {
			v.handshake = h
		}
		err := v.settle(id)
		v.move(err == nil)
		return err
	}
	mayEnter := func(room string) bool { return g.mayEnter(id, room) == nil }
	return &fallback.Admission{UID: id.UID, Enter: enter, MayEnter: mayEnter}, nil
}

// reasonOf is what a client is told of err, which is one that errorCode knows, or a reason.
func reasonOf(err error) fallback.Reason {
	var r fallback.Reason
	if errors.As(err, &r) {
		return r
	}
	r = fallback.Reason{Code: errorCode(err), Text: err.Error()}
	switch r.Code {
	case "bad_uid", "bad_room":
		r.Status = http.StatusBadRequest
	case "forbidden":
		r.Status = http.StatusForbidden
	case "unavailable":
		r.Status = http.StatusServiceUnavailable
	default:
		r.Status = http.StatusUnauthorized
	}
	return r
}

// plainArgs are the arguments of a message with its attachments in them.
func plainArgs(m *hub.Message) ([]json.RawMessage, error) {
	args, err := socketio.NewArgs(m.Args, m.Attachments)
	if err != nil {
		return nil, err
	}
	list := make([]json.RawMessage, args.Len())
	for i := range list {
		if list[i], err = args.Plain(i); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// buildFallbacks makes the server of clients without Socket.IO; those get what the main namespace gets.
func (a *App) buildFallbacks(c clients, f forwarding) error {
	upgrader, err := wsconn.NewUpgrader(wsconn.Options{
		Poller:        a.poller,
		MaxPayload:    a.cfg.SocketIO.MaxPayload,
		QueueBytes:    int(a.cfg.Limits.QueueBytes),
		QueueMessages: a.cfg.Limits.QueueMessages,
		Budget:        a.budget,
		Silence:       a.cfg.SocketIO.PingInterval + a.cfg.SocketIO.PingTimeout,
		Logger:        a.log,
	})
	if err != nil {
		return err
	}
	origins, err := engineio.NewOrigins(a.cfg.Origins)
	if err != nil {
		return err
	}
	listeners := c.events()
	maps.Copy(listeners, f.events(a.cfg.Forward.Events))
	a.streams = upgrader
	a.fallbacks, err = fallback.New(fallback.Options{
		Enter:           a.crowd.enterFallback,
		EventsPerSecond: a.cfg.Limits.EventsPerSecond,
		Hub:             a.hub,
		Handler:         outsiders{c, listeners},
		Plain:           plainArgs,
		Upgrader:        upgrader,
		Origins:         origins,
		PingInterval:    a.cfg.SocketIO.PingInterval,
		PingTimeout:     a.cfg.SocketIO.PingTimeout,
		MaxPayload:      a.cfg.SocketIO.MaxPayload,
		QueueBytes:      int(a.cfg.Limits.QueueBytes),
		QueueMessages:   a.cfg.Limits.QueueMessages,
		Budget:          a.budget,
		Logger:          a.log,
	})
	return err
}
