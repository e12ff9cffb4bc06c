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

// roomPush tells the others in a room that a user has come into it or left it.
func roomPush(c hub.RoomChange) (hub.Push, error) {
	event := roomEvent{Room: c.Room, UID: c.UID, Event: "leave"}
	if c.Joined {
		event.Event = "join"
	}
	m, err := socketio.NewMessage("presence", socketio.JSON(event))
	others := hub.Audience{Rooms: []string{c.Room}, Except: &hub.Audience{Users: []string{c.UID}}}
	return hub.Push{To: others, Message: m}, err
}

// tellRoom pushes it, where there is one server.
func (a *App) tellRoom(c hub.RoomChange) {
	p, err := roomPush(c)
	if err == nil {
		_, err = a.hub.Push(context.Background(), p)
	}
	if err != nil && !errors.Is(err, hub.ErrClosed) {
		a.log.Warn("a room was not told who came or left", "error", err)
	}
}
