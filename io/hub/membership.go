package hub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// MaxMemberships is how many rooms one user can be a member of.
const MaxMemberships = 1000

var (
	// ErrTooManyRooms is returned by [Hub.AddMembership] for a user who has [MaxMemberships].
	ErrTooManyRooms = errors.New("a user can be a member of 1,000 rooms at most")
	// ErrStore is returned when [Memberships] fail; nothing has changed then.
	ErrStore = errors.New("the memberships could not be stored")
)

// Memberships keep which users are members of which rooms, beyond the end of the process. Adding what is there and removing
// what is not are no errors. AddMembership and RemoveMembership are called by many goroutines at once, but for one user by
// one at a time; they may take their time. EachMembership is called before them, once, and stops at an error of fn.
type Memberships interface {
	AddMembership(uid, room string) error
	RemoveMembership(uid, room string) error
	EachMembership(fn func(uid, room string) error) error
}

// roster is what the hub knows of memberships. A user's membership puts all connections into the room that are logged in
// as the user.
type roster struct {
	store Memberships // nil: in memory only
	users [shardCount]rosterShard
	rooms [shardCount]rosterRooms
}

// rosterShard is one part of the roster, by uid.
type rosterShard struct {
	turn chan struct{} // holds a token while a membership in this shard is being changed

	mu    sync.Mutex // taken after that of a member, and before no other
	rooms map[string][]string
}

// rosterRooms is one part of the roster, by room.
type rosterRooms struct {
	mu    sync.Mutex // taken before no other
	users map[string]map[string]struct{}
}

func newRoster(store Memberships) *roster {
	r := &roster{store: store}
	for i := range r.users {
		r.users[i].turn = make(chan struct{}, 1)
	}
	return r
}

// loadRoster gives the hub the memberships of a store. Nobody else has the hub yet.
func (h *Hub) loadRoster(store Memberships) error {
	r := newRoster(store)
	h.members.Store(r)
	err := store.EachMembership(func(uid, room string) error {
		if !validName(uid) || !validName(room) {
			return fmt.Errorf("user %q, room %q: %w", uid, room, errors.Join(ErrBadUID, ErrBadRoom))
		}
		h.enter(r, uid, room)
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading the memberships: %w", err)
	}
	return nil
}

// roster returns the memberships, made if there are none: a hub can be one of many small ones.
func (h *Hub) roster() *roster {
	if r := h.members.Load(); r != nil {
		return r
	}
	h.members.CompareAndSwap(nil, newRoster(nil))
	return h.members.Load()
}

// AddMembership makes the user a member of the room: all connections that are logged in as the user, now or later, are in
// it. It returns how many have joined by that, and when it returns the membership is stored. Adding it again changes
// nothing. It fails with [ErrBadUID], [ErrBadRoom], [ErrTooManyRooms], [ErrStore], [ErrClosed] or the error of ctx, which
// bounds the wait for a turn but not the store.
func (h *Hub) AddMembership(ctx context.Context, uid, room string) (joined int, err error) {
	err = h.changeMembership(ctx, uid, room, func(r *roster, is bool) error {
		if !is {
			if len(h.Memberships(uid)) >= MaxMemberships {
				return ErrTooManyRooms
			}
			if r.store != nil {
				if err := r.store.AddMembership(uid, room); err != nil {
					return errors.Join(ErrStore, err)
				}
			}
			h.enter(r, uid, room)
		}
		// A connection that is not there yet finds the membership when it logs in.
		joined = h.eachOf(uid, func(m *Member) bool { return m.enroll(uid, room) })
		if h.recovery.active() {
			h.recovery.enroll(uid, room)
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("adding a member to a room: %w", err)
	}
	return joined, nil
}

// RemoveMembership undoes AddMembership, and returns how many connections have left the room by that. Who has joined by
// [Member.Join] as well stays. Removing what is not there changes nothing. It fails as AddMembership does.
func (h *Hub) RemoveMembership(ctx context.Context, uid, room string) (left int, err error) {
	err = h.changeMembership(ctx, uid, room, func(r *roster, is bool) error {
		if !is {
			return nil
		}
		if r.store != nil {
			if err := r.store.RemoveMembership(uid, room); err != nil {
				return errors.Join(ErrStore, err)
			}
		}
		h.exit(r, uid, room)
		left = h.eachOf(uid, func(m *Member) bool { return m.expel(uid, room) })
		if h.recovery.active() {
			h.recovery.disenroll(uid, room)
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("removing a member from a room: %w", err)
	}
	return left, nil
}

// changeMembership calls change, which is told whether the membership is there, while nobody else changes one of that user.
func (h *Hub) changeMembership(ctx context.Context, uid, room string, change func(r *roster, is bool) error) error {
	switch {
	case !validName(uid):
		return ErrBadUID
	case !validName(room):
		return ErrBadRoom
	}
	r := h.roster()
	turn := r.users[h.indexes.shard(uid)].turn
	select {
	case turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-turn }()
	if h.closed.Load() {
		return ErrClosed
	}
	return change(r, h.isMember(uid, room))
}

// Memberships returns the rooms that the user has been made a member of, in the order of that. The caller owns the list.
func (h *Hub) Memberships(uid string) []string {
	r := h.members.Load()
	if r == nil {
		return nil
	}
	s := &r.users[h.indexes.shard(uid)]
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.rooms[uid])
}

// EachMembership calls fn for every membership, in no order. What changes meanwhile may be among them or not.
func (h *Hub) EachMembership(fn func(uid, room string)) {
	r := h.members.Load()
	if r == nil {
		return
	}
	for i := range r.users {
		s := &r.users[i]
		s.mu.Lock()
		all := make(map[string][]string, len(s.rooms))
		for uid, rooms := range s.rooms {
			all[uid] = slices.Clone(rooms)
		}
		s.mu.Unlock()
		for uid, rooms := range all {
			for _, room := range rooms {
				fn(uid, room)
			}
		}
	}
}

func (h *Hub) isMember(uid, room string) bool {
	r := h.members.Load()
	if r == nil {
		return false
	}
	s := &r.users[h.indexes.shard(uid)]
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.rooms[uid], room)
}

// enter notes a membership.
func (h *Hub) enter(r *roster, uid, room string) {
	uid, room = strings.Clone(uid), strings.Clone(room) // they may be parts of larger texts
	s := &r.users[h.indexes.shard(uid)]
	s.mu.Lock()
	if s.rooms == nil {
		s.rooms = make(map[string][]string)
	}
	if !slices.Contains(s.rooms[uid], room) {
		s.rooms[uid] = append(s.rooms[uid], room)
	}
	s.mu.Unlock()

	q := &r.rooms[h.indexes.shard(room)]
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.users == nil {
		q.users = make(map[string]map[string]struct{})
	}
	if q.users[room] == nil {
		q.users[room] = make(map[string]struct{})
	}
	q.users[room][uid] = struct{}{}
}

// exit undoes enter.
func (h *Hub) exit(r *roster, uid, room string) {
	s := &r.users[h.indexes.shard(uid)]
	s.mu.Lock()
	rooms := s.rooms[uid]
	if i := slices.Index(rooms, room); i >= 0 {
		rooms = slices.Delete(rooms, i, i+1)
	}
	if s.rooms[uid] = rooms; len(rooms) == 0 {
		delete(s.rooms, uid)
	}
	s.mu.Unlock()

	q := &r.rooms[h.indexes.shard(room)]
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.users[room], uid)
	if len(q.users[room]) == 0 {
		delete(q.users, room)
	}
}

// membersOf returns the first users behind after that are members of the room and begin with prefix, and whether there are more.
func (h *Hub) membersOf(room, after string, limit int, prefix string) (first []Occupant, more bool) {
	r := h.members.Load()
	if r == nil {
		return nil, false
	}
	found := smallest[Occupant]{limit: limit, name: func(o Occupant) string { return o.UID }}
	q := &r.rooms[h.indexes.shard(room)]
	q.mu.Lock()
	defer q.mu.Unlock()
	for uid := range q.users[room] {
		if uid > after && strings.HasPrefix(uid, prefix) {
			found.add(Occupant{UID: uid})
		}
	}
	return found.end()
}

// eachOf counts the connections of a user for which change says so.
func (h *Hub) eachOf(uid string, change func(*Member) bool) int {
	sc := h.newScratch()
	defer h.release(sc)
	sc.addNamed(h, &Audience{Users: []string{uid}})
	n := 0
	for _, m := range sc.list {
		if change(m) {
			n++
		}
	}
	return n
}
