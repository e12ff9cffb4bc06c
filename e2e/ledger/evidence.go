package main

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
)

// evidence is what the books of a run say.
type evidence struct {
	terms    terms
	timeline *timeline
	end      stamp               // nothing that came later counts
	visits   map[string][]*visit // of each user, by the time of opening
	lines    []callbackLine      // of the receiver
	stolen   []callbackLine
	count    map[string]int // of the driver's lines, by On
}

// A visit is the life of one tab. While it lasts the user may be connected, but is certain to be only in the stays.
type visit struct {
	tab, uid  string
	browser   string
	polls     bool
	greets    bool    // each connection may have been logged in
	logins    []stamp // when logins were sent, unless greets
	open      stamp
	bye       stamp // it began to leave; never if it did not
	gone      stamp // never if it still is there
	clean     bool
	killed    bool // its browser was killed: what it did last may be in no book
	stays     []stay
	connected bool // the last stay goes on, while the books are read
}

// A stay is one connection, as far as it is certain that the server had it: from the answer to the login to the sending of
// the last event that was answered. If there was none it is not proven, and nothing is certain: the answer to the login may
// have lain about until the connection was gone already.
type stay struct {
	from, to stamp
	proven   bool
	out      stamp // when the browser noticed its end; never if it did not
}

// ghost returns when the tab may have left a session behind that only the heartbeat ends, or 0.
func (v *visit) ghost() stamp {
	if v.polls && !v.clean && v.gone < never {
		return v.gone
	}
	return 0
}

// gather reads the books of a run.
func gather(dir string) (*evidence, error) {
	t, err := loadTerms(dir)
	if err != nil {
		return nil, err
	}
	e := &evidence{terms: t, timeline: newTimeline(t), visits: map[string][]*visit{}, count: map[string]int{}}
	tabs, gone := map[string]driverLine{}, map[string]stamp{}
	err = readBook(filepath.Join(dir, "driver.jsonl"), func(line driverLine) {
		e.timeline.add(line)
		e.count[line.On]++
		switch line.On {
		case tabOpened:
			tabs[line.Tab] = line
		case browserGone:
			gone[line.Browser] = line.At
		case runEnd:
			e.end = line.At
		}
	})
	if err != nil {
		return nil, err
	}
	if e.end == 0 {
		return nil, errors.New("the run was not brought to an end, so there is nothing to check")
	}
	if err := e.readBrowsers(dir, tabs, gone); err != nil {
		return nil, err
	}
	err = readBook(filepath.Join(dir, "receiver.jsonl"), func(line callbackLine) {
		if line.At <= e.end {
			e.lines = append(e.lines, line)
		}
	})
	if err != nil {
		return nil, err
	}
	return e, readBook(filepath.Join(dir, "thief.jsonl"), func(line callbackLine) {
		if line.At <= e.end {
			e.stolen = append(e.stolen, line)
		}
	})
}

// readBrowsers makes the visits of what the browsers' books say.
func (e *evidence) readBrowsers(dir string, tabs map[string]driverLine, gone map[string]stamp) error {
	paths, err := filepath.Glob(filepath.Join(dir, "browser-*.jsonl"))
	if err != nil {
		return fmt.Errorf("looking for the browsers' books: %w", err)
	}
	all := map[string]*visit{}
	for _, path := range paths {
		lost := ""
		err := readBook(path, func(line tabLine) {
			if line.At > e.end {
				return
			}
			if line.On == tabOpen {
				order := tabs[line.Tab]
				v := &visit{tab: line.Tab, uid: line.UID, browser: order.Browser, polls: order.Slow, greets: order.Greet, open: line.At, bye: never, gone: never}
				if at, ok := gone[v.browser]; ok { // unless it says itself that it went before
					v.bye, v.gone, v.killed = at, at, true
				}
				all[line.Tab] = v
				e.visits[line.UID] = append(e.visits[line.UID], v)
				return
			}
			if v := all[line.Tab]; v != nil {
				v.add(line)
			} else {
				lost = line.Tab
			}
		})
		if err == nil && lost != "" {
			err = fmt.Errorf("%s tells of %s, which was not opened", path, lost)
		}
		if err != nil {
			return err
		}
	}
	for _, visits := range e.visits {
		slices.SortFunc(visits, func(a, b *visit) int { return cmp.Compare(a.open, b.open) })
	}
	return nil
}

// add takes a line of the visit's tab into account.
func (v *visit) add(line tabLine) {
	switch line.On {
	case tabLogin:
		v.logins = append(v.logins, line.At)
	case tabIn:
		v.stays = append(v.stays, stay{from: line.At, to: line.At, out: never})
		v.connected = true
	case tabBye:
		v.bye = line.At
	case tabGone:
		v.gone, v.clean, v.killed, v.connected = line.At, line.Clean, false, false
	}
	if !v.connected {
		return
	}
	last := &v.stays[len(v.stays)-1]
	switch line.On {
	case tabProof:
		if line.Sent >= last.from {
			last.to, last.proven = line.Sent, true
		}
	case tabOut:
		last.out, v.connected = line.At, false
	}
}
