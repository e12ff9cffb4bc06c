package cluster

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"crier/io/hub"
)

// tellRoom is what the rooms of tests are told: +uid or -uid, as the event.
func tellRoom(c hub.RoomChange) (hub.Push, error) {
	event := "-" + c.UID
	if c.Joined {
		event = "+" + c.UID
	}
	others := hub.Audience{Rooms: []string{c.Room}, Except: &hub.Audience{Users: []string{c.UID}}}
	return hub.Push{To: others, Message: message(event)}, nil
}

// join has a browser of a user come into a room.
func (f *office) join(t *testing.T, uid, room string) *hub.Member {
	t.Helper()
	m := f.enter(t, uid)
	if err := m.Join(room); err != nil {
		t.Fatal(err)
	}
	return m
}

// watchRoom has a stranger watch a room.
func (f *office) watchRoom(t *testing.T, room string) *browser {
	t.Helper()
	b := &browser{id: f.Name() + " watches " + room}
	m, err := f.hub.Connect(b)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Join(room); err != nil {
		t.Fatal(err)
	}
	return b
}

// hears waits until everybody who watches a room has been told that.
func hears(t *testing.T, want string, watchers ...*browser) {
	t.Helper()
	for _, b := range watchers {
		await(t, b.id+" hears "+want, func() bool { return len(b.got()) >= len(strings.Fields(want)) })
		if got := strings.Join(b.got(), " "); got != want {
			t.Errorf("%s was told %q, want %q", b.id, got, want)
		}
	}
}

// A room is told of a user's first connection there on any server, and of the end of the last one.
func TestRoomPresence(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	var offices []*office
	var watchers []*browser
	for _, name := range []string{"a", "b", "c"} {
		f := newOffice(t, officeOptions{name: name, redis: server.Addr(), delay: 100 * time.Millisecond})
		offices, watchers = append(offices, f), append(watchers, f.watchRoom(t, "r"))
	}
	a, b, c := offices[0], offices[1], offices[2]
	one := a.join(t, "u", "r")
	hears(t, "+u", watchers...)
	two := b.join(t, "u", "r")
	c.join(t, "u", "other")
	await(t, "b is in the room, too", func() bool { return server.ask(t, "SCARD", "crier:in:r\x00u") == int64(2) })
	one.Leave("r")
	c.join(t, "v", "r")
	hears(t, "+u +v", watchers...)
	if err := one.Join("r"); err != nil {
		t.Fatal(err)
	}
	await(t, "a is in the room again", func() bool { return server.ask(t, "SCARD", "crier:in:r\x00u") == int64(2) })
	two.Gone()
	await(t, "b is not in the room any more", func() bool { return server.ask(t, "SCARD", "crier:in:r\x00u") == int64(1) })
	one.Gone()
	hears(t, "+u +v -u", watchers...)
	for i := range 300 { // more than are told of at once
		a.join(t, "crowd "+strconv.Itoa(i), "full")
	}
	await(t, "all have come", func() bool {
		return server.ask(t, "SCARD", "crier:ins:"+strconv.FormatUint(a.Epoch(), 10)+":a") == int64(300)
	})
	await(t, "nothing is kept of who has left", func() bool {
		a.rooms.mu.Lock()
		defer a.rooms.mu.Unlock()
		return len(a.rooms.stays) == 300 && len(a.rooms.changed) == 0
	})
}

// A node that ends without a word: rooms are told of those who were there by it alone, once. So it is of one that is given up, and
// when that comes back they are told anew.
func TestRoomPresenceGivenUp(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	line := newProxy(t, server.Addr())
	a := newOffice(t, officeOptions{name: "a", redis: line.listener.Addr().String()})
	b := newOffice(t, officeOptions{name: "b", redis: server.Addr()})
	c := newOffice(t, officeOptions{name: "c", redis: server.Addr()})
	watchers := []*browser{b.watchRoom(t, "r"), c.watchRoom(t, "r")}
	leaves := a.join(t, "leaves", "r")
	hears(t, "+leaves", watchers...)
	a.join(t, "stays", "r")
	hears(t, "+leaves +stays", watchers...)
	b.join(t, "both", "r")
	a.join(t, "both", "r")
	hears(t, "+leaves +stays +both", watchers...)
	await(t, "a's users are there", func() bool {
		return server.ask(t, "SCARD", "crier:ins:"+strconv.FormatUint(a.Epoch(), 10)+":a") == int64(3)
	})
	line.freeze()
	for _, w := range watchers {
		await(t, "a's users have left", func() bool { return len(w.got()) == 5 })
	}
	leaves.Gone()
	visit := a.join(t, "visit", "r")
	visit.Gone()
	line.heal()
	for _, w := range watchers {
		await(t, "who is still there has come back", func() bool { return len(w.got()) >= 6 })
		told := w.got()
		if told[5] != "+stays" || len(told) > 6 || strings.Contains(strings.Join(told[3:5], " "), "both") {
			t.Errorf("%s was told %q", w.id, told)
		}
	}
	c.close(t, false)
	a.join(t, "late", "r")
	await(t, "nothing is left of the node that has ended", func() bool { return server.ask(t, "EXISTS", "crier:out") == int64(0) })
	await(t, "b has heard of all", func() bool { return len(watchers[0].got()) == 7 })
}

// Redis is killed and comes back: rooms are told of what has changed on the whole.
func TestRoomPresenceRedisAway(t *testing.T) {
	t.Parallel()
	server := startRedis(t, "--appendonly", "yes", "--appendfsync", "always")
	a := newOffice(t, officeOptions{name: "a", redis: server.Addr()})
	b := newOffice(t, officeOptions{name: "b", redis: server.Addr()})
	watcher := b.watchRoom(t, "r")
	leaves := a.join(t, "leaves", "r")
	hears(t, "+leaves", watcher)
	server.Kill(t)
	await(t, "Redis is away", func() bool { return !a.client.Up() && !b.client.Up() })
	visit := a.join(t, "visit", "r")
	visit.Gone()
	leaves.Gone()
	a.join(t, "comes", "r")
	server.Start(t)
	await(t, "the room hears of it", func() bool { return len(watcher.got()) >= 3 })
	if got := strings.Join(watcher.got(), " "); got != "+leaves -leaves +comes" && got != "+leaves +comes -leaves" {
		t.Errorf("told %q", got)
	}
}
