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
	discarded  int // of these: they have come to a client that ended, or its connection, before it handed them on
	open       int // deliveries of messages whose push was never answered, to be stored or not
	openCame   int // of these, that came
	owedLive   int // messages that are not stored times tabs that had to get them, since they never were without a recovery
	recoveries int // of connections
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
		for _, t := range i.tabs {
			court{e, v, i, t}.check()
		}
		for page, ids := range i.pages {
			for id, n := range ids {
				if n > 1 {
					v.accuse("duplicate", i.uid, id, i.first[id], "%s: the helper has handed it on %d times", page, n)
				}
			}
		}
		v.sequence(e, i)
		v.live(e, i)
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
		switch {
		case e.users[uid].came(l.id):
			v.delivered++
		case e.users[uid].discarded(l.id):
			v.discarded++
		default:
			v.accuse("lost", uid, l.id, 0, "it was accepted, and never came")
		}
	}
}

// A court checks what has come to one tab.
type court struct {
	*evidence
	verdict *verdict
	inbox   *inbox
	tab     *tab
}

func (c court) accuse(kind string, a arrival, format string, args ...any) {
	c.verdict.accuse(kind, c.inbox.uid, a.id, a.at, "%s: "+format, append([]any{c.tab.name}, args...)...)
}

// check checks each connection.
func (c court) check() {
	courses, before := map[int]course{}, map[string]int{} // the latter: the connection that brought a message last
	later := false                                        // something later was handed on
	first := map[string]int{}                             // where in the book a message has come first; whatever comes again is not handed on
	for i, a := range slices.Backward(c.tab.wire) {
		first[a.id] = i
	}
	for i, a := range slices.Backward(c.tab.wire) {
		if later = later || c.tab.got[a.id] && first[a.id] == i; later && c.inbox.pages[c.tab.page][a.id] == 0 {
			c.accuse("swallowed", a, "the helper has never handed it on")
		}
	}
	for _, a := range c.tab.wire {
		c.verdict.arrivals++
		l := c.letters[a.id]
		if l == nil || a.data != a.id || !slices.Contains(l.users, c.inbox.uid) {
			c.accuse("stray", a, "nobody has pushed %q to this user under that id", a.data)
			continue
		}
		conn, again := before[a.id]
		before[a.id] = a.conn
		if again && conn == a.conn && !(l.plain && l.tries > 1) { // else the server had forgotten the id
			c.accuse("twice", a, "it came twice on one connection (%d)", conn)
			continue
		}
		if again {
			c.verdict.again++
		}
		if courses[a.conn] == nil {
			courses[a.conn] = course{}
		}
		c.follow(courses[a.conn], l, a)
	}
}

// A course is what has come on a connection, of each publisher.
type course map[string][]*letter

// follow checks that the next message is in order. One that is not stored may come late when it is pushed again.
func (c court) follow(so course, l *letter, a arrival) {
	if !l.accepted || l.plain && (l.tries > 1 || l.partial) {
		return
	}
	from := c.from(l)
	for _, other := range so[from] {
		if c.ordered(l, other) {
			c.accuse("order", a, "it came behind number %d of %s (connection %d)", other.n, l.from, a.conn)
			break
		}
	}
	so[from] = append(so[from], l)
}

// from names what a message is in one order with. One server has one order for all of a publisher. Several have one for what is
// stored, and one for what is not, if that goes to somebody who can be recovered; else each server has its own.
func (c court) from(l *letter) string {
	switch {
	case c.terms.Nodes == 0:
		return l.from
	case !l.plain:
		return l.from + " stored"
	case c.tab.tracked():
		return l.from
	}
	return fmt.Sprintf("%s at %d", l.from, l.node)
}

// ordered says whether one message has to come before another one of the same publisher. Where there are several servers, a push
// that is made again may be made at another one, and those that had been sent behind it, without waiting for its answer, not.
func (e *evidence) ordered(l, other *letter) bool {
	if l.n >= other.n {
		return false
	}
	return e.terms.Nodes == 0 || l.known <= other.at || l.tries == 1 && other.tries == 1 && l.node == other.node
}

// sequence checks that what has come to a user for the first time, to whatever tab, was in order. Of what is not stored that is
// not promised: it may lie about in a tab that is stopped, and the next message comes to another.
func (v *verdict) sequence(e *evidence, i *inbox) {
	all := map[string][]*letter{} // by the publishers
	for id := range i.wired {
		if l := e.letters[id]; l != nil && l.accepted && !l.plain {
			all[l.from] = append(all[l.from], l)
		}
	}
	for _, letters := range all {
		slices.SortFunc(letters, func(a, b *letter) int { return cmp.Compare(b.n, a.n) })
		for n, l := range letters {
			for _, behind := range letters[:n] {
				if i.wired[l.id] > i.wired[behind.id]+blur && e.ordered(l, behind) {
					v.accuse("order", i.uid, l.id, i.wired[l.id], "%s had come before, at %d", behind.id, i.wired[behind.id])
					break
				}
			}
		}
	}
}
