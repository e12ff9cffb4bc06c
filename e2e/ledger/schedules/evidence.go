package schedules

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"crier/e2e/ledger/stage"
)

// evidence is what the books of a run say.
type evidence struct {
	*stage.Record
	terms    stage.Terms
	orders   map[string]*order // by the schedules' ids
	watches  []*stage.Stays    // of the receivers
	strays   []stage.TabLine   // messages that are no run of a schedule
	stolen   map[string]int    // of each schedule, how many runs
	arrivals int
}

// An order is a schedule that somebody has asked for.
type order struct {
	id      string
	plan    plan
	made    stage.Stamp // from which on it is reckoned; 0 if it is not certain that it was made
	first   stage.Stamp // as the server has answered
	removes stage.Stamp // it may have been removed since then; Never if it ended by itself
	removed stage.Stamp // it was
	runs    map[stage.Stamp]*run
}

// A run is a push of a schedule that has come.
type run struct {
	at       stage.Stamp // the time that it was due
	arrivals []arrival   // in the order of the books
}

// An arrival is a push that a tab has got.
type arrival struct {
	tab   string
	at    stage.Stamp
	since stage.Stamp // its connection was logged in; at, if it was not yet
}

// came returns when the run had come for the first time.
func (r *run) came() stage.Stamp {
	first := stage.Never
	for _, a := range r.arrivals {
		first = min(first, a.at)
	}
	return first
}

// gather reads the books of a run.
func gather(dir string) (*evidence, error) {
	t, err := stage.Load[stage.Terms](dir)
	if err != nil {
		return nil, err
	}
	r, err := stage.ReadRecord(dir)
	if err != nil {
		return nil, err
	}
	e := &evidence{Record: r, terms: t, orders: map[string]*order{}, stolen: map[string]int{}}
	var strange error
	err = stage.ReadBook(filepath.Join(dir, "makers.jsonl"), func(l line) {
		if err := e.order(l); err != nil && strange == nil {
			strange = err
		}
	})
	if err == nil {
		err = strange
	}
	if err != nil {
		return nil, err
	}
	stays := map[string]*stage.Stays{}
	gone := map[string]bool{}
	return e, r.ReadTabs(dir, func(l stage.TabLine) {
		if l.On == stage.TabOpen {
			stays[l.Tab] = &stage.Stays{}
			e.watches = append(e.watches, stays[l.Tab])
		}
		stays[l.Tab].Add(l)
		switch l.On {
		case stage.TabWire:
			e.arrival(l, stays[l.Tab])
		case stage.TabStolen:
			id, _, _ := strings.Cut(l.ID, "@")
			if !gone[l.ID] {
				gone[l.ID] = true
				e.stolen[id]++
			}
		}
	})
}

// order takes a line of the makers' book into account.
func (e *evidence) order(l line) error {
	if l.On == asked {
		if l.Plan == nil || e.orders[l.ID] != nil {
			return fmt.Errorf("the makers' book is wrong about %s", l.ID)
		}
		e.orders[l.ID] = &order{id: l.ID, plan: *l.Plan, removes: stage.Never, removed: stage.Never, runs: map[stage.Stamp]*run{}}
		return nil
	}
	o := e.orders[l.ID]
	if o == nil {
		return fmt.Errorf("the makers' book tells of %s, which nobody asked for", l.ID)
	}
	switch l.On {
	case made:
		o.made, o.first = l.Made, l.First
	case removes:
		o.removes = l.At
	case removed:
		o.removed = l.At
	}
	return nil
}

// arrival takes a message into account: the id is that of the schedule, @ and the time of the run.
func (e *evidence) arrival(l stage.TabLine, stays *stage.Stays) {
	e.arrivals++
	id, text, _ := strings.Cut(l.ID, "@")
	at, err := time.Parse(time.RFC3339Nano, text)
	o := e.orders[id]
	if err != nil || o == nil || l.Data != id {
		e.strays = append(e.strays, l)
		return
	}
	due := stage.StampOf(at)
	if o.runs[due] == nil {
		o.runs[due] = &run{at: due}
	}
	o.runs[due].arrivals = append(o.runs[due].arrivals, arrival{tab: l.Tab, at: l.At, since: stays.Since(l.At)})
}
