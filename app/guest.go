package app

import (
	"slices"
	"sync"
	"time"

	"crier/api/auth"
	"crier/io/socketio"
	"crier/io/wsconn"
)

// guest is what the gate knows of a socket that it has admitted, beside the user: the socket's Data.
type guest struct {
	// static
	gate      *gate
	socket    *socketio.Socket
	handshake *socketio.Handshake // kept for a callback's later questions; else nil

	timer wsconn.Timer // filed in gate.wheel for due, while the socket is in its namespace

	mu    sync.Mutex // taken before that of the wheel
	here  bool       // in its namespace
	rooms []string   // that the token names; nil where that does not matter
	due   time.Time  // when it must have logged in or, logged in, when that ends; the zero time is never
}

// guestOf returns what the gate knows of a socket.
func guestOf(s *socketio.Socket) *guest {
	v, ok := s.Data().(*guest)
	if !ok { // every namespace asks the gate first, and nobody else sets Data
		panic("app: a socket that the gate has not admitted")
	}
	return v
}

// login logs the guest in, who must not be.
func (v *guest) login(id auth.Identity) error {
	if err := v.socket.Member().Login(id.UID); err != nil {
		return err
	}
	if v.gate.roomsFrom != "token" {
		id.Rooms = nil
	}
	v.expect(id.Rooms, id.Expires)
	return nil
}

// expect says what its token allows, and when something is due.
func (v *guest) expect(rooms []string, due time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.rooms, v.due = rooms, due
	v.rearmLocked()
}

// identity is who the guest is; there is no UID while it is not logged in.
func (v *guest) identity() auth.Identity {
	v.mu.Lock()
	defer v.mu.Unlock()
	return auth.Identity{UID: v.socket.Member().UID(), Rooms: v.rooms, Expires: v.due}
}

// mayEnter reports whether the token names the room.
func (v *guest) mayEnter(room string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Contains(v.rooms, room)
}

// move is told when the socket has joined its namespace, and when it leaves it.
func (v *guest) move(here bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.here = here
	v.rearmLocked()
}

// rearmLocked sets the timer for what is due.
func (v *guest) rearmLocked() {
	if v.here && !v.due.IsZero() {
		v.gate.wheel.Set(&v.timer, v, v.due)
	} else {
		v.gate.wheel.Stop(&v.timer)
	}
}

// Tick implements [wsconn.Timed]: it closes a connection that has not logged in
// in time, or whose token has expired, in such a way that the client comes back.
func (v *guest) Tick(now time.Time) (next time.Time) {
	v.mu.Lock()
	here, due := v.here, v.due
	v.mu.Unlock()
	switch {
	case !here || due.IsZero():
		return time.Time{}
	case now.Before(due):
		return due
	case v.socket.Member().UID() != "":
		v.gate.log.Debug("closed a client whose token has expired")
	default:
		v.gate.log.Debug("closed a client that has not logged in (setting `auth.login_timeout`)")
	}
	v.socket.Session().Close()
	return time.Time{}
}
