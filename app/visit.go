package app

import (
	"time"

	"crier/api/auth"
	"crier/io/engineio"
	"crier/io/socketio"
)

// visit is what the guests of one connection have in common.
type visit struct {
	guests int
	id     auth.Identity // of the latest login; no UID before
}

func (g *gate) guest(s *socketio.Socket) *guest {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.guests[s]
}

// visitor is who the connection has proved to be, if that still holds.
func (g *gate) visitor(s *engineio.Session) auth.Identity {
	g.mu.Lock()
	defer g.mu.Unlock()
	if v := g.visits[s]; v != nil && (v.id.Expires.IsZero() || time.Now().Before(v.id.Expires)) {
		return v.id
	}
	return auth.Identity{}
}

func (g *gate) add(v *guest) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.guests[v.socket] = v
	session := v.socket.Session()
	if g.visits[session] == nil {
		g.visits[session] = &visit{}
	}
	g.visits[session].guests++
}

// remove reports whether the connection has no guest any more.
func (g *gate) remove(s *socketio.Socket) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.guests[s] == nil {
		return false
	}
	delete(g.guests, s)
	of := g.visits[s.Session()]
	if of.guests--; of.guests > 0 {
		return false
	}
	delete(g.visits, s.Session())
	return true
}

// know notes who a connection has proved to be; the zero Identity is nobody.
func (g *gate) know(s *engineio.Session, id auth.Identity) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if v := g.visits[s]; v != nil {
		v.id = id
	}
}
