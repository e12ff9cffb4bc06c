package callbacks

import (
	"context"
	"fmt"
	"net/http"
	"os"

	"crier/e2e/ledger/stage"
)

// A piece is what a run is about: users who come and go, and the receiver who is told.
type piece struct {
	terms    Terms
	receiver *receiver
	users    []*user
}

// Perform makes a run and leaves the books in o.Dir. Its error says that there was no proper run to judge.
func Perform(ctx context.Context, t Terms, o stage.Options) error {
	return stage.Perform(ctx, t.Terms, o, &piece{terms: t})
}

// Prepare implements stage.Piece.
func (p *piece) Prepare(r *stage.Run) (map[string]string, error) {
	if err := stage.Save(r.Dir, p.terms); err != nil {
		return nil, err
	}
	book, err := r.Book("receiver.jsonl")
	if err != nil {
		return nil, err
	}
	thefts, err := r.Book("thief.jsonl")
	if err != nil {
		return nil, err
	}
	address, err := stage.FreeAddress(r.Source("port of the receiver", os.Getpid()).IntN)
	if err != nil {
		return nil, err
	}
	wrap := func(h http.Handler) http.Handler { return h }
	if p.terms.Drop > 0 {
		wrap = func(h http.Handler) http.Handler {
			return &thief{next: h, book: thefts, oneIn: p.terms.Drop, fail: r.Fail, seen: map[string]bool{}}
		}
	}
	p.receiver = newReceiver(address, book, r.Source("receiver", 0), r.Fail, wrap)
	p.receiver.batches = p.terms.Batch > 1
	if err := p.receiver.up(); err != nil {
		return nil, err
	}
	r.Defer(p.receiver.close)
	return p.terms.settings(p.receiver.url()), nil
}

// Cast implements stage.Piece.
func (p *piece) Cast(r *stage.Run) (cast []stage.Part, err error) {
	p.receiver.infect()
	for i := range p.terms.Users {
		u := &user{
			uid: fmt.Sprintf("user-%d", i+1), place: i, random: r.Source("user", i),
			terms: p.terms, browsers: r.Browsers, timeline: &timeline{r.Diary.Timeline, p.terms}, progress: r.Progress,
		}
		p.users = append(p.users, u)
		cast = append(cast, stage.Part{Name: u.uid, Play: func(ctx context.Context) error { return u.live(ctx, i%2 == 1) }})
	}
	return cast, nil
}

// Settle implements stage.Piece: it waits until the receiver has got what every user's last callback must be.
func (p *piece) Settle(ctx context.Context, r *stage.Run) error {
	p.receiver.heal()
	return r.Quiet(ctx, func() bool {
		for _, u := range p.users {
			c, _ := p.receiver.latest(u.uid)
			if c.online() != u.online || u.since > 0 && c.at() < u.since {
				return false
			}
		}
		return true
	})
}

// Came implements stage.Piece: it counts requests to the receiver.
func (p *piece) Came() int {
	_, all := p.receiver.latest("")
	return all
}
