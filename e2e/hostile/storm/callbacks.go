//go:build linux

package storm

import (
	"fmt"
	"sync"

	"crier/e2e/rig"
)

// callbacks are what the business is told of users who come and go.
type callbacks struct {
	mu    sync.Mutex
	ids   map[string]bool // that have come
	users map[string]*told
	wrong error // the first thing that must not be
}

// told is what the business knows of a user.
type told struct {
	online  bool
	changes int
	version uint64
}

func newCallbacks() *callbacks {
	return &callbacks{ids: map[string]bool{}, users: map[string]*told{}}
}

// take takes an event, and keeps the first thing that must not be.
func (c *callbacks) take(e rig.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.note(e); err != nil && c.wrong == nil {
		c.wrong = err
	}
}

// note notes a change; one that comes again, with its id, is none. mu is held.
func (c *callbacks) note(e rig.Event) error {
	if c.ids[e.ID] {
		return nil
	}
	c.ids[e.ID] = true
	u := c.users[e.Data.UID]
	if u == nil {
		u = &told{}
		c.users[e.Data.UID] = u
	}
	online := e.Type == "user.online"
	if online == u.online || e.Data.Version <= u.version {
		return fmt.Errorf("of %s, after %+v, the business was told %+v", e.Data.UID, *u, e)
	}
	u.online, u.version = online, e.Data.Version
	u.changes++
	return nil
}

// count is how many users have come, and how many of them have gone.
func (c *callbacks) count() (came, gone int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, u := range c.users {
		if came++; !u.online {
			gone++
		}
	}
	return came, gone
}

// judge returns what must not be: users have come once, and gone once.
func (c *callbacks) judge(users int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.wrong != nil {
		return c.wrong
	}
	if len(c.users) != users {
		return fmt.Errorf("the business was told of %d users; there were %d", len(c.users), users)
	}
	for uid, u := range c.users {
		if u.changes != 2 || u.online {
			return fmt.Errorf("of %s, who has come once and gone once, the business was told %+v", uid, *u)
		}
	}
	return nil
}
