package main

import (
	"slices"
	"sort"
	"sync"
)

// A life is one process of the server.
type life struct {
	start  stamp // before it was started
	listen stamp // it had answered for the first time; 0 while it has not
	end    stamp // before it was killed or told to stop; never while it runs
	exit   stamp // its process was gone; never while it is not
	killed bool
}

// A timeline is what the server's process has gone through. It is made of the lines of the driver's book, while they are
// written or afterwards.
type timeline struct {
	terms terms

	mu      sync.Mutex
	lives   []life
	ticks   []stamp       // answered probes
	changed chan struct{} // closed and replaced with each tick
}

func newTimeline(t terms) *timeline { return &timeline{terms: t, changed: make(chan struct{})} }

// add takes a line into account.
func (l *timeline) add(line driverLine) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if line.On == serverStart {
		l.lives = append(l.lives, life{start: line.At, end: never, exit: never})
		return
	}
	if len(l.lives) == 0 {
		return
	}
	last := &l.lives[len(l.lives)-1]
	switch line.On {
	case serverListen:
		last.listen = line.At
	case serverTick:
		if last.listen > 0 && last.end == never { // else the answer was under way
			l.ticks = append(l.ticks, line.At)
			close(l.changed)
			l.changed = make(chan struct{})
		}
	case serverKill, serverTerm:
		last.end, last.killed = line.At, line.On == serverKill
	case serverExit:
		last.end, last.exit = min(last.end, line.At), line.At
	}
}

// settled says whether what the server knew at from was certain by to, if it was not killed in between.
func (l *timeline) settled(from, to stamp) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, ok := l.tick(from, lag)
	return ok && at <= to
}

// lagging returns the time until which the server may act on what reached it before t.
func (l *timeline) lagging(t stamp) stamp {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, ok := l.tick(t, lag)
	if !ok {
		return never
	}
	return at
}

// due returns by when the departure of a user is certain who has had no connection since gone and opens none from then on. If
// ghost is not 0, a session may have been left then that only the heartbeat ends: of a client that polled, or even of one that
// was gone before the server looked at its first request. ok is false if that time has not come in the timeline.
func (l *timeline) due(gone, ghost stamp) (at stamp, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	from := gone + span(l.terms.Delay)
	if ghost > 0 {
		at, ok := l.tick(ghost, lag)
		if !ok {
			return 0, false
		}
		from = max(from, at+span(l.terms.heartbeat()+l.terms.Delay))
	}
	for i, one := range l.lives {
		if one.end < gone || one.listen == 0 {
			continue
		}
		begin := from
		if i > 0 {
			begin = max(from, one.listen+span(l.terms.Grace))
		}
		if at, ok := l.tick(begin, 2*lag); ok && at <= one.end {
			return at, true
		}
	}
	return 0, false
}

// tick returns the time of the n-th tick after t. Called with mu held.
func (l *timeline) tick(t stamp, n int) (stamp, bool) {
	i := sort.Search(len(l.ticks), func(i int) bool { return l.ticks[i] > t }) + n - 1
	if i >= len(l.ticks) {
		return 0, false
	}
	return l.ticks[i], true
}

// at returns the life that acted at t, and whether it was the first one.
func (l *timeline) at(t stamp) (one life, first, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := sort.Search(len(l.lives), func(i int) bool { return l.lives[i].start > t }) - 1
	if i < 0 {
		return life{}, false, false
	}
	return l.lives[i], i == 0, true
}

// all returns the lives so far.
func (l *timeline) all() []life {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.lives)
}

// wait returns a channel that is closed with the next tick.
func (l *timeline) wait() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}
