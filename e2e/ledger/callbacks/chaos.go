package callbacks

import (
	"context"
	"errors"
	"time"

	"crier/e2e/ledger/stage"
)

// Blows implements stage.Piece.
func (p *piece) Blows(r *stage.Run) []stage.Blow {
	if r.Terms.Nodes > 0 {
		return append(r.ClusterBlows(),
			stage.Blow{Name: "browser", Weight: 1, Strike: r.KillBrowser},
			stage.Blow{Name: "outage", Weight: 1, Strike: func(ctx context.Context) error { return p.outage(ctx, r) }},
			stage.Blow{Name: "hang", Weight: 1, Strike: func(ctx context.Context) error { return p.hang(ctx, r) }})
	}
	return []stage.Blow{
		{Name: "kill", Weight: 3, Strike: r.Kill},
		{Name: "relapse", Weight: 1, Strike: r.Relapse},
		{Name: "stop", Weight: 3, Strike: r.Pause},
		{Name: "restart", Weight: 2, Strike: r.Restart},
		{Name: "browser", Weight: 2, Strike: r.KillBrowser},
		{Name: "outage", Weight: 1, Strike: func(ctx context.Context) error { return p.outage(ctx, r) }},
		{Name: "hang", Weight: 1, Strike: func(ctx context.Context) error { return p.hang(ctx, r) }},
		{Name: "storm", Weight: 1, Strike: func(ctx context.Context) error { return p.storm(ctx, r) }},
	}
}

// outage has the receiver refuse connections for a while.
func (p *piece) outage(ctx context.Context, r *stage.Run) error {
	return p.without(r, func() error { return stage.Sleep(ctx, r.Some(3*time.Second)) })
}

// storm kills the server while the receiver is away.
func (p *piece) storm(ctx context.Context, r *stage.Run) error {
	return p.without(r, func() error {
		if err := stage.Sleep(ctx, r.Some(2*time.Second)); err != nil {
			return err
		}
		return r.Kill(ctx)
	})
}

// without does something while the receiver is away.
func (p *piece) without(r *stage.Run, do func() error) error {
	if err := r.Diary.Note(stage.Line{On: receiverDown}); err != nil {
		return err
	}
	if err := p.receiver.down(); err != nil {
		return err
	}
	return errors.Join(do(), p.receiver.up())
}

// hang has the receiver answer nobody for a while.
func (p *piece) hang(ctx context.Context, r *stage.Run) error {
	if err := r.Diary.Note(stage.Line{On: receiverHang}); err != nil {
		return err
	}
	return p.receiver.hang(ctx, r.Some(3*time.Second))
}
