package schedules

import (
	"context"
	"fmt"
	"sync/atomic"

	"crier/e2e/ledger/stage"
)

// receivers is how many tabs the witness has.
const receivers = 4

// A piece is what a run is about: makers of schedules, and tabs of the witness.
type piece struct {
	book      *stage.Book
	receivers []*receiver
	came      atomic.Int64
}

// Perform makes a run and leaves the books in o.Dir. Its error says that there was no proper run to judge.
func Perform(ctx context.Context, t stage.Terms, o stage.Options) error {
	return stage.Perform(ctx, t, o, &piece{})
}

// Prepare implements stage.Piece.
func (p *piece) Prepare(r *stage.Run) (map[string]string, error) {
	if err := stage.Save(r.Dir, r.Terms); err != nil {
		return nil, err
	}
	var err error
	p.book, err = r.Book("makers.jsonl")
	r.Hear = func(l stage.TabLine) {
		if l.On == stage.TabWire {
			p.came.Add(1)
		}
	}
	return settings(), err
}

// Blows implements stage.Piece.
func (p *piece) Blows(r *stage.Run) []stage.Blow {
	if r.Terms.Nodes > 0 {
		return append(r.ClusterBlows(), stage.Blow{Name: "browser", Weight: 1, Strike: r.KillBrowser})
	}
	return []stage.Blow{
		{Name: "kill", Weight: 3, Strike: r.Kill},
		{Name: "relapse", Weight: 1, Strike: r.Relapse},
		{Name: "stop", Weight: 3, Strike: r.Pause},
		{Name: "restart", Weight: 2, Strike: r.Restart},
		{Name: "browser", Weight: 1, Strike: r.KillBrowser},
	}
}

// Cast implements stage.Piece.
func (p *piece) Cast(r *stage.Run) (cast []stage.Part, err error) {
	for i := range receivers {
		w := &receiver{place: i, random: r.Source("receiver", i), run: r}
		p.receivers = append(p.receivers, w)
		cast = append(cast, stage.Part{Name: fmt.Sprintf("receiver %d", i), Play: w.play})
	}
	clients, err := r.Clients(r.Terms.Users)
	if err != nil {
		return nil, err
	}
	for i := range r.Terms.Users {
		m := &maker{
			name: fmt.Sprintf("maker-%d", i+1), random: r.Source("maker", i), clients: clients,
			book: p.book, timeline: r.Diary.Timeline, progress: r.Progress,
		}
		cast = append(cast, stage.Part{Name: m.name, Play: m.play})
	}
	return cast, nil
}

// Settle implements stage.Piece: it waits until nothing comes any more to tabs that are all there.
func (p *piece) Settle(ctx context.Context, r *stage.Run) error {
	for _, w := range p.receivers {
		if err := w.open(ctx); err != nil {
			return err
		}
	}
	return r.Quiet(ctx, func() bool { return true })
}

// Came implements stage.Piece: it counts what tabs have got.
func (p *piece) Came() int { return int(p.came.Load()) }
