package hub

// usernames are the users that an audience means, whether they are online or not. A room means who is logged in there, and
// who is a member of it.
type usernames struct {
	all    bool
	names  map[string]struct{}
	except *usernames
}

// usernames resolves an audience to users. elsewhere has those of rooms who are logged in to other hubs. Connections mean nobody: who leaves one out does not leave out its user.
func (h *Hub) usernames(a *Audience, elsewhere map[string][]string) *usernames {
	u := &usernames{all: a.All, names: make(map[string]struct{}, len(a.Users))}
	for _, uid := range a.Users {
		u.names[uid] = struct{}{}
	}
	for _, room := range a.Rooms {
		h.addOccupants(u.names, room)
		for _, uid := range elsewhere[room] {
			u.names[uid] = struct{}{}
		}
	}
	if a.Except != nil {
		u.except = h.usernames(a.Except, elsewhere)
	}
	return u
}

// addOccupants adds the users of a room.
func (h *Hub) addOccupants(names map[string]struct{}, room string) {
	h.addLoggedIn(names, room)
	r := h.members.Load()
	if r == nil {
		return
	}
	q := &r.rooms[h.indexes.shard(room)]
	q.mu.Lock()
	defer q.mu.Unlock()
	for uid := range q.users[room] {
		names[uid] = struct{}{}
	}
}

// addLoggedIn adds the users who are logged in in a room.
func (h *Hub) addLoggedIn(names map[string]struct{}, room string) {
	s := h.indexes.roomShard(room)
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.byName[room]; r != nil {
		for _, m := range r.members.list {
			if uid := m.UID(); uid != "" {
				names[uid] = struct{}{}
			}
		}
	}
}

// has tells whether the user is meant.
func (u *usernames) has(uid string) bool {
	if u == nil {
		return false
	}
	_, named := u.names[uid]
	return (named || u.all) && !u.except.has(uid)
}

// list returns those who are named and meant, in no order.
func (u *usernames) list() []string {
	list := make([]string, 0, len(u.names))
	for uid := range u.names {
		if !u.except.has(uid) {
			list = append(list, uid)
		}
	}
	return list
}
