package app

import (
	"encoding/json"
	"errors"
	"log/slog"
	"strings"

	"crier/io/hub"
	"crier/io/socketio"
)

// clients handles what browsers send in the main namespace.
type clients struct {
	hub     *hub.Hub
	counter *counter
	mayJoin bool // clients may enter rooms by themselves
	log     *slog.Logger
}

// reply is what an acknowledgement says.
type reply struct {
	OK    bool   `json:"ok"`
	UID   string `json:"uid,omitempty"`
	Room  string `json:"room,omitempty"`
	Error string `json:"error,omitempty"`
	Code  string `json:"code,omitempty"`
}

var (
	errNoUID     = errors.New("login needs a uid: a string or an integer")
	errNoRoom    = errors.New("the room must be a string")
	errForbidden = errors.New("clients may not enter rooms here (setting `rooms.client_join`)")
)

func (c clients) register(n *socketio.Namespace) {
	n.Use(func(s *socketio.Socket) error {
		uid, err := offeredUID(s)
		if err == nil && uid != "" {
			err = s.Member().Login(uid)
		}
		if err != nil {
			return refusal(err)
		}
		return nil
	})
	n.OnConnect(func(s *socketio.Socket) {
		if s.Member().UID() != "" {
			c.counter.show(s)
		}
	})
	n.On("login", func(e *socketio.Event) {
		uid, err := parseUID(e.JSON(0))
		if err == nil {
			uid, err = c.login(e.Socket, uid)
		}
		c.answer(e, reply{UID: uid}, err)
	})
	n.On("logout", func(e *socketio.Event) {
		e.Socket.Member().Logout()
		c.answer(e, reply{}, nil)
	})
	n.On("subscribe", func(e *socketio.Event) { c.room(e, (*hub.Member).Join) })
	n.On("unsubscribe", func(e *socketio.Event) {
		c.room(e, func(m *hub.Member, room string) error {
			m.Leave(room)
			return nil
		})
	})
}

// login binds the socket to a user, unless it is bound already, and shows it
// the online count. It returns the user that the socket is bound to.
func (c clients) login(s *socketio.Socket, uid string) (string, error) {
	m := s.Member()
	if bound := m.UID(); bound != "" {
		return bound, nil
	}
	if err := m.Login(uid); err != nil {
		return "", err
	}
	c.counter.show(s)
	return m.UID(), nil
}

func (c clients) room(e *socketio.Event, move func(*hub.Member, string) error) {
	var room string
	err := errForbidden
	if c.mayJoin {
		if err = errNoRoom; e.Decode(0, &room) == nil {
			err = move(e.Socket.Member(), room)
		}
	}
	c.answer(e, reply{Room: room}, err)
}

// answer acknowledges an event, if the client asked for it.
func (c clients) answer(e *socketio.Event, r reply, err error) {
	if !e.WantsAck() {
		return
	}
	if err != nil {
		r = reply{Error: err.Error(), Code: errorCode(err)}
	} else {
		r.OK = true
	}
	if err := e.Ack(socketio.JSON(r)); err != nil {
		c.log.Debug("acknowledgement not sent", "event", e.Name, "error", err)
	}
}

// refusal is the connect_error of a client whose uid cannot be: a client of 2.x
// is given nothing but the data, so the sentence is there too.
func refusal(err error) error {
	data, encodeErr := json.Marshal(map[string]string{"code": errorCode(err), "error": err.Error()})
	if encodeErr != nil {
		return err
	}
	return &socketio.ConnectError{Message: err.Error(), Data: data}
}

// errorCode is the stable name of an error that a client is told.
func errorCode(err error) string {
	switch {
	case errors.Is(err, errNoUID), errors.Is(err, hub.ErrBadUID):
		return "bad_uid"
	case errors.Is(err, errNoRoom), errors.Is(err, hub.ErrBadRoom):
		return "bad_room"
	case errors.Is(err, errForbidden):
		return "forbidden"
	default:
		return "unavailable"
	}
}

// offeredUID is the uid that a client names while it connects: auth.uid (3.x
// and 4.x) or the query's uid. Empty if it names none; null is none.
func offeredUID(s *socketio.Socket) (string, error) {
	var auth struct {
		UID json.RawMessage `json:"uid"`
	}
	if data := s.Auth(); data != nil && json.Unmarshal(data, &auth) == nil && auth.UID != nil && string(auth.UID) != "null" {
		return parseUID(auth.UID)
	}
	if h := s.Handshake(); h != nil && h.Query.Has("uid") {
		uid := h.Query.Get("uid")
		return uid, hub.CheckUID(uid)
	}
	return "", nil
}

// parseUID takes a uid from JSON: a string, or an integer, whose digits it
// becomes. Pages send both for the same user, and fractions are no user.
func parseUID(data json.RawMessage) (string, error) {
	var v any
	dec := json.NewDecoder(strings.NewReader(string(data)))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return "", errNoUID
	}
	switch v := v.(type) {
	case string:
		return v, hub.CheckUID(v)
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			return "", errNoUID
		}
		return v.String(), hub.CheckUID(v.String())
	default:
		return "", errNoUID
	}
}
