package messages

import (
	"context"
	"math/rand/v2"
	"time"

	"crier/e2e/ledger/stage"
)

// A user has now one tab or several, and now none, as its random numbers say.
type user struct {
	uid    string
	place  int // of its browsers
	random *rand.Rand
	run    *stage.Run
	opened int
	tabs   []*stage.Tab // not told to leave
}

// most is how many tabs a user has at a time.
const most = 3

// play comes and goes until everything is published.
func (u *user) play(ctx context.Context) error {
	for u.run.Progress.SoFar() < u.run.Terms.Owed {
		var err error
		switch n := u.random.IntN(10); {
		case len(u.tabs) == 0 || n < 3 && len(u.tabs) < most:
			err = u.open(ctx)
		case n < 6:
			err = u.leave()
		case n < 7: // all of them, for a while
			for len(u.tabs) > 0 && err == nil {
				err = u.leave()
			}
			if err == nil {
				err = u.pause(ctx, 3*time.Second)
			}
		}
		if err == nil {
			err = u.pause(ctx, 2*time.Second)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// open opens a tab in some browser.
func (u *user) open(ctx context.Context) error {
	u.opened++
	o := stage.NewOpening(u.uid, u.opened, u.random)
	o.Hear, o.Drop, o.Recovery = true, u.run.Terms.Drop, u.random.IntN(2) == 0
	t, err := u.run.Browsers.Open(u.place+u.opened, o)
	if err != nil {
		return err
	}
	alive, err := t.Until(ctx, func(s stage.TabState) bool { return s.Opened })
	if err == nil && alive {
		u.tabs = append(u.tabs, t)
	}
	return err
}

// leave has the oldest tab leave, in some way.
func (u *user) leave() error {
	t := u.tabs[0]
	u.tabs = u.tabs[1:]
	return t.Leave(u.random)
}

func (u *user) pause(ctx context.Context, most time.Duration) error {
	return stage.Sleep(ctx, time.Duration(u.random.Int64N(int64(most))))
}

// stay opens another tab, and returns when it is logged in.
func (u *user) stay(ctx context.Context) error {
	for {
		if err := u.open(ctx); err != nil {
			return err
		}
		if len(u.tabs) == 0 {
			continue
		}
		alive, err := u.tabs[len(u.tabs)-1].Until(ctx, func(s stage.TabState) bool { return s.In > 0 })
		if err != nil || alive {
			return err
		}
	}
}
