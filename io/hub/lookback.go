package hub

import (
	"fmt"
	"slices"
)

// lookBack finds what the client has to be given of what was pushed while another hub had its session: past that, this one
// has it in its log, as if the client had been connected here. It waits for the [Shared].
func (p *Past) lookBack(h *Hub) error {
	r, t := p.recovery, p.trail
	r.mu.Lock()
	after := t.resume(p.offset, p.known)
	r.mu.Unlock()
	if after >= t.base {
		return nil
	}
	replay, err := r.Shared.Replay(t.origin, after, t.base)
	if err != nil {
		return fmt.Errorf("reading what was pushed: %w", err)
	}
	then := newTrail(t.origin)
	for i := range replay.Changes {
		if !then.follow(&replay.Changes[i]) {
			return ErrLost
		}
	}
	r.mu.Lock()
	t.agree(then, after)
	r.mu.Unlock()
	list, err := replay.Find(then.wants())
	if err != nil {
		return fmt.Errorf("reading what was pushed: %w", err)
	}
	p.before = slices.DeleteFunc(list, func(one *Logged) bool { return !then.meets(&one.To, one.At) })
	return p.settle(h)
}

// follow has a trail say what has changed while no hub had its client. It reports false if the client was disconnected.
func (t *trail) follow(c *Change) bool {
	switch is := t.find(SpanRoom, c.Room) >= 0; {
	case c.Disconnect != nil:
		return !t.meets(c.Disconnect, c.At)
	case t.uid == "" || c.UID != t.uid:
	case c.Added && !is:
		t.begin(SpanRoom, c.Room, c.At)
	case !c.Added && is && !slices.Contains(t.own, c.Room):
		t.end(SpanRoom, c.Room, c.At)
	}
	return true
}

// agree has both trails say the same of the time before base, at which adopt has only seen what the client was then a member of:
// since when, then knows as far as it was told. Otherwise it was in a room at after already, or was in it until base: that is not less
// than was true. Called with recovery's mu held.
func (t *trail) agree(then *trail, after Position) {
	for _, s := range t.spans {
		if s.Kind == SpanRoom && s.Since == t.base && then.find(SpanRoom, s.Name) < 0 {
			then.begin(SpanRoom, s.Name, after)
		}
	}
	spans := slices.Clone(then.spans)
	for i := range spans {
		for _, s := range t.spans {
			if one := &spans[i]; one.Until == open && one.Kind == s.Kind && one.Name == s.Name && s.Since <= t.base && s.Until >= t.base {
				one.Until = s.Until
				break
			}
		}
	}
	for _, s := range t.spans {
		if s.Since > t.base {
			spans = append(spans, s)
		}
	}
	t.spans = spans
}

// settle looks into the inbox of the user. What he was given of it without being told positions, and has not confirmed, he
// has to be given again before anything newer, as somebody new. What is kept behind that his client has got, if it has got
// what was pushed then.
func (p *Past) settle(h *Hub) error {
	t := p.trail
	if h.inbox == nil || t.uid == "" {
		return nil
	}
	p.sure = make(map[string]bool)
	for after := uint64(0); len(p.sure) < maxNoted; {
		letters, err := h.inbox.Next(t.uid, after, h.limit.messages, h.limit.bytes)
		if err != nil {
			return fmt.Errorf("reading an inbox: %w", err)
		}
		if len(letters) == 0 {
			return nil
		}
		for _, l := range letters {
			switch place := Position(l.Place); {
			case place <= t.inbox:
				return ErrLost
			case !p.known || place > p.offset:
				return nil
			}
			p.sure[l.Message.ID] = true
			after = l.Place
		}
	}
	return ErrLost
}
