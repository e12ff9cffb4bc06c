package app

import (
	"sync"
	"time"

	"crier/api/auth"
	"crier/io/socketio"
	"crier/io/wsconn"
)

// guest is what the gate knows of a visitor that it has admitted, beside the user: the visitor's Data.
type guest struct {
	// static
	gate      *gate
	visitor   visitor
	handshake *socketio.Handshake // kept for a callback's later questions; else nil

	timer wsconn.Timer // filed in gate.wheel for due, while the visitor is here

	mu    sync.Mutex // taken before that of the wheel
	here  bool       // connected; a socket, in its namespace
	rooms []string   // that the token names; nil where that does not matter
	due   time.Time  // when it must have logged in or, logged in, when that ends; the zero time is never
}

// guestOf returns what the gate knows of a visitor.
func guestOf(v interface{ Data() any }) *guest {
	g, ok := v.Data().(*guest)
	if !ok { // everybody asks the gate first, and nobody else sets Data
		panic("app: a visitor that the gate has not admitted")
	}
	return g
}

// settle makes the guest the visitor's data, and logs it in if it has a name.
func (v *guest) settle(id auth.Identity) error {
	v.visitor.SetData(v)
	if id.UID == "" {
		v.expect(nil, time.Now().Add(v.gate.timeout))
		return nil
	}
	return v.login(id)
}

// login logs the guest in, who must not be.
func (v *guest) login(id auth.Identity) error {
	if err := v.visitor.Member().Login(id.UID); err != nil {
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
	return auth.Identity{UID: v.visitor.Member().UID(), Rooms: v.rooms, Expires: v.due}
}

// move is told when the visitor has come, and when it goes.
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
	case v.visitor.Member().UID() != "":
		v.gate.log.Debug("closed a client whose token has expired")
		v.visitor.Close(reasonOf(auth.ErrExpired))
	default:
		v.gate.log.Debug("closed a client that has not logged in (setting `auth.login_timeout`)")
		v.visitor.Close(loginTimeout)
	}
	return time.Time{}
}
