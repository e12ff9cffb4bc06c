package hub

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Store keeps the message of p for the users of the audience and for those of its rooms: who is logged in there now, and who
// is a member ([Hub.AddMembership]). When it is on the disk it is given to everybody of the audience who is online, and to all
// connections of those users. Each of them gets it once: a connection that logs in meanwhile, as one of the kept.
// Users get it at their next login until one of their connections has confirmed it ([Confirmer]), and are given what is
// stored in the order in which it was.
//
// Store does not wait for the disk: k.Done tells. What one goroutine stores in turn arrives in that order; ctx is not looked
// at any more once Store has returned. It fails, having stored nothing, with [ErrNoInbox], [ErrNotUsers],
// [ErrTooManyAsked] or an error of [Hub.Push].
func (h *Hub) Store(ctx context.Context, p Push, k Keep) error {
	if err := h.checkStore(ctx, &p); err != nil {
		return fmt.Errorf("storing a message: %w", err)
	}
	elsewhere, err := h.elsewhere(ctx, &p.To)
	if err != nil {
		return fmt.Errorf("storing a message: %w", errors.Join(ErrInbox, err))
	}
	sc := h.newScratch()
	defer h.release(sc)
	one := &stored{push: p, keep: k, users: h.usernames(&p.To, elsewhere.Rooms).list()}
	one.resolve(h, sc)
	if k.Ask != nil {
		q := *k.Ask
		if h.shared != nil {
			q.Done = one.heardHere
		}
		if one.ask, err = h.newAsk(p.Message, q, len(sc.list)); err != nil {
			return fmt.Errorf("storing a message: %w", err)
		}
	}
	if !h.tasks.begin() {
		one.ask.cancel()
		return fmt.Errorf("storing a message: %w", ErrClosed)
	}
	d := Deposit{
		Scope: k.Scope, Message: p.Message, Users: one.users, Expires: k.Expires,
		Online: sc.countUsers(), Connections: len(sc.list),
	}
	if h.shared != nil {
		h.outbox.expect(one)
		d.To, d.Number, d.Strangers = p.To, one.number, sc.strangers()+elsewhere.Strangers
		if k.Ask != nil {
			d.Ask = &Question{Wait: k.Ask.Wait, Keep: k.Ask.Keep, Done: one.acknowledged}
		}
	}
	h.inbox.Put(d, func(d Deposited) { h.outbox.add(h, one, d) })
	return nil
}

// checkStore finds what is wrong with a push that is to be stored.
func (h *Hub) checkStore(ctx context.Context, p *Push) error {
	if h.inbox == nil {
		return ErrNoInbox
	}
	if err := h.check(ctx, p); err != nil {
		return err
	}
	if p.To.All || len(p.To.Connections) > 0 {
		return ErrNotUsers
	}
	return nil
}

// stored is a push on its way through the inbox.
type stored struct {
	push  Push
	keep  Keep
	users []string // whom it is kept for
	ask   *Ask     // nil unless keep has one
	did   Deposited

	// With a SharedInbox.
	number   uint64
	answered time.Time     // when did was known
	came     chan struct{} // closed when the message has been delivered here; nil for one of another hub
	result   Result        // of that
}

// resolve fills the list of sc with who gets the message now: the connections of the users whom it is kept for, and the
// others of the audience. Exceptions that name users or rooms have been made when it was stored; what changed since then
// must not come between a user and a message that is kept for him.
func (s *stored) resolve(h *Hub, sc *scratch) {
	sc.addNamed(h, &Audience{Users: s.users})
	to := &s.push.To
	if len(to.Rooms) > 0 {
		rest := h.newScratch()
		defer h.release(rest)
		rest.resolve(h, to)
		sc.list = append(sc.list, rest.list...)
		sc.dedupe()
	}
	if to.Except == nil || len(to.Except.Connections) == 0 {
		return
	}
	except := h.newScratch()
	defer h.release(except)
	except.resolve(h, &Audience{Connections: to.Except.Connections, Except: to.Except.Except})
	sc.subtract(except)
}

// outbox delivers what is stored: one message after another in the order of their places, so that each connection gets them
// in that order.
type outbox struct {
	begun  atomic.Uint64 // all up to this place have been delivered, or are being so
	passed atomic.Uint64 // all up to this place have been delivered

	mu      sync.Mutex
	waiting []*stored
	busy    bool               // a goroutine delivers
	after   []func()           // what waits until it is done with the present one
	number  uint64             // the last one of sent; it begins with chance, so that it is no number of an earlier program
	sent    map[uint64]*stored // to a SharedInbox, and not here yet
}

// wait has fn called when the message that is being delivered has been, or now if none is.
func (o *outbox) wait(h *Hub, fn func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.passed.Load() == o.begun.Load() {
		h.tasks.spawn(fn)
		return
	}
	o.after = append(o.after, fn)
}

// pass says that everything up to the place has been delivered.
func (o *outbox) pass(place uint64) {
	o.mu.Lock()
	o.passed.Store(place)
	after := o.after
	o.after = nil
	o.mu.Unlock()
	for _, fn := range after {
		fn()
	}
}

// add takes what has passed the inbox. Each holds a task until it is done.
func (o *outbox) add(h *Hub, one *stored, d Deposited) {
	one.did, one.answered = d, time.Now()
	o.mu.Lock()
	o.waiting = append(o.waiting, one)
	start := !o.busy
	o.busy = true
	o.mu.Unlock()
	if start {
		h.tasks.hold()
		go o.run(h)
	}
}

// run delivers until nothing waits.
func (o *outbox) run(h *Hub) {
	defer h.tasks.end()
	for {
		o.mu.Lock()
		list := o.waiting
		o.waiting = nil
		o.busy = len(list) > 0
		o.mu.Unlock()
		if len(list) == 0 {
			return
		}
		for _, one := range list {
			one.finish(h)
			h.tasks.end()
		}
	}
}

// finish delivers the message, if it is kept, and tells who wanted to know.
func (s *stored) finish(h *Hub) {
	switch {
	case h.shared != nil:
		s.finishShared(h)
	case s.did.Err != nil || s.did.Known:
		s.conclude()
	default:
		s.deliver(h)
	}
}

// conclude tells who wanted to know of a message that is not delivered.
func (s *stored) conclude() {
	d := &s.did
	s.ask.cancel()
	if d.Err != nil {
		s.tell(Kept{Err: fmt.Errorf("storing a message: %w", errors.Join(ErrInbox, d.Err))})
		return
	}
	r := Result{ID: s.push.Message.ID, Users: d.Online, Connections: d.Connections}
	s.tell(Kept{Result: r, Stored: d.Users, Known: true})
}

// deliver gives the message to who is online.
func (s *stored) deliver(h *Hub) {
	m := s.push.Message
	m.place, m.ask = s.did.Place, s.ask
	sc := h.newScratch()
	defer h.release(sc)
	find := func() {
		h.outbox.begun.Store(m.place) // who logs in from now on is found by resolve
		s.resolve(h, sc)
		s.ask.recount(len(sc.list))
	}
	var r Result
	switch {
	case !h.recovery.active():
		find()
		r = h.give(&s.push, sc)
	case s.ask != nil:
		r = h.giveInTurn(&s.push, sc, find)
	default:
		r = h.giveInTurnIf(&s.push, sc, find)
	}
	h.outbox.pass(m.place)
	s.tell(Kept{Result: r, Stored: len(s.users)})
	s.ask.start(r)
}

func (s *stored) tell(k Kept) {
	if s.keep.Done != nil {
		s.keep.Done(k)
	}
}
