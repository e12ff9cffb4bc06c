package cluster

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/gomodule/redigo/redis"

	"crier/io/hub"
)

const (
	// tellSize is how many confirmations and notes Redis is told by one script.
	tellSize = 500
	// maxGathered is how many of each may wait for Redis. Confirmations beyond that are forgotten, so that their messages come again,
	// and notes are missing in the receipts.
	maxGathered = 100_000
	// tellAgain is how long after a failure it is tried again.
	tellAgain = 200 * time.Millisecond
)

// gathering is what Redis is to be told.
type gathering struct {
	confirmed map[string][]uint64 // places, by uid
	places    int                 // of confirmed
	notes     []note
	dropped   int // notes that there was no room for
}

// note is something for the receipt of a message: a hub.Note or, without a Time, how many connections took it here.
type note struct {
	mid string
	hub.Note
}

// Confirm implements hub.Inbox.
func (q *Inbox) Confirm(uid string, places []uint64) {
	q.mu.Lock()
	if g := &q.waiting; g.places+len(places) <= maxGathered {
		if g.confirmed == nil {
			g.confirmed = make(map[string][]uint64)
		}
		g.confirmed[uid] = append(g.confirmed[uid], places...)
		g.places += len(places)
	}
	q.mu.Unlock()
	q.wake()
}

// arrived returns the places that a user has confirmed and Redis has not been told of yet.
func (q *Inbox) arrived(uid string) map[uint64]bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	a, b := q.waiting.confirmed[uid], q.flying.confirmed[uid]
	if len(a)+len(b) == 0 {
		return nil
	}
	places := make(map[uint64]bool, len(a)+len(b))
	for _, list := range [][]uint64{a, b} {
		for _, place := range list {
			places[place] = true
		}
	}
	return places
}

// Note adds to a receipt, or begins one. It does not wait.
func (q *Inbox) Note(n hub.Note) { q.note(note{midOf(n.Scope, n.ID), n}) }

// took notes how many connections took a message of another node here.
func (q *Inbox) took(mid string, connections int) {
	q.note(note{mid, hub.Note{Delivered: connections}})
}

func (q *Inbox) note(n note) {
	q.mu.Lock()
	if g := &q.waiting; len(g.notes) < maxGathered {
		g.notes = append(g.notes, n)
	} else {
		g.dropped++
	}
	q.mu.Unlock()
	q.wake()
}

func (q *Inbox) wake() {
	select {
	case q.kick <- struct{}{}:
	default:
	}
}

// tellForever tells Redis what gathers, and removes what has expired, until Close.
func (q *Inbox) tellForever() {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	again := time.NewTimer(time.Hour)
	defer again.Stop()
	for {
		select {
		case <-q.kick:
		case <-again.C:
		case answer := <-q.asks:
			answer <- q.tell(q.run)
			continue
		case <-ticker.C:
			q.sweep()
			continue
		case <-q.run.Done():
			if err := q.tell(context.WithoutCancel(q.run)); err != nil {
				q.Logger.Warn("what was confirmed last is not known to Redis: it comes again", "error", err)
			}
			return
		}
		if q.tell(q.run) != nil {
			again.Reset(tellAgain)
		}
	}
}

// tell tells Redis what has gathered. It returns why that was not taken.
func (q *Inbox) tell(ctx context.Context) error {
	q.mu.Lock()
	g := q.waiting
	q.waiting, q.flying = gathering{}, g
	q.mu.Unlock()
	if g.dropped > 0 {
		q.Logger.Warn("receipts are incomplete: more was pushed than Redis could take notes of", "notes", g.dropped)
	}
	err := q.tellConfirmed(ctx, g.confirmed)
	notes := g.notes
	for len(notes) > 0 && err == nil {
		n := min(len(notes), tellSize)
		if _, err = q.do(ctx, noteScript, q.noteArgs(notes[:n])...); err == nil {
			notes = notes[n:]
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.flying = gathering{}
	if err != nil {
		q.takeBackLocked(g, notes)
	}
	return err
}

// settled has Redis told of all that has gathered so far.
func (q *Inbox) settled() error {
	answer := make(chan error, 1)
	select {
	case q.asks <- answer:
		return <-answer
	case <-q.run.Done():
		return errInboxClosed
	}
}

// takeBackLocked has tell try again what it could not. To confirm twice does nothing, nor does it to note the same again.
func (q *Inbox) takeBackLocked(g gathering, notes []note) {
	w := &q.waiting
	for uid, places := range w.confirmed {
		if g.confirmed == nil {
			g.confirmed = make(map[string][]uint64)
		}
		g.confirmed[uid] = append(g.confirmed[uid], places...)
	}
	w.confirmed, w.places = g.confirmed, w.places+g.places
	w.notes = append(slices.Clip(notes), w.notes...)
}

// tellConfirmed tells Redis what has been confirmed.
func (q *Inbox) tellConfirmed(ctx context.Context, confirmed map[string][]uint64) error {
	var args []any
	n := 0
	flush := func() error {
		if n == 0 {
			return nil
		}
		_, err := q.do(ctx, confirmScript, args...)
		args, n = nil, 0
		return err
	}
	for _, uid := range slices.Collect(maps.Keys(confirmed)) {
		for places := range slices.Chunk(confirmed[uid], tellSize) {
			args = append(args, uid, len(places))
			for _, place := range places {
				args = append(args, place)
			}
			if n += len(places); n >= tellSize {
				if err := flush(); err != nil {
					return err
				}
			}
		}
	}
	return flush()
}

func (q *Inbox) noteArgs(notes []note) (args []any) {
	for _, n := range notes {
		at := any("")
		if !n.Time.IsZero() {
			at = n.Time.UnixMilli()
		}
		args = append(args, n.mid, at, n.Users, n.Connections, n.Delivered)
		if n.Acked != nil {
			args = append(args, n.Acked.Users, n.Acked.Connections)
		} else {
			args = append(args, "", "")
		}
	}
	return args
}

// sweep removes what has expired, if that is this node's task. What is left after an error is removed later.
func (q *Inbox) sweep() {
	for q.Sweeps == nil || q.Sweeps() {
		more, err := redis.Int(q.do(q.run, sweepScript, sweepSize, q.MaxReceipts))
		if err != nil || more == 0 || q.run.Err() != nil {
			return
		}
	}
}
