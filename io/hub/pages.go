package hub

import (
	"errors"
	"strings"
)

// ErrPartial is returned beside what there is of a list when a server has not said what it has.
var ErrPartial = errors.New("a server has not answered: what it has is missing")

// UsersAfter returns the first users online, in the order of their names, that are behind the name after and begin with a prefix, and
// whether there are more. It looks at all users. [Hub.Users] does not, but its order is this hub's own.
func (h *Hub) UsersAfter(after, prefix string, limit int) (page []Listed, more bool) {
	found := smallest[Listed]{limit: limit, name: func(l Listed) string { return l.Name }}
	for i := range h.indexes.users {
		s := &h.indexes.users[i]
		s.mu.Lock()
		for uid, u := range s.byUID {
			if n := len(u.members.list); n > 0 && uid > after && strings.HasPrefix(uid, prefix) {
				found.add(Listed{Name: uid, Connections: n})
			}
		}
		s.mu.Unlock()
	}
	return found.end()
}

// RoomsAfter does for the rooms that have a connection what UsersAfter does for users.
func (h *Hub) RoomsAfter(after, prefix string, limit int) (page []Listed, more bool) {
	found := smallest[Listed]{limit: limit, name: func(l Listed) string { return l.Name }}
	for i := range h.indexes.rooms {
		s := &h.indexes.rooms[i]
		s.mu.Lock()
		for name, r := range s.byName {
			if name > after && strings.HasPrefix(name, prefix) {
				found.add(Listed{Name: name, Connections: len(r.members.list)})
			}
		}
		s.mu.Unlock()
	}
	return found.end()
}

// OccupantsAfter returns the first connections in the room whose ids are behind the id after, and whether there are more.
func (h *Hub) OccupantsAfter(room, after string, limit int) (page []Occupant, more bool) {
	return h.connectionsIn(room, after, limit)
}

// MembersAfter returns the first users, online or not, that are members of the room ([Hub.AddMembership]), are behind the name after
// and begin with a prefix, and whether there are more.
func (h *Hub) MembersAfter(room, after, prefix string, limit int) (page []Occupant, more bool) {
	return h.membersOf(room, after, limit, prefix)
}
