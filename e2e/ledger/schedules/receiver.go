package schedules

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"crier/e2e/ledger/stage"
)

// A receiver is a tab of the witness that stays, and is replaced when its browser is killed.
type receiver struct {
	place  int
	random *rand.Rand
	run    *stage.Run
	opened int
	tab    *stage.Tab
}

// play stays until all schedules are made and have ended.
func (w *receiver) play(ctx context.Context) error {
	for {
		if err := w.open(ctx); err != nil {
			return err
		}
		alive, err := w.tab.Until(ctx, func(stage.TabState) bool { return w.run.Progress.SoFar() >= w.run.Terms.Owed })
		if err != nil || alive {
			return err
		}
	}
}

// open opens a tab unless there is one.
func (w *receiver) open(ctx context.Context) error {
	for {
		if w.tab != nil {
			if alive, err := w.tab.Until(ctx, func(t stage.TabState) bool { return t.Opened }); err != nil || alive {
				return err
			}
			if err := stage.Sleep(ctx, 50*time.Millisecond); err != nil { // the browser is being replaced
				return err
			}
		}
		w.opened++
		o := stage.NewOpening(witness, w.opened, w.random)
		o.Tab = fmt.Sprintf("%s-%d.%d", witness, w.place, w.opened)
		o.Hear, o.Drop = true, w.run.Terms.Drop
		var err error
		if w.tab, err = w.run.Browsers.Open(w.place, o); err != nil {
			return err
		}
	}
}
