package hub

import "slices"

// pushInTurn is Push while there are connections that can be recovered.
func (h *Hub) pushInTurn(p Push) Result {
	sc := h.newScratch()
	defer h.release(sc)
	return h.giveInTurnIf(&p, sc, func() { sc.resolve(h, &p.To) })
}

// giveInTurnIf is giveInTurn, unless the push is for nobody who can be recovered: then it waits for nobody. find may be called
// twice.
func (h *Hub) giveInTurnIf(p *Push, sc *scratch, find func()) Result {
	moves := h.recovery.moves.Load()
	find()
	if !sc.anyTracked() && !h.recovery.awaited(&p.To) && h.recovery.moves.Load() == moves { // nobody has slipped through
		return h.give(p, sc)
	}
	sc.reduce(0)
	return h.giveInTurn(p, sc, find)
}

// giveInTurn delivers a push to whom find puts on the list of sc. Those that can be recovered are given it before anybody
// else's turn, with its offset; the others as ever.
func (h *Hub) giveInTurn(p *Push, sc *scratch, find func()) (r Result) {
	if h.recovery.Placed {
		return h.giveUnplaced(p, sc, false, find)
	}
	var t tally
	h.recovery.baton.with(func() { r, t = h.take(p, sc, Position(h.recovery.begun.Load()+1), find) })
	return h.conclude(p, sc, r, t)
}

// take is the turn at a position. It leaves on the list of sc who need not be given the message in the turn. Called with the baton.
func (h *Hub) take(p *Push, sc *scratch, at Position, find func()) (r Result, t tally) {
	rec := h.recovery
	rec.begun.Store(uint64(at))
	find()
	r = h.count(&p.To, sc)
	rest := sc.separate()
	tracked := sc.list[rest:]
	rec.keep(p, at, tracked)
	if len(tracked) > 0 {
		t = h.deliver(tracked, p.Message.stamped(rec.log.Offset(at)))
	}
	if p.Message.ask != nil { // the message has an offset now, which nobody else must come to want meanwhile
		t.add(h.deliver(sc.list[:rest], p.Message))
		rest = 0
	}
	sc.reduce(rest)
	rec.ended.Store(uint64(at))
	return r, t
}

// conclude gives the message to those whom a turn has left, and counts.
func (h *Hub) conclude(p *Push, sc *scratch, r Result, t tally) Result {
	t.add(h.reach(p, sc))
	h.account(p, &r, &t)
	return r
}

// anyTracked tells whether one of the members can be recovered, or will be.
func (sc *scratch) anyTracked() bool {
	return slices.ContainsFunc(sc.list, (*Member).hasTurn)
}

// separate puts the members that can be recovered behind the others, and returns how many these are. Called with the baton.
func (sc *scratch) separate() (rest int) {
	for _, m := range sc.list {
		if m.trail() != nil {
			sc.tracked = append(sc.tracked, m)
			continue
		}
		sc.list[rest] = m
		rest++
	}
	copy(sc.list[rest:], sc.tracked)
	clear(sc.tracked)
	sc.tracked = sc.tracked[:0]
	return rest
}

// keep logs a push, if a client may come back for it. Called with the baton.
func (r *recovery) keep(p *Push, at Position, tracked []*Member) {
	m := p.Message
	if m.Volatile || m.Transient || m.ask != nil || len(tracked) == 0 && !r.awaited(&p.To) {
		return
	}
	r.oldest.Store(uint64(r.log.Append(at, m, &p.To)))
	if !r.aging {
		r.aging = true
		r.age(r.memory.keep)
	}
	for _, one := range tracked {
		if t := one.trail(); t != nil {
			t.last.Store(uint64(at))
		}
	}
}

// awaited tells whether somebody of the audience may be away.
func (r *recovery) awaited(to *Audience) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.away.interested(to)
}
