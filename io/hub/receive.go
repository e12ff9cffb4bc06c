package hub

import (
	"context"
	"fmt"
	"slices"
)

// Part says which connections of an audience are meant.
type Part byte

// The parts. A connection can be recovered if it is tracked ([Member.Track]); who will be tracked counts as that already
// ([Member.WillTrack]), since a push that has found it before must not find it once more.
const (
	Everyone  Part = iota
	Untracked      // those that cannot be recovered: they need no position
	Tracked        // those that can
)

// Receive delivers a push that several hubs are given, at its position in their common order: to the tracked before anything
// that comes by a later call, and with its offset. One goroutine calls it, with growing positions. Without
// [Recovery] the positions mean nothing, and nobody is tracked. It fails as [Hub.Push] does.
func (h *Hub) Receive(at Position, p Push, part Part) (Result, error) {
	if err := h.check(context.Background(), &p); err != nil {
		return Result{}, fmt.Errorf("delivering what was pushed elsewhere: %w", err)
	}
	sc := h.newScratch()
	defer h.release(sc)
	return h.giveAt(at, &p, sc, part, func() { sc.resolve(h, &p.To) }), nil
}

// giveAt is giveInTurn at a position that the caller knows.
func (h *Hub) giveAt(at Position, p *Push, sc *scratch, part Part, find func()) (r Result) {
	find = sc.only(part, find)
	var t tally
	if h.recovery == nil {
		find()
		r = h.count(&p.To, sc)
	} else {
		h.recovery.baton.with(func() { r, t = h.take(p, sc, at, find) })
	}
	t.again = part == Tracked
	return h.conclude(p, sc, r, t)
}

// only returns find with the list of sc reduced to a part of those found.
func (sc *scratch) only(part Part, find func()) func() {
	if part == Everyone {
		return find
	}
	return func() {
		find()
		list := slices.DeleteFunc(sc.list, func(m *Member) bool { return m.hasTurn() != (part == Tracked) })
		clear(sc.seen)
		sc.list, sc.known = list, 0
		sc.part = part == Tracked
	}
}

// Own is what [Hub.PushOwn] has done.
type Own struct {
	// Result counts those that were given the message, and those that were not since they are tracked.
	Result
	// Waiting says that somebody is tracked who must be given the message by [Hub.Receive], or is away and may come back for it.
	Waiting bool
}

// PushOwn is [Hub.Push] to the untracked alone, for a push that is on its way to all hubs: its sender has them given it at once, and
// the tracked in their turn.
func (h *Hub) PushOwn(ctx context.Context, p Push) (Own, error) {
	if err := h.check(ctx, &p); err != nil {
		return Own{}, fmt.Errorf("pushing a message: %w", err)
	}
	if !h.recovery.active() {
		var o Own
		var t tally
		if h.pushToUser(&p, &o.Result, &t) {
			h.account(&p, &o.Result, &t)
			return o, nil
		}
	}
	sc := h.newScratch()
	defer h.release(sc)
	sc.resolve(h, &p.To)
	o := Own{Result: h.count(&p.To, sc)}
	if h.recovery.active() {
		o.Waiting = sc.anyTracked() || h.recovery.awaited(&p.To)
		sc.only(Untracked, func() {})()
	}
	t := h.reach(&p, sc)
	h.account(&p, &o.Result, &t)
	return o, nil
}

// PushRest gives the message of a push that PushOwn was called for to the tracked, since nobody will call Receive: they cannot be
// recovered any more. It returns how many of them have taken it.
func (h *Hub) PushRest(p Push) int {
	if !h.recovery.active() {
		return 0
	}
	sc := h.newScratch()
	defer h.release(sc)
	r := h.giveUnplaced(&p, sc, true, sc.only(Tracked, func() { sc.resolve(h, &p.To) }))
	return r.Delivered
}

// giveUnplaced delivers a push that has no place in the order of several hubs to whom find puts on the list of sc. The tracked
// get it with the offset of what was before, and cannot be recovered any more, unless it is of no use later. again says that the
// push has been counted.
func (h *Hub) giveUnplaced(p *Push, sc *scratch, again bool, find func()) (r Result) {
	rec := h.recovery
	lasting := !p.Message.Volatile && !p.Message.Transient && p.Message.ask == nil
	var t tally
	rec.baton.with(func() {
		find()
		r = h.count(&p.To, sc)
		rest := sc.separate()
		tracked := sc.list[rest:]
		if lasting {
			for _, m := range tracked {
				m.forbid()
			}
			rec.expel(&p.To)
		}
		if len(tracked) > 0 {
			t = h.deliver(tracked, p.Message.stamped(rec.log.Offset(rec.taken())))
		}
		if p.Message.ask != nil { // as in take
			t.add(h.deliver(sc.list[:rest], p.Message))
			rest = 0
		}
		sc.reduce(rest)
	})
	t.again = again
	return h.conclude(p, sc, r, t)
}

// AskPart is [Hub.Ask] of a part of the audience, for a push that several hubs are given: at a position, as [Hub.Receive]
// delivers it, or 0 if there is none, as [Hub.PushOwn] and [Hub.PushRest] do. The message may have been pushed before: each
// part is asked for itself.
func (h *Hub) AskPart(at Position, p Push, part Part, q Question) (Own, error) {
	if err := h.check(context.Background(), &p); err != nil {
		return Own{}, fmt.Errorf("asking for acknowledgements: %w", err)
	}
	sc := h.newScratch()
	defer h.release(sc)
	sc.resolve(h, &p.To)
	a, err := h.newAsk(p.Message.own(), q, len(sc.list))
	if err != nil {
		return Own{}, fmt.Errorf("asking for acknowledgements: %w", err)
	}
	p.Message, a.message.ask = a.message, a
	o := Own{Waiting: h.recovery.active() && (sc.anyTracked() || h.recovery.awaited(&p.To))}
	find := func() {
		sc.reduce(0)
		sc.resolve(h, &p.To)
	}
	switch {
	case at != 0:
		o.Result = h.giveAt(at, &p, sc, part, find)
	case part == Untracked || !h.recovery.active():
		sc.only(part, func() {})()
		o.Result = h.give(&p, sc)
	default:
		o.Result = h.giveUnplaced(&p, sc, part == Tracked, sc.only(part, find))
	}
	a.start(o.Result)
	return o, nil
}
