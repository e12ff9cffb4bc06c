package callbacks

import "crier/e2e/ledger/stage"

// A timeline knows by when a departure has to be told.
type timeline struct {
	*stage.Timeline
	terms Terms
}

// due returns by when the departure of a user is certain who has had no connection since gone and opens none from then on. If
// ghost is not 0, a session may have been left then that only the heartbeat ends: of a client that polled, or even of one that
// was gone before the server looked at its first request. ok is false if that time has not come in the timeline.
func (l *timeline) due(gone, ghost stage.Stamp) (at stage.Stamp, ok bool) {
	from := gone + stage.Span(l.terms.Delay)
	if ghost > 0 {
		at, ok := l.Tick(ghost, stage.Lag)
		if !ok {
			return 0, false
		}
		from = max(from, at+stage.Span(l.terms.Heartbeat()+l.terms.Delay))
	}
	if l.terms.Nodes > 0 {
		return l.dueOfNodes(gone, from)
	}
	for i, one := range l.All() {
		if one.End < gone || one.Listen == 0 {
			continue
		}
		begin := from
		if i > 0 {
			begin = max(from, one.Listen+stage.Span(l.terms.Grace))
		}
		if at, ok := l.Tick(begin, 2*stage.Lag); ok && at <= one.End {
			return at, true
		}
	}
	return 0, false
}
