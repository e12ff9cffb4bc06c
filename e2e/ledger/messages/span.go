package messages

import (
	"crier/e2e/ledger/stage"
)

// A span is the time in which nothing may be missing in a tab: from a login that is no recovery, through all recoveries. It can
// be recovered, and the server has said so whenever it was.
type span struct {
	from, to stage.Stamp // to is when the connection was there for certain, for the last time
	back     int         // recoveries in it
}

// spans are those of one tab. They are made of its lines, in their order.
type spans struct {
	all  []span
	open bool // the last one goes on
}

// The values of TabLine.Trail.
const (
	canRecover = 1
	recovered  = 2
)

func (s *spans) add(l stage.TabLine) {
	switch {
	case l.On == stage.TabIn && l.Trail == canRecover:
		s.all, s.open = append(s.all, span{from: l.At, to: l.At}), true
	case l.On == stage.TabIn && l.Trail == recovered && s.open:
		last := &s.all[len(s.all)-1]
		last.to, last.back = max(last.to, l.At), last.back+1
	case l.On == stage.TabLogin && l.Trail == canRecover: // it has been told that something may be missing
		s.open = false
	case l.On == stage.TabIn, l.On == stage.TabBye, l.On == stage.TabGone:
		s.open = false
	case l.On == stage.TabProof && s.open:
		last := &s.all[len(s.all)-1]
		last.to = max(last.to, l.Sent)
	}
}

// rolling says whether a message was pushed while one of several servers was being restarted, and nothing else was wrong or had been
// shortly before.
func (e *evidence) rolling(l *letter) bool {
	restarts := false
	for _, o := range e.Timeline.Outages(l.at-stage.Span(stage.LeaseLag), l.known) {
		if o.How != stage.ServerTerm {
			return false
		}
		restarts = restarts || o.From <= l.known && o.To >= l.at
	}
	return restarts
}

// arrived says whether a message must have come to every server by a time. What is on its way when nothing passes between Redis and a server, of which
// nobody is told, comes when that is over.
func (e *evidence) arrived(l *letter, by stage.Stamp) bool {
	for from := l.known; ; {
		at, ok := e.Timeline.Tick(from, stage.Lag)
		if !ok || at > by {
			return false
		}
		later := from
		for _, o := range e.Timeline.Outages(from, at) {
			if o.How == stage.LinkBlock {
				later = max(later, o.To)
			}
		}
		if later == from {
			return true
		}
		from = later
	}
}

// tracked says whether a connection of the tab could be recovered.
func (t *tab) tracked() bool { return len(t.spans.all) > 0 }

// live checks that tabs have got what is not stored without gaps: whatever was pushed while a span had been there for a while,
// and went on for a while.
func (v *verdict) live(e *evidence, i *inbox) {
	for _, l := range e.letters {
		if !l.plain || !l.accepted || l.partial || !i.among(l.users) {
			continue
		}
		for _, t := range i.tabs {
			for _, s := range t.spans.all {
				if e.Timeline.Settled(s.from, l.at) && e.arrived(l, s.to) {
					v.owedLive++
					if !t.here[l.id] {
						v.accuse("gap", i.uid, l.id, l.known, "%s had not lost its connection, or recovered it %d times, between %d and %d", t.name, s.back, s.from, s.to)
					}
				}
			}
		}
	}
	for _, t := range i.tabs {
		for _, s := range t.spans.all {
			v.recoveries += s.back
		}
	}
}
