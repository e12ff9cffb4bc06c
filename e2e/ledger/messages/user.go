package messages

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"crier/e2e/ledger/stage"
)

// A user has now one tab or several, and now none, as its random numbers say.
type user struct {
	uid    string
	place  int // of the first browser
	random *rand.Rand
	run    *stage.Run
	sits   bool // and does not come and go
	opened int
	pages  []page // not told to leave
}

// A page is in a tab, and may be loaded again.
type page struct {
	*stage.Tab
	name  string
	place int // of its browser
}

// most is how many pages a user has at a time.
const most = 3

// play comes and goes until everything is published.
func (u *user) play(ctx context.Context) error {
	for u.run.Progress.SoFar() < u.run.Terms.Owed {
		var err error
		switch n := u.random.IntN(10); {
		case len(u.pages) == 0 || n < 3 && len(u.pages) < most:
			err = u.open(ctx)
		case n < 5:
			_, err = u.leave()
		case n < 7:
			err = u.reload(ctx)
		case n < 8: // all of them, for a while
			for len(u.pages) > 0 && err == nil {
				_, err = u.leave()
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

// sit has one page, whose connection can be recovered, for as long as anything is published.
func (u *user) sit(ctx context.Context) error {
	for u.run.Progress.SoFar() < u.run.Terms.Owed {
		if err := u.open(ctx); err != nil {
			return err
		}
		if len(u.pages) == 0 { // the browser is being replaced
			if err := stage.Sleep(ctx, 50*time.Millisecond); err != nil {
				return err
			}
			continue
		}
		alive, err := u.pages[0].Until(ctx, func(stage.TabState) bool { return u.run.Progress.SoFar() >= u.run.Terms.Owed })
		if err != nil || alive {
			return err
		}
		u.pages = u.pages[1:] // the browser was killed
	}
	return nil
}

// open opens a page in another browser than the one before.
func (u *user) open(ctx context.Context) error {
	return u.load(ctx, page{name: fmt.Sprintf("%s page %d", u.uid, u.opened+1), place: u.place + u.opened + 1})
}

// reload leaves the oldest page and loads it again.
func (u *user) reload(ctx context.Context) error {
	p, err := u.leave()
	if err != nil {
		return err
	}
	if _, err := p.Until(ctx, func(stage.TabState) bool { return false }); err != nil {
		return err
	}
	return u.load(ctx, p)
}

// load opens a tab with a page.
func (u *user) load(ctx context.Context, p page) error {
	u.opened++
	o := stage.NewOpening(u.uid, u.opened, u.random)
	o.Hear, o.Page, o.Drop, o.Recovery = true, p.name, u.run.Terms.Drop, u.random.IntN(2) == 0
	if u.sits {
		o.Recovery, o.Lib = true, stage.Latest
	}
	var err error
	if p.Tab, err = u.run.Browsers.Open(p.place, o); err != nil {
		return err
	}
	alive, err := p.Until(ctx, func(s stage.TabState) bool { return s.Opened })
	if err == nil && alive { // else its browser is being replaced
		u.pages = append(u.pages, p)
	}
	return err
}

// leave has the oldest page leave, in some way.
func (u *user) leave() (page, error) {
	p := u.pages[0]
	u.pages = u.pages[1:]
	return p, p.Leave(u.random)
}

func (u *user) pause(ctx context.Context, most time.Duration) error {
	return stage.Sleep(ctx, time.Duration(u.random.Int64N(int64(most))))
}

// stay opens another page, and returns when it is logged in.
func (u *user) stay(ctx context.Context) error {
	for {
		if err := u.open(ctx); err != nil {
			return err
		}
		if len(u.pages) == 0 {
			continue
		}
		alive, err := u.pages[len(u.pages)-1].Until(ctx, func(s stage.TabState) bool { return s.In > 0 })
		if err != nil || alive {
			return err
		}
	}
}
