package stage

import (
	"slices"
	"sort"
	"sync"
	"time"
)

// Lag is how many probes the server has answered, one after the other, when it has surely dealt with what had reached it
// before the first of them: noticed the end of a connection, put a login on the disk, found that a time is up. Counted in
// probes and not in seconds, it holds for a server that is stopped or short of a processor, too.
const (
	Lag        = 20
	ProbeEvery = 50 * time.Millisecond
)

// A Life is one process of the server.
type Life struct {
	Start  Stamp // before it was started
	Listen Stamp // it had answered for the first time; 0 while it has not
	End    Stamp // before it was killed or told to stop; Never while it runs
	Exit   Stamp // its process was gone; Never while it is not
	Killed bool
}

// A Timeline is what the server's process has gone through. It is made of the lines of the driver's book, while they are
// written or afterwards.
type Timeline struct {
	mu      sync.Mutex
	lives   []Life
	ticks   []Stamp       // answered probes
	outages []Outage      // of several servers, in their order
	changed chan struct{} // closed and replaced with each tick
}

// An Outage is a fault of one of several servers, or of what lies between them.
type Outage struct {
	Node     string // "": Redis
	How      string // the On of the line it began with
	From, To Stamp  // To is Never while it lasts
}

// outage takes a line about one of several servers, or Redis, into account; it is called with mu held.
func (l *Timeline) outage(line Line) {
	switch line.On {
	case ServerKill, ServerTerm, ServerStop, LinkCut, LinkBlock, RedisKill, RedisStop:
		l.outages = append(l.outages, Outage{Node: line.Node, How: line.On, From: line.At, To: Never})
	case ServerListen, ServerCont, LinkMend, RedisListen:
		for i, one := range l.outages {
			if one.Node == line.Node && one.To == Never {
				l.outages[i].To = line.At
			}
		}
	}
}

// Outages returns those that were going on at some time in between.
func (l *Timeline) Outages(from, to Stamp) (all []Outage) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range l.outages {
		if one.From <= to && one.To >= from {
			all = append(all, one)
		}
	}
	return all
}

// NewTimeline returns an empty one.
func NewTimeline() *Timeline { return &Timeline{changed: make(chan struct{})} }

// Add takes a line into account.
func (l *Timeline) Add(line Line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case line.Node != "", line.On == RedisKill, line.On == RedisStop, line.On == RedisListen:
		l.outage(line)
		return
	case line.On == ServerStart:
		l.lives = append(l.lives, Life{Start: line.At, End: Never, Exit: Never})
		return
	}
	if len(l.lives) == 0 {
		return
	}
	last := &l.lives[len(l.lives)-1]
	switch line.On {
	case ServerListen:
		last.Listen = line.At
	case ServerTick:
		if last.Listen > 0 && last.End == Never { // else the answer was under way
			l.ticks = append(l.ticks, line.At)
			close(l.changed)
			l.changed = make(chan struct{})
		}
	case ServerKill, ServerTerm:
		last.End, last.Killed = line.At, line.On == ServerKill
	case ServerExit:
		last.End, last.Exit = min(last.End, line.At), line.At
	}
}

// Settled says whether what the server knew at from was certain by to, if it was not killed in between.
func (l *Timeline) Settled(from, to Stamp) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, ok := l.tick(from, Lag)
	return ok && at <= to
}

// Lagging returns the time until which the server may act on what reached it before t.
func (l *Timeline) Lagging(t Stamp) Stamp {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, ok := l.tick(t, Lag)
	if !ok {
		return Never
	}
	return at
}

// Tick returns the time of the n-th answer to a probe after t, if there was one.
func (l *Timeline) Tick(t Stamp, n int) (Stamp, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tick(t, n)
}

// tick is called with mu held.
func (l *Timeline) tick(t Stamp, n int) (Stamp, bool) {
	i := sort.Search(len(l.ticks), func(i int) bool { return l.ticks[i] > t }) + n - 1
	if i >= len(l.ticks) {
		return 0, false
	}
	return l.ticks[i], true
}

// At returns the life that acted at t, and whether it was the first one.
func (l *Timeline) At(t Stamp) (one Life, first, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := sort.Search(len(l.lives), func(i int) bool { return l.lives[i].Start > t }) - 1
	if i < 0 {
		return Life{}, false, false
	}
	return l.lives[i], i == 0, true
}

// All returns the lives so far.
func (l *Timeline) All() []Life {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.lives)
}

// Wait returns a channel that is closed with the next tick.
func (l *Timeline) Wait() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}
