package app

import (
	"context"
	"errors"

	"crier/io/hub"
	"crier/io/socketio"
)

// roomEvent is the argument of the presence event.
type roomEvent struct {
	Room  string `json:"room"`
	UID   string `json:"uid"`
	Event string `json:"event"` // "join" or "leave"
}

// tellRoom tells the others in a room that a user has come into it or left it.
func (a *App) tellRoom(c hub.RoomChange) {
	event := roomEvent{Room: c.Room, UID: c.UID, Event: "leave"}
	if c.Joined {
		event.Event = "join"
	}
	m, err := socketio.NewMessage("presence", socketio.JSON(event))
	if err == nil {
		others := hub.Audience{Rooms: []string{c.Room}, Except: &hub.Audience{Users: []string{c.UID}}}
		_, err = a.hub.Push(context.Background(), hub.Push{To: others, Message: m})
	}
	if err != nil && !errors.Is(err, hub.ErrClosed) {
		a.log.Warn("a room was not told who came or left", "error", err)
	}
}
