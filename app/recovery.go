package app

import (
	"slices"

	"crier/io/hub"
	"crier/io/socketio"
)

// hubRecovery says how long clients can be away whose connections can be recovered; nil if none can.
func (a *App) hubRecovery() *hub.Recovery {
	c := a.cfg.Recovery
	if c.Clients == "off" {
		return nil
	}
	o := &hub.Recovery{
		Window:         c.Window,
		Notice:         a.cfg.SocketIO.PingInterval + a.cfg.SocketIO.PingTimeout,
		MaxMessages:    c.MaxMessages,
		MaxBytes:       int(c.MaxBytes),
		ReplayMessages: a.cfg.Limits.QueueMessages,
		ReplayBytes:    int(a.cfg.Limits.QueueBytes / 2), // the other half of the queue is for what comes meanwhile
		Placed:         a.cluster != nil,
	}
	if a.store != nil {
		o.Restore = a.store.TakeRecovery
	}
	return o
}

// recovery says which clients can recover, in the other namespaces too.
func (a *App) recovery() *socketio.Recovery {
	own := a.hubRecovery()
	if own == nil {
		return nil
	}
	return &socketio.Recovery{Recovery: *own, All: a.cfg.Recovery.Clients == "all", Allow: a.gate.allowBack}
}

// allowBack reports whether a guest may go on in the rooms that it had entered itself: it may have another token.
func (g *gate) allowBack(s *socketio.Socket, p *hub.Past) bool {
	if g == nil || g.roomsFrom != "token" {
		return true
	}
	id := guestOf(s).identity()
	return !slices.ContainsFunc(p.Rooms(), func(room string) bool { return g.mayEnter(id, room) != nil })
}

// saveRecovery keeps what clients can get that are away, now that all are.
func (a *App) saveRecovery() error {
	if a.store == nil || a.hub == nil || !a.hub.HasAway() {
		return nil
	}
	return a.store.SaveRecovery(a.hub.SaveRecovery)
}
