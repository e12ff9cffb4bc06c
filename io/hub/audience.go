package hub

import "slices"

// Audience says which connections are meant: the union of all that is named, minus Except.
type Audience struct {
	Users       []string  // every connection of these users
	Rooms       []string  // every connection in these rooms
	Connections []string  // the connections with these ids
	All         bool      // every connection, logged in or not (see Options.LoginFirst)
	Except      *Audience // nil: nobody
}

// maxExcept is how deep exceptions may be nested.
const maxExcept = 8

// check finds a name that cannot be, and exceptions nested too deep. Connection ids are only looked up.
func (a *Audience) check(depth int) error {
	if depth > maxExcept {
		return ErrBadAudience
	}
	for _, uid := range a.Users {
		if !validName(uid) {
			return ErrBadUID
		}
	}
	for _, room := range a.Rooms {
		if !validName(room) {
			return ErrBadRoom
		}
	}
	if a.Except == nil {
		return nil
	}
	return a.Except.check(depth + 1)
}

const (
	// scanUntil is up to how many elements scanning a list is preferred to a map.
	scanUntil = 16
	// keepUntil is up to how many elements a scratch's map is kept for the next time.
	keepUntil = 1 << 16
)

// scratch is what resolving an audience needs. It is kept in a pool.
type scratch struct {
	list  []*Member            // the audience: each member once
	seen  map[*Member]struct{} // the members of list[:known], unless empty
	known int

	part    bool      // the list has no more than the tracked of the audience
	tracked []*Member // used by separate
	users   map[*user]struct{}
}

func (h *Hub) newScratch() *scratch { return h.scratch.Get().(*scratch) }

// release gives sc back, without a reference to any member.
func (h *Hub) release(sc *scratch) {
	clear(sc.list)
	sc.list, sc.known, sc.part = sc.list[:0], 0, false
	if len(sc.seen) > keepUntil {
		sc.seen = nil
	}
	if len(sc.users) > keepUntil {
		sc.users = nil
	}
	clear(sc.seen)
	clear(sc.users)
	h.scratch.Put(sc)
}

// resolve fills the list with a snapshot of the audience, shard by shard.
func (sc *scratch) resolve(h *Hub, a *Audience) {
	if a.All {
		sc.list = h.indexes.everybody.appendTo(sc.list)
	} else {
		sc.addNamed(h, a)
	}
	if a.Except == nil || len(sc.list) == 0 {
		return
	}
	if a.Except.All && a.Except.Except == nil {
		sc.reduce(0)
		return
	}
	except := h.newScratch()
	defer h.release(except)
	except.resolve(h, a.Except)
	sc.subtract(except)
}

func (sc *scratch) addNamed(h *Hub, a *Audience) {
	x := &h.indexes
	for _, uid := range a.Users {
		s := x.userShard(uid)
		s.mu.Lock()
		if u := s.byUID[uid]; u != nil {
			sc.list = append(sc.list, u.members.list...)
		}
		s.mu.Unlock()
		sc.dedupe()
	}
	for _, name := range a.Rooms {
		s := x.roomShard(name)
		s.mu.Lock()
		if r := s.byName[name]; r != nil {
			sc.list = append(sc.list, r.members.list...)
		}
		s.mu.Unlock()
		sc.dedupe()
	}
	for _, id := range a.Connections {
		s := x.connShard(id)
		s.mu.Lock()
		if m := s.byID[id]; m != nil && x.everybody.has(m) {
			sc.list = append(sc.list, m)
		}
		s.mu.Unlock()
		sc.dedupe()
	}
}

// dedupe removes from list[known:], which has each member once, those that are in list[:known], and makes all of it
// known. A first, single source costs nothing.
func (sc *scratch) dedupe() {
	if sc.known == 0 || sc.known == len(sc.list) {
		sc.known = len(sc.list)
		return
	}
	if sc.known > scanUntil && len(sc.seen) < sc.known {
		sc.seen = mark(sc.seen, sc.list[:sc.known])
	}
	kept := sc.known
	for _, m := range sc.list[sc.known:] {
		if sc.has(m) {
			continue
		}
		sc.list[kept] = m
		kept++
	}
	if len(sc.seen) > 0 {
		sc.seen = mark(sc.seen, sc.list[sc.known:kept])
	}
	sc.truncate(kept)
	sc.known = kept
}

// has tells whether m is in list[:known].
func (sc *scratch) has(m *Member) bool {
	if len(sc.seen) == 0 {
		return slices.Contains(sc.list[:sc.known], m)
	}
	_, ok := sc.seen[m]
	return ok
}

// subtract removes the members of except.
func (sc *scratch) subtract(except *scratch) {
	if except.known = len(except.list); except.known > scanUntil && len(except.seen) < except.known {
		except.seen = mark(except.seen, except.list)
	}
	kept := 0
	for _, m := range sc.list {
		if !except.has(m) {
			sc.list[kept] = m
			kept++
		}
	}
	sc.reduce(kept)
}

// reduce shortens the list to n members; what is known about those removed is forgotten.
func (sc *scratch) reduce(n int) {
	sc.truncate(n)
	clear(sc.seen)
	sc.known = 0
}

// truncate shortens the list to n members and forgets the rest.
func (sc *scratch) truncate(n int) {
	clear(sc.list[n:])
	sc.list = sc.list[:n]
}

// countUsers returns how many different users the members of the list are logged in as.
func (sc *scratch) countUsers() int {
	if len(sc.list) == 1 {
		if sc.list[0].user.Load() != nil {
			return 1
		}
		return 0
	}
	if sc.users == nil {
		sc.users = make(map[*user]struct{}, min(len(sc.list), keepUntil))
	}
	for _, m := range sc.list {
		if u := m.user.Load(); u != nil {
			sc.users[u] = struct{}{}
		}
	}
	return len(sc.users)
}

func mark(set map[*Member]struct{}, list []*Member) map[*Member]struct{} {
	if set == nil {
		set = make(map[*Member]struct{}, len(list))
	}
	for _, m := range list {
		set[m] = struct{}{}
	}
	return set
}
