package callbacks

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"crier/e2e/ledger/stage"
)

// A user comes, goes, refreshes and crashes, as its random numbers say.
type user struct {
	// Static.
	uid      string
	place    int // of the browser
	random   *rand.Rand
	terms    Terms
	browsers *stage.Browsers
	timeline *timeline
	progress *stage.Progress

	// Owned by live.
	tabs   []*stage.Tab // not told to leave
	left   []*stage.Tab // told to, not gone yet
	opened int
	seen   stage.Stamp // when one of those tabs was connected for certain, for the last time
	gone   stage.Stamp // the last one of them
	ghost  stage.Stamp // the last one that may have left a session behind; 0 if none has
	online bool        // what the last callback must say in the end
	since  stage.Stamp // and not earlier than
}

// live leads the user's life until there is no more to do; then an odd user is present, and an even one away.
func (u *user) live(ctx context.Context, odd bool) error {
	for u.progress.Claim(2) {
		if err := u.arrive(ctx); err != nil {
			return err
		}
		u.progress.Done()
		if err := u.stay(ctx); err != nil {
			return err
		}
		if err := u.depart(ctx); err != nil {
			return err
		}
		u.progress.Done()
	}
	if !odd {
		return nil
	}
	return u.arrive(ctx)
}

// arrive opens a tab and waits until the arrival is owed.
func (u *user) arrive(ctx context.Context) error {
	u.online, u.since = true, max(u.gone, 1)
	for {
		t, err := u.open(ctx)
		if err != nil {
			return err
		}
		alive, err := t.Until(ctx, func(t stage.TabState) bool { return t.In > 0 && u.timeline.Settled(t.In, t.Proof) })
		if err != nil || alive {
			return err
		}
		if err := u.vanish(ctx); err != nil { // the browser was killed
			return err
		}
	}
}

// stay spends some time there, in a way that need not be told, or not always.
func (u *user) stay(ctx context.Context) error {
	for range u.random.IntN(4) {
		var err error
		switch n := u.random.IntN(10); {
		case n < 4:
			err = u.pause(ctx, 0, 800*time.Millisecond)
		case n < 7: // refresh
			if err = u.leave(ctx); err == nil {
				err = u.pause(ctx, 0, u.terms.Delay/4)
			}
			if err == nil {
				_, err = u.open(ctx)
			}
		case n < 9: // a second tab, and the first is left, or lost
			if _, err = u.open(ctx); err == nil {
				err = u.pause(ctx, 0, 400*time.Millisecond)
			}
			if err == nil && len(u.tabs) > 1 {
				err = u.quit(ctx, 0)
			}
		default: // away for about as long as makes a departure
			if err = u.vanish(ctx); err == nil {
				err = u.pause(ctx, u.terms.Delay/2, 2*u.terms.Delay)
			}
			if err == nil {
				_, err = u.open(ctx)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// depart leaves and waits until the departure is owed.
func (u *user) depart(ctx context.Context) error {
	if err := u.vanish(ctx); err != nil {
		return err
	}
	for {
		changed := u.timeline.Wait()
		if _, ok := u.timeline.due(u.gone, u.ghost); ok {
			u.online, u.since = false, u.seen
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// open opens a tab, whose line is in the book when it returns.
func (u *user) open(ctx context.Context) (*stage.Tab, error) {
	u.opened++
	t, err := u.browsers.Open(u.place, stage.NewOpening(u.uid, u.opened, u.random))
	if err != nil {
		return nil, err
	}
	u.tabs = append(u.tabs, t)
	alive, err := t.Until(ctx, func(t stage.TabState) bool { return t.Opened })
	if err == nil && !alive { // the browser is being replaced
		err = u.pause(ctx, 50*time.Millisecond, 100*time.Millisecond)
	}
	return t, err
}

// leave tells all tabs to leave.
func (u *user) leave(ctx context.Context) error {
	for len(u.tabs) > 0 {
		if err := u.quit(ctx, 0); err != nil {
			return err
		}
	}
	return nil
}

// quit tells a tab to leave.
func (u *user) quit(ctx context.Context, i int) error {
	t := u.tabs[i]
	u.tabs = slices.Delete(u.tabs, i, i+1)
	u.left = append(u.left, t)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return t.Leave(u.random)
}

// vanish leaves all tabs and waits until they are gone.
func (u *user) vanish(ctx context.Context) error {
	if err := u.leave(ctx); err != nil {
		return err
	}
	for _, t := range u.left {
		if _, err := t.Until(ctx, func(stage.TabState) bool { return false }); err != nil {
			return err
		}
		seen, gone, ghost := t.Past()
		u.seen, u.gone, u.ghost = max(u.seen, seen), max(u.gone, gone), max(u.ghost, ghost)
	}
	u.left = u.left[:0]
	return nil
}

// pause does nothing for a while.
func (u *user) pause(ctx context.Context, least, most time.Duration) error {
	return stage.Sleep(ctx, least+time.Duration(u.random.Int64N(int64(most-least))))
}
