package hub

import (
	"hash/maphash"
	"strings"
	"sync"
	"time"
)

// shardCount is how many locks each index is spread over. A power of two.
const shardCount = 64

// connShard is one part of the connections, by id.
type connShard struct {
	mu   sync.Mutex
	byID map[string]*Member
}

// userShard is one part of the users, by uid.
type userShard struct {
	mu    sync.Mutex
	byUID map[string]*user
}

// user is somebody with at least one connection, or whose offline change is not decided yet.
type user struct {
	uid string // static

	// Guarded by the shard's mu.
	members   memberSet
	first     [1]*Member    // room for the one connection most users have
	departure *departure    // set while the user has no connection and may come back
	flushed   bool          // Close has reported the user offline
	told      bool          // the observer has taken that the user is online
	dirty     bool          // presence has the user in hand, since that may be otherwise
	ebb       bool          // with an Attendance only: it is being told that there is no connection
	standing                // likewise
	arrived   time.Duration // when the user came, since presence.start
}

// present tells whether the user counts as online. Called with the shard's mu held; see departure.in.
func (u *user) present() bool {
	return len(u.members.list) > 0 || u.departure != nil && u.departure.in != nil
}

// roomShard is one part of the rooms, by name.
type roomShard struct {
	mu     sync.Mutex
	byName map[string]*room
}

// room has at least one member; without any it is forgotten.
type room struct {
	name string // static

	members memberSet // guarded by the shard's mu
}

// indexes are the three name spaces, and everybody.
type indexes struct {
	seed      maphash.Seed
	everybody everybody
	conns     [shardCount]connShard
	users     [shardCount]userShard
	rooms     [shardCount]roomShard
}

// The maps are made when they are first written to: a hub can be one of many small ones.
func (x *indexes) init() { x.seed = maphash.MakeSeed() }

func (x *indexes) shard(name string) uint64         { return maphash.String(x.seed, name) % shardCount }
func (x *indexes) connShard(id string) *connShard   { return &x.conns[x.shard(id)] }
func (x *indexes) userShard(uid string) *userShard  { return &x.users[x.shard(uid)] }
func (x *indexes) roomShard(name string) *roomShard { return &x.rooms[x.shard(name)] }

// add files m under id; false if the id is taken.
func (s *connShard) add(id string, m *Member) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.byID[id]; taken {
		return false
	}
	if s.byID == nil {
		s.byID = make(map[string]*Member)
	}
	s.byID[id] = m
	return true
}

// remove undoes add.
func (s *connShard) remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byID, id)
}

// user returns the user with that uid, a new one if there is none. Called with mu held.
func (s *userShard) user(uid string) (u *user, created bool) {
	if u := s.byUID[uid]; u != nil {
		return u, false
	}
	u = &user{uid: strings.Clone(uid)} // uid may be a part of a larger text
	u.members.list = u.first[:0]
	if s.byUID == nil {
		s.byUID = make(map[string]*user)
	}
	s.byUID[u.uid] = u
	return u, true
}

// join puts m, which is not in it, into the room of that name.
func (s *roomShard) join(name string, m *Member) *room {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.byName[name]
	if r == nil {
		r = &room{name: strings.Clone(name)}
		if s.byName == nil {
			s.byName = make(map[string]*room)
		}
		s.byName[r.name] = r
	}
	r.members.add(m)
	return r
}

// leave takes m out of r.
func (s *roomShard) leave(r *room, m *Member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.members.remove(m)
	if len(r.members.list) == 0 {
		delete(s.byName, r.name)
	}
}
