package hub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// limit is how much a connection that catches up is given at once, and how much is held for it.
type limit struct {
	messages, bytes         int
	heldMessages, heldBytes int
}

// newLimit makes quarters and halves of a queue.
func newLimit(o *Options) (limit, error) {
	messages, bytes := o.QueueMessages, o.QueueBytes
	if messages < 0 || bytes < 0 {
		return limit{}, fmt.Errorf("the queue of a connection takes %d messages and %d bytes; neither must be negative", messages, bytes)
	}
	if messages == 0 {
		messages = 1000
	}
	if bytes == 0 {
		bytes = 1 << 20
	}
	return limit{max(messages/4, 1), max(bytes/4, 1), max(messages/2, 1), max(bytes/2, 1)}, nil
}

// Ready says that the connection, a [Confirmer] that was not [Confirmer.Present], can take messages now.
func (m *Member) Ready() { m.catchUp() }

// openMailbox has everything held that is delivered from now on, until catchUp has given the connection what is stored.
// Called with mu, and that of the user's shard, held.
func (m *Member) openMailbox(uid string) {
	if m.hub.inbox == nil {
		return
	}
	for !m.mailbox(uid).open(uid) { // it has just been let go of
	}
}

// closeMailbox undoes openMailbox. Called with mu held.
func (m *Member) closeMailbox(gone bool) {
	if b := m.mail(); b != nil {
		b.leave(gone)
	}
}

// catchUp begins to give the connection what is stored for its user. With an empty inbox, that is done when it returns.
func (m *Member) catchUp() {
	b := m.mail()
	if b == nil {
		return
	}
	if c, ok := m.conn.(Confirmer); ok && !c.Present() || !b.start() {
		return
	}
	p := b.read()
	if len(p.letters) == 0 || !m.hub.tasks.spawn(func() { b.run(p) }) {
		b.run(p)
	}
}

// start reports whether the caller is to catch up: it is time, and nobody else does.
func (b *mailbox) start() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.catching || b.running || b.unmoored {
		return false
	}
	b.running = true
	return true
}

// goOn continues when the client has taken what it was given.
func (b *mailbox) goOn() {
	b.member.hub.tasks.spawn(func() {
		if b.proceed() {
			b.run(b.read())
		}
	})
}

// proceed reports whether who is at it may go on. Otherwise catchUp will be called when it is time.
func (b *mailbox) proceed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.unmoored {
		b.running = false
	}
	return !b.unmoored
}

// portion is what was read from an inbox in one go.
type portion struct {
	uid     string
	turn    uint  // when it was read, as in mailbox
	part    uint8 // how small it is, as in portions
	letters []Letter
	given   int      // 1 if one of them has been delivered
	sure    []uint64 // places of those that the client is known to have got
}

// read reads on. An inbox that cannot be read is passed over: it is there still at the next login. One that several hubs have in
// common, and which is away, is read when it is back.
func (b *mailbox) read() portion {
	b.mu.Lock()
	p := portion{uid: b.uid, turn: b.turn}
	after := b.behind
	b.mu.Unlock()
	if p.uid == "" {
		return p
	}
	h := b.member.hub
	p.part = h.portions.part(p.uid)
	letters, err := h.inbox.Next(p.uid, after, max(h.limit.messages>>p.part, 1), max(h.limit.bytes>>p.part, 1))
	if err != nil {
		if h.shared == nil || !errors.Is(err, ErrAway) && !errors.Is(err, context.DeadlineExceeded) {
			h.unread.complain(h.log, err)
			return p
		}
		b.strand(p.uid)
		b.castOff()
		b.member.retell()
		return p
	}
	p.letters = letters
	return p
}

// run gives the connection what was read and what is left to read, a portion at a time, and then what was held.
func (b *mailbox) run(p portion) {
	c, confirms := b.member.conn.(Confirmer)
	for {
		places, state := b.hand(&p)
		if len(p.sure) > 0 {
			b.member.hub.inbox.Confirm(p.uid, p.sure)
		}
		switch {
		case state == lost:
			if p.given > 0 {
				b.member.hub.portions.broken(p.uid, p.part)
			}
			return
		case len(places) > 0 && confirms:
			b.pace(c, &p, places)
			return
		case len(places) > 0:
			b.member.hub.inbox.Confirm(p.uid, places)
		}
		b.owe(-p.given)
		switch {
		case state == caughtUp && b.flush(p.turn):
			return
		case state == underway:
			b.member.hub.outbox.wait(b.member.hub, b.goOn)
			return
		}
		if !b.proceed() {
			return
		}
		p = b.read()
	}
}

// pace goes on when the client has taken what it was given, and confirms it when it has arrived.
func (b *mailbox) pace(c Confirmer, p *portion, places []uint64) {
	uid, part, given, h := p.uid, p.part, p.given, b.member.hub
	next := sync.OnceFunc(b.goOn)
	c.Confirm(next, func(ok bool) {
		if !ok { // it has ended
			h.portions.broken(uid, part)
			return
		}
		h.inbox.Confirm(uid, places)
		h.portions.confirmed(uid, part)
		b.owe(-given)
		next()
	})
}

// owe counts portions that have been given and are not confirmed.
func (b *mailbox) owe(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.given += n
	b.retireLocked()
}

// progress is how far a connection has come.
type progress byte

const (
	reading  progress = iota // there may be more
	caughtUp                 // what was held is next
	underway                 // the outbox is about to deliver what is next, perhaps to this connection
	lost                     // it has ended
)

// hand delivers a portion and returns the places of what was taken.
func (b *mailbox) hand(p *portion) (places []uint64, state progress) {
	if len(p.letters) == 0 {
		return nil, caughtUp
	}
	for _, l := range p.letters {
		needed, sure, state := b.reach(p.turn, &l)
		if state != reading {
			return places, state
		}
		var err error
		if needed {
			l.Message.place, l.Message.late, l.Message.Volatile = l.Place, true, false
			if p.given == 0 {
				p.given = 1
				b.owe(1)
			}
			if err = b.member.conn.Deliver(l.Message); err == nil {
				b.member.hub.counter.delivered.Add(1)
			}
		}
		switch {
		case sure:
			p.sure = append(p.sure, l.Place)
		case err == nil:
			places = append(places, l.Place)
		case errors.Is(err, ErrGone):
			return places, lost
		case errors.Is(err, ErrSlow):
			return places, b.overflow()
		default: // such a connection cannot take it, another one may
			b.member.hub.log.Warn("a stored message could not be delivered", "message", l.Message.ID, "error", err)
		}
	}
	return places, reading
}

// reach tells whether a letter is the next one for the connection, needed if it is to be delivered, and sure if its client is
// known to have got it.
func (b *mailbox) reach(turn uint, l *Letter) (needed, sure bool, state progress) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.over:
		return false, false, lost
	case b.turn != turn:
		return false, false, caughtUp // which flush finds to be wrong
	case l.Place > b.until:
		return false, false, caughtUp
	case l.Place > b.member.hub.outbox.passed.Load():
		return false, false, underway
	}
	b.behind = l.Place
	got, has := b.has[l.Message.ID]
	return !has && !b.had[l.Place], got, reading
}

// overflow ends a connection that takes no more; one that cannot be ended so goes on, with what comes.
func (b *mailbox) overflow() progress {
	if c, ok := b.member.conn.(Confirmer); ok {
		c.Drop()
		return lost
	}
	return caughtUp
}

// flush delivers what was held, and everything that comes behind that goes to the connection directly. It reports false if
// there is another user's inbox to read.
func (b *mailbox) flush(turn uint) bool {
	for {
		b.mu.Lock()
		if b.over {
			b.mu.Unlock()
			return true
		}
		if b.turn != turn {
			b.mu.Unlock()
			return false
		}
		held, behind, has := b.takeHeldLocked(), b.behind, b.has
		if len(held) == 0 {
			b.catching, b.running, b.has, b.had = false, false, nil, nil
			b.retireLocked()
			b.mu.Unlock()
			return true
		}
		b.mu.Unlock()
		for _, msg := range held {
			if _, skip := has[msg.ID]; skip {
				b.member.note(msg.place)
			} else if msg.place == 0 || msg.place > behind { // else it was held before there was a login, and has been read
				b.giveHeld(msg)
			}
			msg.ask.resume()
		}
	}
}

// giveHeld delivers what was held.
func (b *mailbox) giveHeld(msg *Message) {
	if msg.offset == "" && b.member.trail() != nil { // it was pushed before the connection could be recovered
		msg = msg.postponed()
		defer b.oweUntilConfirmed(msg)
	}
	if err := b.member.deliver(msg); err != nil {
		b.member.hub.log.Debug("a message that was held could not be delivered", "message", msg.ID, "error", err)
	}
}

// oweUntilConfirmed is owe for a message without an offset, by which it could be told whether the client has got it.
func (b *mailbox) oweUntilConfirmed(msg *Message) {
	c, ok := b.member.conn.(Confirmer)
	if !ok || msg.place == 0 {
		return
	}
	b.owe(1)
	c.Confirm(nil, func(ok bool) {
		if ok {
			b.owe(-1)
		}
	})
}

// complaint logs something at most once a minute.
type complaint struct{ said atomic.Int64 }

func (c *complaint) complain(log *slog.Logger, err error) {
	now, last := time.Now().UnixNano(), c.said.Load()
	if (last == 0 || time.Duration(now-last) >= quiet) && c.said.CompareAndSwap(last, now) {
		log.Error("an inbox could not be read: its user gets what comes now, and the rest with a later login", "error", err)
	}
}
