package hub

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/maphash"
	"slices"
	"strings"
)

// ErrBadCursor is returned for a cursor that did not come from the same list of the same process.
var ErrBadCursor = errors.New("the cursor is not one of this list, or the server has restarted since: begin again without one")

// Listed is an entry of a list.
type Listed struct {
	Name        string // the uid or the room
	Connections int
}

// Occupant is a connection in a room, or a user who is a member of it.
type Occupant struct {
	Connection string // its id; "" for a member
	UID        string // "" without a login
}

// Session is a connection of a user.
type Session struct {
	Connection string // its id
	Rooms      []string
}

// Page says which part of a list is meant.
type Page struct {
	// Cursor is where the page before ended; empty for the first one.
	Cursor string
	// Limit is how many entries the page may have. At least 1.
	Limit int
	// Prefix is what the names have to begin with; empty means all.
	Prefix string
}

// Users returns the users online, in no order that means anything, and the cursor of the next page, empty behind the last.
// Who stays online from the first page to the last is in exactly one of them. One part of the index at a time is locked,
// for as long as it takes to copy. It fails with [ErrBadCursor].
func (h *Hub) Users(p Page) (page []Listed, next string, err error) {
	return h.list(p, 'u', func(shard int, dst []Listed, after string) []Listed {
		s := &h.indexes.users[shard]
		s.mu.Lock()
		defer s.mu.Unlock()
		for uid, u := range s.byUID {
			if n := len(u.members.list); n > 0 && uid > after && strings.HasPrefix(uid, p.Prefix) {
				dst = append(dst, Listed{Name: uid, Connections: n})
			}
		}
		return dst
	})
}

// Rooms returns the rooms that have a connection, as [Hub.Users] returns users.
func (h *Hub) Rooms(p Page) (page []Listed, next string, err error) {
	return h.list(p, 'r', func(shard int, dst []Listed, after string) []Listed {
		s := &h.indexes.rooms[shard]
		s.mu.Lock()
		defer s.mu.Unlock()
		for name, r := range s.byName {
			if name > after && strings.HasPrefix(name, p.Prefix) {
				dst = append(dst, Listed{Name: name, Connections: len(r.members.list)})
			}
		}
		return dst
	})
}

// list gathers a page shard by shard. find appends to dst what a shard has behind the name after.
func (h *Hub) list(p Page, kind byte, find func(shard int, dst []Listed, after string) []Listed) ([]Listed, string, error) {
	shard, after, err := h.parseCursor(kind, p.Cursor)
	if err != nil {
		return nil, "", err
	}
	var page, found []Listed
	for ; shard < shardCount; shard, after = shard+1, "" {
		found = find(shard, found[:0], after)
		slices.SortFunc(found, func(a, b Listed) int { return strings.Compare(a.Name, b.Name) })
		room := p.Limit - len(page)
		page = append(page, found[:min(room, len(found))]...)
		if len(found) > room {
			last := "" // of this shard
			if room > 0 {
				last = found[room-1].Name
			}
			return page, h.cursor(kind, shard, last), nil
		}
	}
	return page, "", nil
}

// Room returns the connections in a room, by id, and behind them the users that are members of it ([Hub.AddMembership]),
// online or not, whose names begin with Page.Prefix; and the cursor of the next page, empty behind the last. It fails with
// [ErrBadRoom] or [ErrBadCursor].
func (h *Hub) Room(name string, p Page) (page []Occupant, next string, err error) {
	if !validName(name) {
		return nil, "", ErrBadRoom
	}
	part, after, err := h.parseCursor('o', p.Cursor)
	if err != nil {
		return nil, "", err
	}
	if part == 0 {
		var more bool
		if page, more = h.connectionsIn(name, after, p.Limit); more {
			return page, h.cursor('o', 0, page[len(page)-1].Connection), nil
		}
		after = ""
	}
	users, more := h.membersOf(name, after, p.Limit-len(page), p.Prefix)
	if page = append(page, users...); !more {
		return page, "", nil
	}
	if len(users) > 0 {
		after = users[len(users)-1].UID
	}
	return page, h.cursor('o', 1, after), nil
}

// connectionsIn returns the first connections in the room whose ids are behind after, and whether there are more.
func (h *Hub) connectionsIn(room, after string, limit int) (first []Occupant, more bool) {
	sc := h.newScratch()
	defer h.release(sc)
	sc.addNamed(h, &Audience{Rooms: []string{room}})
	found := smallest[Occupant]{limit: limit, name: func(o Occupant) string { return o.Connection }}
	for _, m := range sc.list {
		if id := m.conn.ID(); id > after {
			found.add(Occupant{Connection: id, UID: m.UID()})
		}
	}
	return found.end()
}

// smallest finds those with the smallest names.
type smallest[T any] struct {
	limit int
	name  func(T) string
	list  []T
	more  bool // there are others
}

func (s *smallest[T]) add(one T) {
	if s.list = append(s.list, one); len(s.list) >= 2*s.limit+16 {
		s.end()
	}
}

func (s *smallest[T]) end() (first []T, more bool) {
	slices.SortFunc(s.list, func(a, b T) int { return strings.Compare(s.name(a), s.name(b)) })
	if len(s.list) > s.limit {
		s.list, s.more = s.list[:s.limit], true
	}
	return s.list, s.more
}

// User returns the connections of a user, none if there are none. It fails with [ErrBadUID].
func (h *Hub) User(uid string) ([]Session, error) {
	if !validName(uid) {
		return nil, ErrBadUID
	}
	sc := h.newScratch()
	defer h.release(sc)
	sc.addNamed(h, &Audience{Users: []string{uid}})
	sessions := make([]Session, len(sc.list))
	for i, m := range sc.list {
		sessions[i] = Session{Connection: m.conn.ID(), Rooms: m.Rooms()}
	}
	slices.SortFunc(sessions, func(a, b Session) int { return strings.Compare(a.Connection, b.Connection) })
	return sessions, nil
}

// cursor returns the place behind the name last of a shard.
func (h *Hub) cursor(kind byte, shard int, last string) string {
	b := append(make([]byte, 0, 6+len(last)), kind, byte(shard))
	b = binary.BigEndian.AppendUint32(b, h.epoch())
	return base64.RawURLEncoding.EncodeToString(append(b, last...))
}

// parseCursor undoes cursor. The beginning of a list is the empty one.
func (h *Hub) parseCursor(kind byte, cursor string) (shard int, after string, err error) {
	if cursor == "" {
		return 0, "", nil
	}
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(b) < 6 || b[0] != kind || b[1] >= shardCount || binary.BigEndian.Uint32(b[2:]) != h.epoch() {
		return 0, "", ErrBadCursor
	}
	return int(b[1]), string(b[6:]), nil
}

// epoch sets the cursors of this hub, whose names are spread by a seed of its own, apart from those of others.
func (h *Hub) epoch() uint32 { return uint32(maphash.String(h.indexes.seed, "cursor")) }
