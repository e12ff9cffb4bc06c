package hub

import (
	"slices"
	"time"
)

// absentees are the trails of clients that are away, and what pushes to them would name. Guarded by recovery's mu.
type absentees struct {
	byPID map[string]*trail
	users map[string][]*trail
	rooms map[string]int // how many are in it
	ids   map[string]int // how many have it: two, if another connection had the id meanwhile
	bytes int
	order []absentee // by time, the earliest first

	forget func(pid string) // static; told whose time is up, or for whom there is no room; nil: nobody wants to know
}

// absentee is a trail that is away until a time, if it has not come back since.
type absentee struct {
	trail *trail
	until time.Time
}

func (a *absentees) init() {
	*a = absentees{
		forget: a.forget,
		byPID:  make(map[string]*trail),
		users:  make(map[string][]*trail),
		rooms:  make(map[string]int),
		ids:    make(map[string]int),
	}
}

// add files a trail. If that makes too many bytes it removes the oldest, which may be this one, and returns how many.
func (a *absentees) add(t *trail, maxBytes int) (removed int) {
	t.cost = trailCost + spanCost*len(t.spans)
	a.byPID[t.pid] = t
	a.ids[t.id]++
	if t.uid != "" {
		a.users[t.uid] = append(a.users[t.uid], t)
	}
	for _, s := range t.spans {
		if s.Until == open && s.Kind == SpanRoom {
			a.rooms[s.Name]++
		}
	}
	a.bytes += t.cost
	a.order = append(a.order, absentee{t, t.until})
	for a.bytes > maxBytes {
		removed += a.removeFirst()
	}
	return removed
}

// remove undoes add. It reports whether the trail was there.
func (a *absentees) remove(t *trail) bool {
	if a.byPID[t.pid] != t {
		return false
	}
	delete(a.byPID, t.pid)
	decrease(a.ids, t.id)
	if t.uid != "" {
		list := slices.DeleteFunc(a.users[t.uid], func(other *trail) bool { return other == t })
		if a.users[t.uid] = list; len(list) == 0 {
			delete(a.users, t.uid)
		}
	}
	for _, s := range t.spans {
		if s.Until == open && s.Kind == SpanRoom {
			decrease(a.rooms, s.Name)
		}
	}
	a.bytes -= t.cost
	return true
}

func decrease(counts map[string]int, name string) {
	if counts[name]--; counts[name] == 0 {
		delete(counts, name)
	}
}

// removeFirst takes the first out of the order and, if it is still away since then, removes it. It returns how many it has.
func (a *absentees) removeFirst() (removed int) {
	first := a.order[0]
	a.order[0] = absentee{}
	if a.order = a.order[1:]; len(a.order) == 0 {
		a.order = nil
	}
	if first.trail.until.Equal(first.until) && a.remove(first.trail) {
		if a.forget != nil && !first.trail.unshared {
			a.forget(first.trail.pid)
		}
		return 1
	}
	return 0
}

// expire removes those whose time is up, and returns how many.
func (a *absentees) expire(now time.Time) (removed int) {
	for len(a.order) > 0 && !now.Before(a.order[0].until) {
		removed += a.removeFirst()
	}
	return removed
}

// next returns when the time of the first is up.
func (a *absentees) next() (at time.Time, some bool) {
	if len(a.order) == 0 {
		return time.Time{}, false
	}
	return a.order[0].until, true
}

// interested tells whether a push to the audience may be for one of them.
func (a *absentees) interested(to *Audience) bool {
	if len(a.byPID) == 0 || to.All {
		return len(a.byPID) > 0
	}
	return slices.ContainsFunc(to.Users, func(uid string) bool { return a.users[uid] != nil }) ||
		slices.ContainsFunc(to.Rooms, func(room string) bool { return a.rooms[room] > 0 }) ||
		slices.ContainsFunc(to.Connections, func(id string) bool { return a.ids[id] > 0 })
}
