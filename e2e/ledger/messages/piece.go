package messages

import (
	"context"
	"fmt"

	"crier/e2e/ledger/stage"
)

// A piece is what a run is about: publishers and users.
type piece struct {
	book  *stage.Book
	users []*user
	owed  *owed
}

// Perform makes a run and leaves the books in o.Dir. Its error says that there was no proper run to judge.
func Perform(ctx context.Context, t stage.Terms, o stage.Options) error {
	return stage.Perform(ctx, t, o, &piece{owed: newOwed()})
}

// Prepare implements stage.Piece.
func (p *piece) Prepare(r *stage.Run) (map[string]string, error) {
	if err := stage.Save(r.Dir, r.Terms); err != nil {
		return nil, err
	}
	var err error
	p.book, err = r.Book("publishers.jsonl")
	r.Hear = p.owed.hear
	return settings(), err
}

// Blows implements stage.Piece.
func (p *piece) Blows(r *stage.Run) []stage.Blow {
	if r.Terms.Nodes > 0 {
		return append(r.ClusterBlows(),
			stage.Blow{Name: "browser", Weight: 1, Strike: r.KillBrowser},
			stage.Blow{Name: "freeze", Weight: 1, Strike: r.FreezeBrowser})
	}
	return []stage.Blow{
		{Name: "kill", Weight: 3, Strike: r.Kill},
		{Name: "relapse", Weight: 1, Strike: r.Relapse},
		{Name: "stop", Weight: 3, Strike: r.Pause},
		{Name: "restart", Weight: 2, Strike: r.Restart},
		{Name: "browser", Weight: 2, Strike: r.KillBrowser},
		{Name: "freeze", Weight: 2, Strike: r.FreezeBrowser},
	}
}

// Cast implements stage.Piece.
func (p *piece) Cast(r *stage.Run) (cast []stage.Part, err error) {
	var uids []string
	for i := range r.Terms.Users {
		u := &user{uid: fmt.Sprintf("user-%d", i+1), place: i, random: r.Source("user", i), run: r}
		play := u.play
		if u.sits = r.Terms.Nodes > 0 && i%3 == 0; u.sits {
			play = u.sit
		}
		p.users = append(p.users, u)
		uids = append(uids, u.uid)
		cast = append(cast, stage.Part{Name: u.uid, Play: play})
	}
	clients, err := r.Clients(publishers)
	if err != nil {
		return nil, err
	}
	for i := range publishers {
		one := &publisher{
			name: fmt.Sprintf("publisher-%d", i+1), random: r.Source("publisher", i), users: uids, clients: clients,
			book: p.book, timeline: r.Diary.Timeline, progress: r.Progress, owed: p.owed,
		}
		play := []func(context.Context) error{one.single, one.single, one.batches, one.links}[i%4]
		cast = append(cast, stage.Part{Name: one.name, Play: play})
	}
	return cast, nil
}

// Settle implements stage.Piece: everybody opens a tab, and gets what is owed.
func (p *piece) Settle(ctx context.Context, r *stage.Run) error {
	for _, u := range p.users {
		if err := u.stay(ctx); err != nil {
			return err
		}
	}
	return r.Quiet(ctx, p.owed.none)
}

// Came implements stage.Piece: it counts what tabs have got.
func (p *piece) Came() int { return p.owed.came() }
