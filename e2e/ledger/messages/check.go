package messages

import (
	"cmp"
	"fmt"
	"slices"

	"crier/e2e/ledger/stage"
)

// blur is how much times that are compared may be wrong by.
const blur stage.Stamp = 5

// A verdict is what the checker has found. Deliveries are messages times users.
type verdict struct {
	violations []stage.Violation
	letters    int // messages that were accepted and are to be stored
	plain      int // that were accepted and are not
	owed       int // deliveries of the former
	delivered  int // of these
	open       int // deliveries of messages whose push was never answered, to be stored or not
	openCame   int // of these, that came
	arrivals   int // on the wire, of everything
	again      int // of them, in a tab that had got the message before
}

// judge checks the books.
func judge(e *evidence) *verdict {
	v := &verdict{}
	for _, l := range e.letters {
		v.letter(e, l)
	}
	for _, i := range e.users {
		for tab, all := range i.tabs {
			v.tab(e, i.uid, tab, all)
		}
		v.sequence(e, i)
	}
	slices.SortFunc(v.violations, func(a, b stage.Violation) int { return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.ID, b.ID)) })
	return v
}

func (v *verdict) accuse(kind, uid, id string, at stage.Stamp, format string, args ...any) {
	v.violations = append(v.violations, stage.Violation{Kind: kind, UID: uid, ID: id, At: at, Text: fmt.Sprintf(format, args...)})
}

// letter checks that a message has come to everybody.
func (v *verdict) letter(e *evidence, l *letter) {
	switch {
	case !l.accepted:
		v.open += len(l.users)
		for _, uid := range l.users {
			if e.users[uid].came(l.id) {
				v.openCame++
			}
		}
		return
	case l.stored == l.plain:
		v.accuse("stored", "", l.id, 0, "the answer says stored: %v", l.stored)
	case l.plain:
		v.plain++
		return
	}
	v.letters++
	for _, uid := range l.users {
		v.owed++
		if e.users[uid].came(l.id) {
			v.delivered++
			continue
		}
		v.accuse("lost", uid, l.id, 0, "it was accepted, and never came")
	}
}

// tab checks what has come to one tab: on the wire for each connection, and behind the helper for all of them.
func (v *verdict) tab(e *evidence, uid, tab string, all []arrival) {
	type place struct {
		conn int // 0: behind the helper
		from string
	}
	last := map[place]int{}
	wire, got := map[string]int{}, map[string]bool{} // ids, and on which connection
	check := func(conn int, l *letter, a arrival) {
		p := place{conn, l.from}
		if l.accepted && l.n < last[p] {
			v.accuse("order", uid, a.id, a.at, "%s: it came behind number %d of %s (connection %d)", tab, last[p], l.from, conn)
		}
		if l.accepted {
			last[p] = max(last[p], l.n)
		}
	}
	for _, a := range all {
		v.arrivals++
		l := e.letters[a.id]
		if l == nil || a.data != a.id || !slices.Contains(l.users, uid) {
			v.accuse("stray", uid, a.id, a.at, "%s: nobody has pushed %q to this user under that id", tab, a.data)
			continue
		}
		switch before, again := wire[a.id]; {
		case again && before == a.conn:
			v.accuse("twice", uid, a.id, a.at, "%s: it came twice on one connection (%d)", tab, a.conn)
			continue
		case again:
			v.again++
		}
		wire[a.id] = a.conn
		check(a.conn, l, a)
		switch {
		case a.got && got[a.id]:
			v.accuse("duplicate", uid, a.id, a.at, "%s: the helper handed it on again", tab)
		case a.got:
			got[a.id] = true
			check(0, l, a)
		case !got[a.id]:
			v.accuse("swallowed", uid, a.id, a.at, "%s: the helper did not hand it on, and had not before", tab)
		}
	}
}

// sequence checks that what has come to a user for the first time, in whatever tab, was in order.
func (v *verdict) sequence(e *evidence, i *inbox) {
	all := map[string][]*letter{} // by the publishers
	for id := range i.first {
		if l := e.letters[id]; l != nil && l.accepted {
			all[l.from] = append(all[l.from], l)
		}
	}
	for _, letters := range all {
		slices.SortFunc(letters, func(a, b *letter) int { return cmp.Compare(b.n, a.n) })
		earliest := letters[0] // of those behind
		for _, l := range letters {
			if i.first[l.id] > i.first[earliest.id]+blur {
				v.accuse("order", i.uid, l.id, i.first[l.id], "%s had come before, at %d", earliest.id, i.first[earliest.id])
			}
			if i.first[l.id] < i.first[earliest.id] {
				earliest = l
			}
		}
	}
}
