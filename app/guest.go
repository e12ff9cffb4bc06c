package app

import (
	"sync"
	"time"

	"crier/api/auth"
	"crier/io/hub"
	"crier/io/socketio"
	"crier/io/wsconn"
)

// settleTime is how soon it is looked after a socket that was let in and then
// did not say that it had joined.
const settleTime = time.Second

// The phases of a guest.
const (
	arriving byte = iota // admitted; the client is being told
	present
	departed
)

// guest is a socket that was admitted.
type guest struct {
	// static
	gate      *gate
	socket    *socketio.Socket
	main      bool                // in the main namespace
	handshake *socketio.Handshake // kept for a callback's later questions; else nil

	timer wsconn.Timer // filed in gate.wheel

	mu       sync.Mutex // taken before that of the hub and of the wheel
	phase    byte
	id       auth.Identity // no UID while not logged in
	member   *hub.Member   // nil while not logged in, and outside the main namespace
	deadline time.Time     // for the login
}

func (v *guest) uid() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.id.UID
}

// enterLocked logs a guest in, who must not be.
func (v *guest) enterLocked(id auth.Identity) error {
	if v.main {
		m, err := v.gate.hub.Connect(v.socket)
		if err != nil {
			return err
		}
		if err := m.Login(id.UID); err != nil {
			m.Gone()
			return err
		}
		v.member = m
	}
	if v.gate.roomsFrom != "token" {
		id.Rooms = nil // not needed
	}
	v.id = id
	v.gate.know(v.socket.Session(), id)
	return nil
}

// leaveLocked takes a guest out of the hub; by itself or since its connection ended.
func (v *guest) leaveLocked(byItself bool) {
	v.id = auth.Identity{}
	if byItself {
		v.gate.know(v.socket.Session(), v.id)
	}
	if v.member == nil {
		return
	}
	if byItself {
		v.member.Logout() // which presence tells from an end
	}
	v.member.Gone()
	v.member = nil
}

// arrived is told when the client knows that it has joined.
func (v *guest) arrived() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.phase == arriving {
		v.phase = present
		v.rearmLocked()
	}
}

// depart ends the guest. It reports whether it was the last of its connection.
func (v *guest) depart() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.phase == departed {
		return false
	}
	v.phase = departed
	v.gate.wheel.Stop(&v.timer)
	v.leaveLocked(false)
	return v.gate.remove(v.socket)
}

// rearmLocked sets the timer for what is due next.
func (v *guest) rearmLocked() {
	if at := v.dueLocked(); at.IsZero() {
		v.gate.wheel.Stop(&v.timer)
	} else {
		v.gate.wheel.Set(&v.timer, v, at)
	}
}

// dueLocked is when the connection is to be closed; the zero time is never.
func (v *guest) dueLocked() time.Time {
	if v.id.UID == "" {
		return v.deadline
	}
	return v.id.Expires
}

// Tick implements [wsconn.Timed]: it closes a connection that has not logged in
// in time, or whose token has expired, in such a way that the client comes back.
func (v *guest) Tick(now time.Time) (next time.Time) {
	v.mu.Lock()
	phase, due, known := v.phase, v.dueLocked(), v.id.UID != ""
	v.mu.Unlock()
	switch {
	case phase == departed:
		return time.Time{}
	case phase == arriving && v.lost():
		v.depart()
		return time.Time{}
	case phase == arriving:
		return now.Add(settleTime)
	case due.IsZero() || now.Before(due):
		return due
	case known:
		v.gate.log.Debug("closed a client whose token has expired")
	default:
		v.gate.log.Debug("closed a client that has not logged in (setting `auth.login_timeout`)")
	}
	v.socket.Session().Close()
	return time.Time{}
}

// lost reports whether the connection ended before the client could be told
// that it had joined: nobody is told of that, but the lobby has let it go.
func (v *guest) lost() bool {
	return v.socket.Member().Login("arriving") != nil
}
