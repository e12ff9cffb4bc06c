package api

import (
	"context"
	"errors"
	"time"

	"crier/io/hub"
)

const (
	// defaultTTL is how long a stored message is kept when neither the push nor Options.TTL says how long.
	defaultTTL = 24 * time.Hour
	// minTTL and maxTTL are what a push may ask for.
	minTTL = time.Second
	maxTTL = 365 * 24 * time.Hour
)

// Keeper pushes messages that are kept for users until they have arrived. *hub.Hub with an Inbox is one.
type Keeper interface {
	Store(ctx context.Context, p hub.Push, k hub.Keep) error
}

// errNoKeeper says that no messages can be stored.
var errNoKeeper = errors.New("this server cannot store messages")

// ttlOf reads how long a message is to be kept.
func ttlOf(value []byte) (time.Duration, *fault) {
	if value[0] == '"' {
		d, err := time.ParseDuration(string(unquoted(value)))
		if err == nil && d >= minTTL && d <= maxTTL {
			return d, nil
		}
	}
	return 0, invalid("ttl", `has to be how long to keep the message, from "1s" to "8760h", such as "24h"`)
}

// checkKeep finds what is wrong with a push that is to be stored, and gives it a ttl if it has none.
func (s *Server) checkKeep(o *order) *fault {
	switch {
	case o.unstored && o.ttl > 0:
		return invalid("store", "cannot be false beside ttl, which is how long a message is stored")
	case o.ttl > 0:
		o.store = true
	case !o.store:
		return nil
	default:
		o.ttl = s.ttl
	}
	switch {
	case o.to.All || len(o.to.Connections) > 0:
		return invalid("store", "and ttl are for users and rooms: a message cannot be kept for all or for connections, so leave those out, or push without store and ttl")
	case o.parcel.message.Volatile:
		return invalid("volatile", "cannot be true beside store or ttl: the message is either kept or dropped")
	case s.keeper == nil:
		return &fault{code: codeUnsupported, detail: s.whyNotKept}
	}
	return nil
}

// keep hands o to the hub, and lands what came of it when it is stored and, with ack, acknowledged or the time is up.
// Without an error it returns at once.
func (s *Server) keep(ctx context.Context, who *caller, o *order, land func(outcome, error)) error {
	if s.keeper == nil {
		return errNoKeeper
	}
	now, asked, keep := time.Now(), o.ack > 0, o.keep // of o itself, nothing is kept: it stays where it is cheap
	var result outcome
	k := hub.Keep{Scope: who.scope, Expires: now.Add(o.ttl)}
	if asked {
		k.Ask = &hub.Question{
			Wait: o.ack,
			Keep: o.keep,
			Done: func(a hub.Answers) { // behind Done of k
				result.acked, result.partial = who.answers(&a, keep), result.partial || a.Pushed.Partial
				s.note(who, a.Pushed, now, &a)
				land(result, nil)
			},
		}
	}
	if err := o.turns.waitSent(ctx); err != nil {
		return err
	}
	delivered := o.turns.take()
	k.Done = func(kept hub.Kept) {
		close(delivered)
		if kept.Err != nil {
			land(outcome{}, kept.Err)
			return
		}
		result = outcome{users: kept.Users, connections: kept.Connections, partial: kept.Partial, stored: kept.Stored > 0, known: kept.Known}
		if !kept.Known {
			s.note(who, kept.Result, now, nil)
		}
		if kept.Known || !asked {
			land(result, nil)
		}
	}
	err := s.keeper.Store(ctx, hub.Push{To: o.to, Message: &o.parcel.message}, k)
	if err != nil {
		close(delivered)
	}
	return err
}

// turns keep the order of pushes that come one after the other, although some are on their way to the disk while others are
// made: those that are not stored wait for these.
type turns struct {
	stored chan struct{} // closed when the latest one that is stored has been delivered, or has failed; nil: there was none
	sent   chan struct{} // closed when the latest one that several servers get has its place in their order; nil: there was none
}

// send has those that are stored wait until the channel is closed, so that they do not overtake what is sent.
func (t *turns) send() chan struct{} {
	sent := make(chan struct{})
	if t != nil {
		t.sent = sent
	}
	return sent
}

// waitSent waits for the turn of a push that is stored.
func (t *turns) waitSent(ctx context.Context) error {
	if t == nil || t.sent == nil {
		return nil
	}
	select {
	case <-t.sent:
		t.sent = nil
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// take has those that come wait until the channel is closed. What is stored need not wait: the hub keeps the order of that.
func (t *turns) take() chan struct{} {
	delivered := make(chan struct{})
	if t != nil {
		t.stored = delivered
	}
	return delivered
}

// wait waits for the turn of a push that is not stored.
func (t *turns) wait(ctx context.Context) error {
	if t == nil || t.stored == nil {
		return nil
	}
	select {
	case <-t.stored:
		t.stored = nil
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
