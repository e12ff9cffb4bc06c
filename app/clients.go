package app

import (
	"encoding/json"
	"errors"
	"log/slog"
	"sync"

	"crier/api/auth"
	"crier/fallback"
	"crier/io/hub"
	"crier/io/socketio"
)

// clients handles what browsers send: in the main namespace, or without Socket.IO.
type clients struct {
	door    door
	counter *counter
	drafts  *sync.Pool // *[]byte, for answers
	log     *slog.Logger
}

func newClients(d door, c *counter, log *slog.Logger) clients {
	return clients{door: d, counter: c, drafts: &sync.Pool{New: func() any { return new([]byte) }}, log: log}
}

// door decides who a client is. There are [openDoor] and [gate].
type door interface {
	// admit is the middleware of the main namespace. It logs the client in if that says who it is.
	admit(s *socketio.Socket) error
	// admitClient says whether a client without Socket.IO may connect, and as
	// whom it is logged in if that says so.
	admitClient(r *fallback.Request) (*fallback.Admission, error)
	// login handles a login event. It returns the user that the client is
	// bound to, and whether it has become so just now.
	login(e said) (uid string, fresh bool, err error)
	logout(v visitor)
	// mayMove says why the client must not enter or leave the room by itself, or nil.
	mayMove(v visitor, room string) error
}

// openDoor believes everybody (auth.mode open).
type openDoor struct {
	mayJoin bool // clients may enter rooms by themselves
}

func (openDoor) admit(s *socketio.Socket) error {
	uid, err := offeredUID(s)
	if err == nil && uid != "" {
		err = s.Member().Login(uid)
	}
	return err
}

func (openDoor) login(e said) (uid string, fresh bool, err error) {
	m := e.from().Member()
	bound := m.UID()
	if bound != "" && isUID(e.JSON(0), bound) {
		return bound, false, nil
	}
	if uid, err = parseUID(e.JSON(0)); err != nil {
		return "", false, err
	}
	if bound != "" {
		return bound, false, nil
	}
	if err := m.Login(uid); err != nil {
		return "", false, err
	}
	return m.UID(), true, nil
}

func (openDoor) logout(v visitor) { v.Member().Logout() }

func (d openDoor) mayMove(visitor, string) error {
	if !d.mayJoin {
		return errForbidden
	}
	return nil
}

var (
	errNoUID     = errors.New("login needs a uid: a string or an integer")
	errNoRoom    = errors.New("the room must be a string")
	errForbidden = errors.New("clients may not enter rooms here (setting `rooms.client_join`)")
)

// events are those that are handled here, by name.
func (c clients) events() map[string]listener {
	return map[string]listener{
		"login": func(e said) {
			v := e.from()
			if v.Member().UID() == "" {
				uncork(v) // to log in may take a while
			}
			uid, fresh, err := c.door.login(e)
			cork(v) // the count, the answer, and what was said behind it: two writes would take 5 % of a login longer
			if fresh {
				c.counter.show(v)
			}
			c.answer(e, reply{UID: uid}, err)
		},
		"logout": func(e said) {
			c.door.logout(e.from())
			c.answer(e, reply{}, nil)
		},
		"subscribe": func(e said) { c.room(e, (*hub.Member).Join) },
		"unsubscribe": func(e said) {
			c.room(e, func(m *hub.Member, room string) error {
				m.Leave(room)
				return nil
			})
		},
	}
}

// register has those of the namespace handled.
func (c clients) register(n *socketio.Namespace) {
	n.Use(func(s *socketio.Socket) error {
		if err := c.door.admit(s); err != nil {
			return refusal(err)
		}
		return nil
	})
	n.OnConnect(func(s *socketio.Socket) {
		if s.Member().UID() != "" {
			c.counter.show(socket{s})
		}
	})
	attend(n.OnBrief, c.events())
}

func (c clients) room(e said, move func(*hub.Member, string) error) {
	var room string
	decodeErr := json.Unmarshal(e.JSON(0), &room) // Decode would take bytes, as base64
	err := c.door.mayMove(e.from(), room)
	switch {
	case err != nil:
	case decodeErr != nil:
		err = errNoRoom
	default:
		if e.from().Member().Shared() {
			uncork(e.from()) // to join waits for Redis
		}
		err = move(e.from().Member(), room)
	}
	cork(e.from())
	c.answer(e, reply{Room: room}, err)
}

// answer acknowledges an event with how it went.
func (c clients) answer(e said, r reply, err error) {
	if err != nil {
		r = reply{Error: err.Error(), Code: errorCode(err)}
	} else {
		r.OK = true
	}
	draft := c.drafts.Get().(*[]byte)
	defer c.drafts.Put(draft)
	*draft = r.appendTo((*draft)[:0])
	acknowledge(e, *draft, c.log)
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
	case errors.Is(err, errTokenRequired), errors.Is(err, errNoToken):
		return "token_required"
	case errors.Is(err, errLongLogin):
		return "too_large"
	case errors.Is(err, errOtherUID):
		return "uid_mismatch"
	case errors.Is(err, hub.ErrLoginFirst):
		return "login_required"
	case errors.Is(err, errNotNamed):
		return "forbidden"
	default:
		return auth.Code(err) // refused, expired or unavailable
	}
}
