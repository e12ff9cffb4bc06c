package callbacks

import (
	"cmp"
	"path/filepath"
	"slices"

	"crier/e2e/ledger/stage"
)

// evidence is what the books of a run say.
type evidence struct {
	*stage.Record
	terms    Terms
	timeline *timeline
	visits   map[string][]*visit // of each user, by the time of opening
	lines    []callbackLine      // of the receiver
	stolen   []callbackLine
}

// A visit is the life of one tab. While it lasts the user may be connected, but is certain to be only in the stays.
type visit struct {
	tab, uid string
	polls    bool
	greets   bool          // each connection may have been logged in
	logins   []stage.Stamp // when logins were sent, unless greets
	open     stage.Stamp
	bye      stage.Stamp // it began to leave; never if it did not
	gone     stage.Stamp // never if it still is there
	clean    bool
	killed   bool // its browser was killed: what it did last may be in no book
	stays    stage.Stays
}

// ghost returns when the tab may have left a session behind that only the heartbeat ends, or 0.
func (v *visit) ghost() stage.Stamp {
	if v.polls && !v.clean && v.gone < stage.Never {
		return v.gone
	}
	return 0
}

// gather reads the books of a run.
func gather(dir string) (*evidence, error) {
	t, err := stage.Load[Terms](dir)
	if err != nil {
		return nil, err
	}
	r, err := stage.ReadRecord(dir)
	if err != nil {
		return nil, err
	}
	e := &evidence{Record: r, terms: t, timeline: &timeline{r.Timeline, t}, visits: map[string][]*visit{}}
	if err := e.readBrowsers(dir); err != nil {
		return nil, err
	}
	err = stage.ReadBook(filepath.Join(dir, "receiver.jsonl"), func(line callbackLine) {
		if line.At <= e.End {
			e.lines = append(e.lines, line)
		}
	})
	if err != nil {
		return nil, err
	}
	return e, stage.ReadBook(filepath.Join(dir, "thief.jsonl"), func(line callbackLine) {
		if line.At <= e.End {
			e.stolen = append(e.stolen, line)
		}
	})
}

// readBrowsers makes the visits of what the browsers' books say.
func (e *evidence) readBrowsers(dir string) error {
	all := map[string]*visit{}
	err := e.ReadTabs(dir, func(line stage.TabLine) {
		if line.On != stage.TabOpen {
			all[line.Tab].add(line)
			return
		}
		order := e.Tabs[line.Tab]
		v := &visit{
			tab: line.Tab, uid: line.UID, polls: order.Slow, greets: order.Greet,
			open: line.At, bye: stage.Never, gone: stage.Never,
		}
		if at, ok := e.Gone[order.Browser]; ok { // unless it says itself that it went before
			v.bye, v.gone, v.killed = at, at, true
		}
		all[line.Tab] = v
		e.visits[line.UID] = append(e.visits[line.UID], v)
	})
	if err != nil {
		return err
	}
	for _, visits := range e.visits {
		slices.SortFunc(visits, func(a, b *visit) int { return cmp.Compare(a.open, b.open) })
	}
	return nil
}

// add takes a line of the visit's tab into account.
func (v *visit) add(line stage.TabLine) {
	switch line.On {
	case stage.TabLogin:
		v.logins = append(v.logins, line.At)
	case stage.TabBye:
		v.bye = line.At
	case stage.TabGone:
		v.gone, v.clean, v.killed = line.At, line.Clean, false
	}
	v.stays.Add(line)
}
