package hub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// Push is a message and whom it is for.
type Push struct {
	To      Audience
	Message *Message
	// Soon says that the caller need not know what the connections answer: a push to everybody, if they are many, is on its way
	// when Push returns, and what is pushed from then on arrives behind it. Delivered and Dropped, with their parts, are then zero.
	Soon bool
	// Claim is for who pushes to several hubs: it stands for the id of the push in what they have in common. A Hub takes no notice.
	Claim string
}

// Result says what became of a push.
type Result struct {
	// ID is the message's.
	ID string
	// Users and Connections are how many matched the audience; a connection matches once however often it is named.
	// Connections that are not logged in count no user.
	Users, Connections int
	// Delivered is how many connections took the message, Dropped how many did not: Delivered+Dropped = Connections.
	Delivered, Dropped int
	// Slow, Gone and Failed are the parts of Dropped: ErrSlow, ErrGone and any other error.
	Slow, Gone, Failed int
	// Partial says that the figures are not of all servers, where there are several: one has not answered, or cannot be asked.
	Partial bool
	// Free says that nobody has kept anything of the message: it may be changed, and pushed again as another one.
	Free bool
}

// few is how many connections of one user a push handles without a buffer from the heap.
const few = 8

// Push gives the message to every connection of the audience once and returns when all of them have taken or dropped it;
// so what one caller pushes in turn arrives in that order at each connection. A connection that drops the message does not
// keep it from the others and is no error. A connection that joins the audience meanwhile may or may not get it. Names
// nobody has match nobody; an audience without names is nobody.
//
// It fails, having delivered nothing, with ErrBadMessage, ErrBadAudience, ErrBadUID, ErrBadRoom, ErrClosed or the error of
// ctx, which is not looked at once the delivery has begun.
func (h *Hub) Push(ctx context.Context, p Push) (Result, error) {
	if err := h.check(ctx, &p); err != nil {
		return Result{}, fmt.Errorf("pushing a message: %w", err)
	}
	if h.recovery.active() {
		return h.pushInTurn(p), nil
	}
	if r, ok := h.pushToMany(&p); ok {
		return r, nil
	}
	var r Result
	var t tally
	if h.pushToUser(&p, &r, &t) {
		h.account(&p, &r, &t)
		return r, nil
	}
	sc := h.newScratch()
	defer h.release(sc)
	sc.resolve(h, &p.To)
	return h.give(&p, sc), nil
}

// give delivers a push to the members of the list of sc, which its audience was resolved to.
func (h *Hub) give(p *Push, sc *scratch) Result {
	r := h.count(&p.To, sc)
	t := h.reach(p, sc)
	h.account(p, &r, &t)
	return r
}

// check finds what is wrong with a push, and gives a message without an id one.
func (h *Hub) check(ctx context.Context, p *Push) error {
	if h.closed.Load() {
		return ErrClosed
	}
	if m := p.Message; m == nil || m.Event == "" || !utf8.ValidString(m.Event) {
		return ErrBadMessage
	}
	if err := p.To.check(0); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if p.Message.ID == "" {
		p.Message.ID = h.newID()
	}
	return nil
}

// pushToUser is the short way for the most frequent audience: one user with few connections. It returns false, having
// done nothing, for any other.
func (h *Hub) pushToUser(p *Push, r *Result, t *tally) bool {
	a := &p.To
	if a.All || len(a.Users) != 1 || len(a.Rooms) != 0 || len(a.Connections) != 0 || a.Except != nil {
		return false
	}
	var buf [few]*Member
	n := 0
	s := h.indexes.userShard(a.Users[0])
	s.mu.Lock()
	if u := s.byUID[a.Users[0]]; u != nil {
		if n = len(u.members.list); n > few {
			s.mu.Unlock()
			return false
		}
		copy(buf[:], u.members.list)
	}
	s.mu.Unlock()
	switch n {
	case 0:
		r.Free = true
	case 1:
		r.Users, r.Connections = 1, 1
		var err error
		r.Free, err = buf[0].lend(p.Message)
		t.note(err)
	default:
		r.Users, r.Connections = 1, n
		t.deliver(buf[:n], p.Message)
	}
	return true
}

// account completes the result with what the connections answered, adds it to the hub's totals, and logs one of the
// errors that should not be.
func (h *Hub) account(p *Push, r *Result, t *tally) {
	r.ID = p.Message.ID
	r.Delivered, r.Slow, r.Gone, r.Failed = t.delivered, t.slow, t.gone, t.failed
	r.Dropped = t.slow + t.gone + t.failed
	c := &h.counter
	if !t.again {
		c.pushes.Add(1)
	}
	c.delivered.Add(uint64(r.Delivered))
	if r.Dropped == 0 {
		return
	}
	c.slow.Add(uint64(r.Slow))
	c.gone.Add(uint64(r.Gone))
	c.failed.Add(uint64(r.Failed))
	if t.err != nil {
		h.log.Warn("delivery failed", "message", r.ID, "connections", r.Failed, "error", t.err)
	}
}

// Disconnect kicks every connection of the audience, so that their clients stay away, and returns how many it were. The
// connections are counted until their transports say that they are gone. None of the audience can be recovered any more. It fails, having kicked nobody, with
// ErrBadAudience, ErrBadUID, ErrBadRoom or the error of ctx.
func (h *Hub) Disconnect(ctx context.Context, a Audience) (int, error) {
	err := a.check(0)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return 0, fmt.Errorf("disconnecting clients: %w", err)
	}
	sc := h.newScratch()
	defer h.release(sc)
	sc.resolve(h, &a)
	if h.recovery.active() { // who is lost at this moment is among the first or the others
		for _, m := range sc.list {
			m.forbid()
		}
		h.recovery.expel(&a)
	}
	for _, m := range sc.list {
		m.catchUpWithLane()
		m.conn.Kick()
	}
	return len(sc.list), nil
}

// Members returns a snapshot of the connections of the audience, each once, in no order. It fails with ErrBadAudience,
// ErrBadUID or ErrBadRoom. The caller owns the list.
func (h *Hub) Members(a Audience) ([]*Member, error) {
	if err := a.check(0); err != nil {
		return nil, fmt.Errorf("finding connections: %w", err)
	}
	sc := h.newScratch()
	defer h.release(sc)
	sc.resolve(h, &a)
	return slices.Clone(sc.list), nil
}

// tally counts what connections answered.
type tally struct {
	delivered, slow, gone, failed int
	err                           error // one of those counted as failed
	again                         bool  // the push has been counted before
}

// deliver gives the message to each member in turn.
func (t *tally) deliver(list []*Member, msg *Message) {
	for _, m := range list {
		t.note(m.give(msg))
	}
}

// note counts one answer.
func (t *tally) note(err error) {
	switch {
	case err == nil:
		t.delivered++
	case errors.Is(err, ErrSlow):
		t.slow++
	case errors.Is(err, ErrGone):
		t.gone++
	default:
		t.failed++
		t.err = err
	}
}

func (t *tally) add(o tally) {
	t.delivered += o.delivered
	t.slow += o.slow
	t.gone += o.gone
	t.failed += o.failed
	t.again = t.again || o.again
	if t.err == nil {
		t.err = o.err
	}
}
