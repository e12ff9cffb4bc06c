package hub

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// arriveWait is how long a message that Redis has kept is waited for on the hub that has put it, before its sender is told
// without the figures of the hub's own connections.
const arriveWait = 2 * time.Second

// SharedInbox is an [Inbox] that several hubs have in common. What one of them puts comes to connections by [Hub.Arrive] alone, in the
// order of places, on the hub that has put it, too: each place is a [Position].
type SharedInbox interface {
	Inbox
	// Elsewhere returns what other hubs have in the rooms of an audience, those of its exceptions included. It waits for
	// them, and fails if one does not answer.
	Elsewhere(ctx context.Context, to *Audience) (Occupants, error)
}

// Occupants are who is in rooms.
type Occupants struct {
	// Rooms are the users who are logged in there, by room.
	Rooms map[string][]string
	// Strangers is how many connections of the audience are not logged in.
	Strangers int
}

// Occupants returns who is in the rooms of an audience on this hub: what [SharedInbox.Elsewhere] is to return on the others.
func (h *Hub) Occupants(to *Audience) (Occupants, error) {
	if err := to.check(0); err != nil {
		return Occupants{}, fmt.Errorf("finding who is in rooms: %w", err)
	}
	o := Occupants{Rooms: make(map[string][]string)}
	for a := to; a != nil; a = a.Except {
		for _, room := range a.Rooms {
			if _, done := o.Rooms[room]; !done {
				o.Rooms[room] = h.loggedIn(room)
			}
		}
	}
	sc := h.newScratch()
	defer h.release(sc)
	sc.resolve(h, to)
	o.Strangers = sc.strangers()
	return o, nil
}

// loggedIn returns the users who are in a room, each once.
func (h *Hub) loggedIn(room string) []string {
	names := make(map[string]struct{})
	h.addLoggedIn(names, room)
	list := make([]string, 0, len(names))
	for uid := range names {
		list = append(list, uid)
	}
	return list
}

// strangers counts those of the list who are not logged in.
func (sc *scratch) strangers() (n int) {
	for _, m := range sc.list {
		if m.user.Load() == nil {
			n++
		}
	}
	return n
}

// hasRooms tells whether an audience or its exceptions name rooms.
func (a *Audience) hasRooms() bool {
	return len(a.Rooms) > 0 || a.Except != nil && a.Except.hasRooms()
}

// elsewhere asks the other hubs for the rooms of an audience, if there are any of both.
func (h *Hub) elsewhere(ctx context.Context, to *Audience) (Occupants, error) {
	if h.shared == nil || !to.hasRooms() {
		return Occupants{}, nil
	}
	return h.shared.Elsewhere(ctx, to)
}

// Arrival is a message of a [SharedInbox] that has come to this hub.
type Arrival struct {
	// At is the message's place.
	At Position
	// Push is the message and its audience, and Users are whom it is kept for.
	Push  Push
	Users []string
	// Number is that of the [Deposit], if this hub has put it; 0 on others.
	Number uint64
	// Ask, if not nil, is what the clients here are asked, of a message that another hub has put.
	Ask *Question
}

// Arrive delivers a message of a [SharedInbox] to everybody here whom it is for. It is called as [Hub.Receive] is, by the same
// goroutine. With the error [ErrTooManyAsked] it has been delivered, but nobody has been asked.
func (h *Hub) Arrive(a Arrival) (Result, error) {
	one := h.outbox.expected(a.Number)
	var err error
	if one == nil {
		one = &stored{push: a.Push, users: a.Users}
		if a.Ask != nil {
			one.ask, err = h.newAsk(a.Push.Message, *a.Ask, 0)
		}
	}
	m := one.push.Message
	m.place, m.ask = uint64(a.At), one.ask
	sc := h.newScratch()
	defer h.release(sc)
	r := h.giveAt(a.At, &one.push, sc, Everyone, func() {
		h.outbox.begun.Store(m.place) // who logs in from now on is found by resolve
		one.resolve(h, sc)
		one.ask.recount(len(sc.list))
	})
	h.outbox.pass(m.place)
	if one.result = r; one.came != nil {
		close(one.came) // it is its sender's from now on
	} else {
		one.ask.start(r)
	}
	return r, err
}

// expect has the hub know a message again when it comes.
func (o *outbox) expect(one *stored) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sent == nil {
		o.sent = make(map[uint64]*stored)
	}
	if o.number == 0 {
		o.number = rand.Uint64N(1 << 48)
	}
	o.number++
	one.number, one.came = o.number, make(chan struct{})
	o.sent[one.number] = one
}

// expected returns the message of that number, for the one who carries it out; nil if nobody waits for it.
func (o *outbox) expected(number uint64) *stored {
	if number == 0 {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	one := o.sent[number]
	delete(o.sent, number)
	return one
}

// await waits until a message that has been kept has come to this hub, if it does, and reports whether it has been delivered.
func (o *outbox) await(one *stored) bool {
	if d := &one.did; d.Err == nil && !d.Known && d.Comes {
		timer := time.NewTimer(time.Until(one.answered.Add(arriveWait)))
		defer timer.Stop()
		select {
		case <-one.came:
		case <-timer.C:
		}
	}
	if o.expected(one.number) != nil { // from now on it is like one of another hub
		return false
	}
	<-one.came
	return true
}

// finishShared tells who wanted to know of a message of a SharedInbox.
func (s *stored) finishShared(h *Hub) {
	came := h.outbox.await(s)
	d := &s.did
	if d.Err != nil && came { // it has been kept, since it is here
		d.Err, d.Users, d.Online, d.Connections = nil, len(s.users), s.result.Users, s.result.Connections
		s.result.Partial = true
	}
	if d.Err != nil || d.Known {
		s.conclude()
		return
	}
	r := s.result
	r.ID, r.Users, r.Connections = s.push.Message.ID, d.Online, d.Connections
	r.Partial = r.Partial || d.Comes && !came
	s.result = r
	s.tell(Kept{Result: r, Stored: len(s.users)})
	s.ask.start(r)
}

// heardHere is told what the clients of this hub have acknowledged the message with, and acknowledged what those of all have.
func (s *stored) heardHere(a Answers) {
	if s.did.Answer != nil {
		s.did.Answer(a)
		return
	}
	s.acknowledged(a) // nobody knows of the others
}

func (s *stored) acknowledged(a Answers) {
	partial := a.Pushed.Partial
	a.Pushed = s.result
	a.Pushed.Partial = a.Pushed.Partial || partial
	s.keep.Ask.Done(a)
}

// reached notes that everything up to a position that comes from several hubs has been carried out.
func (o *outbox) reached(at Position) {
	o.begun.Store(uint64(at))
	o.pass(uint64(at))
}
