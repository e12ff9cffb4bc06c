package messages

import (
	"fmt"
	"path/filepath"
	"slices"

	"crier/e2e/ledger/stage"
)

// evidence is what the books of a run say.
type evidence struct {
	*stage.Record
	terms   stage.Terms
	letters map[string]*letter // by their ids
	users   map[string]*inbox
	stolen  map[delivery]bool
}

// A letter is a message that somebody has pushed.
type letter struct {
	id       string
	from     string
	n        int
	users    []string
	plain    bool        // not to be stored
	at       stage.Stamp // before it was pushed, for the first time
	known    stage.Stamp // when the answer had come
	accepted bool
	partial  bool // not all of several servers were reached
	node     int  // which of them has answered
	stored   bool // as the server has said
	tries    int
}

// An inbox is what has come to one user.
type inbox struct {
	uid   string
	tabs  map[string]*tab
	pages map[string]map[string]int // of each page, ids that its helper has handed on, and how often
	wired map[string]stage.Stamp    // when a message has come to any tab, for the first time
	first map[string]stage.Stamp    // when the helper of any tab has handed it on, for the first time
}

// discarded says whether a message has come to a tab that ended, by itself or with its browser, before the client handed it on.
func (i *inbox) discarded(id string) bool {
	if i == nil {
		return false
	}
	for _, t := range i.tabs {
		if (t.bye < stage.Never || t.killed) && slices.ContainsFunc(t.wire, func(a arrival) bool { return a.id == id }) {
			return true
		}
	}
	return false
}

// A tab is what its browser's book says of it, in that order.
type tab struct {
	name   string
	page   string
	wire   []arrival
	got    map[string]bool // ids that the helper has handed on
	bye    stage.Stamp     // it began to leave, and takes nothing more from then on; Never if it did not
	killed bool            // with its browser
	here   map[string]bool // ids that have come to the client
	spans  spans
	last   stage.Stamp // of its lines
}

// came says whether a message has come to the application.
func (i *inbox) came(id string) bool {
	if i == nil {
		return false
	}
	_, is := i.first[id]
	return is
}

// among says whether the inbox is that of one of them.
func (i *inbox) among(users []string) bool { return slices.Contains(users, i.uid) }

// An arrival is a message that has come to a tab.
type arrival struct {
	id   string
	data string
	at   stage.Stamp
	conn int // which of the tab's connections brought it
}

func newEvidence(r *stage.Record, t stage.Terms) *evidence {
	return &evidence{Record: r, terms: t, letters: map[string]*letter{}, users: map[string]*inbox{}, stolen: map[delivery]bool{}}
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
	e := newEvidence(r, t)
	var strange error
	err = stage.ReadBook(filepath.Join(dir, "publishers.jsonl"), func(l line) {
		if err := e.letter(l); err != nil && strange == nil {
			strange = err
		}
	})
	if err == nil {
		err = strange
	}
	if err != nil {
		return nil, err
	}
	return e, r.ReadTabs(dir, e.arrival)
}

// letter takes a line of the publishers' book into account.
func (e *evidence) letter(l line) error {
	one := e.letters[l.ID]
	switch {
	case (l.On == sent) == (one != nil):
		return fmt.Errorf("the publishers' book is wrong about %s", l.ID)
	case l.On == sent:
		e.letters[l.ID] = &letter{id: l.ID, from: l.From, n: l.N, users: l.Users, plain: l.Plain, at: l.At}
	case l.On == accepted:
		one.accepted, one.stored, one.tries = true, l.Stored, l.Tries
		one.known, one.partial, one.node = l.At, l.Partial, l.Node
	}
	return nil
}

// arrival takes a line of a tab into account.
func (e *evidence) arrival(l stage.TabLine) {
	i := e.users[l.UID]
	if i == nil {
		i = &inbox{uid: l.UID, tabs: map[string]*tab{}, pages: map[string]map[string]int{}, wired: map[string]stage.Stamp{}, first: map[string]stage.Stamp{}}
		e.users[l.UID] = i
	}
	t := i.tabs[l.Tab]
	if t == nil {
		order := e.Tabs[l.Tab]
		_, killed := e.Gone[order.Browser]
		t = &tab{name: l.Tab, page: order.Page + " in " + order.Browser, got: map[string]bool{}, here: map[string]bool{}, bye: stage.Never, killed: killed}
		i.tabs[l.Tab] = t
		if i.pages[t.page] == nil {
			i.pages[t.page] = map[string]int{}
		}
	}
	t.last = l.At
	t.spans.add(l)
	switch l.On {
	case stage.TabBye:
		t.bye = l.At
	case stage.TabWire:
		t.here[l.ID] = true
		t.wire = append(t.wire, arrival{id: l.ID, data: l.Data, at: l.At, conn: l.Conn})
		i.wired[l.ID] = earlier(i.wired, l.ID, l.At)
	case stage.TabGot:
		t.got[l.ID] = true
		i.pages[t.page][l.ID]++
		i.first[l.ID] = earlier(i.first, l.ID, l.At)
	case stage.TabStolen:
		e.stolen[delivery{l.ID, l.UID}] = true
	}
}

// earlier returns the time of an id, if it is before at, or else at.
func earlier(times map[string]stage.Stamp, id string, at stage.Stamp) stage.Stamp {
	if known, is := times[id]; is && known < at {
		return known
	}
	return at
}
