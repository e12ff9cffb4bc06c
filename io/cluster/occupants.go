package cluster

import (
	"context"
	"fmt"
	"slices"

	"crier/io/hub"
)

// Elsewhere implements hub.SharedInbox: it asks all other nodes, and waits for them, a second at most. If one does not answer the
// error is ErrSilent, since its users must not be left out.
func (q *Inbox) Elsewhere(ctx context.Context, to *hub.Audience) (hub.Occupants, error) {
	all := hub.Occupants{Rooms: make(map[string][]string)}
	answers, err := q.relay.askAll(ctx, topicOccupants, appendAudience(nil, to))
	if err != nil {
		return all, fmt.Errorf("asking who is in the rooms: %w", err)
	}
	for _, body := range answers {
		one, err := parseRoomUsers(body)
		if err != nil {
			return all, fmt.Errorf("asking who is in the rooms: %w", err)
		}
		all.Strangers += one.Strangers
		for room, users := range one.Rooms {
			all.Rooms[room] = append(all.Rooms[room], users...)
		}
	}
	return all, nil
}

// answerOccupants answers Elsewhere of other nodes.
func (q *Inbox) answerOccupants(body []byte) ([]byte, error) {
	d := decoder{rest: body}
	to := d.audience(0)
	if d.bad || len(d.rest) > 0 {
		return nil, errNotPush
	}
	o, err := q.hub.Occupants(&to)
	if err != nil {
		return nil, err
	}
	return appendRoomUsers(nil, &o), nil
}

// appendRoomUsers appends the number of strangers, and that of the rooms: each with its name behind its length, and its users
// behind their number and each behind its length.
func appendRoomUsers(b []byte, o *hub.Occupants) []byte {
	b = appendNumber(appendNumber(b, o.Strangers), len(o.Rooms))
	for room, users := range o.Rooms {
		slices.Sort(users)
		b = appendNames(appendText(b, room), users)
	}
	return b
}

// parseRoomUsers undoes appendRoomUsers.
func parseRoomUsers(b []byte) (hub.Occupants, error) {
	d := decoder{rest: b}
	o := hub.Occupants{Strangers: int(d.number()), Rooms: make(map[string][]string)}
	for range d.count() {
		room := d.text()
		o.Rooms[room] = d.names()
	}
	if d.bad || len(d.rest) > 0 {
		return hub.Occupants{}, errNotAnswer
	}
	return o, nil
}
