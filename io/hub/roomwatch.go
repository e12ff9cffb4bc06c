package hub

import (
	"sync"
	"time"
)

// RoomChange says that a user has come into a room with a first connection, or has left it with the last one. The changes
// of one user in one room alternate.
type RoomChange struct {
	Room, UID string
	Joined    bool
}

// roomWatch turns the comings and goings of connections into changes. What a room has not been told yet is there once
// for each user in it, however often that user comes and goes.
type roomWatch struct {
	// static
	delay   time.Duration
	observe func(RoomChange)
	start   time.Time     // absences are due so long after it
	wake    chan struct{} // holds one token when there is something new
	stop    chan struct{} // closed by close
	done    chan struct{} // closed at the end of run

	mu       sync.Mutex
	stopping bool
	stays    map[stayKey]*stay
	ready    []*stay   // to be looked at now
	absences []absence // by time, earliest first: the delay is always the same
}

type stayKey struct{ room, uid string }

// stay is a user in a room, or one whom the room still takes to be there. Guarded by the watch's mu.
type stay struct {
	key         stayKey
	connections int
	told        bool   // the room has been told that the user is there
	queued      bool   // in ready
	away        bool   // all connections have ended, and may come back: an absence is queued
	changes     uint64 // of connections from none or to none
}

// absence is a stay without connections, which ends when due unless there have been changes since.
type absence struct {
	stay    *stay
	changes uint64
	due     time.Duration // since roomWatch.start
}

// newRoomWatch starts the goroutine; close ends it.
func newRoomWatch(o Options) *roomWatch {
	w := &roomWatch{
		delay:   o.OfflineDelay,
		observe: o.RoomPresence,
		start:   time.Now(),
		wake:    make(chan struct{}, 1),
		stop:    make(chan struct{}),
		done:    make(chan struct{}),
		stays:   make(map[stayKey]*stay),
	}
	go w.run()
	return w
}

// enter counts a connection of the user in the room. It does nothing on a nil watch.
func (w *roomWatch) enter(room, uid string) {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopping {
		return
	}
	key := stayKey{room, uid}
	s := w.stays[key]
	if s == nil {
		s = &stay{key: key}
		w.stays[key] = s
	}
	if s.connections++; s.connections > 1 {
		return
	}
	s.changes++
	s.away = false
	if !s.told {
		w.look(s)
	}
}

// exit undoes enter. A connection that ended may come back within the delay, one that left or logged out may not. It
// does nothing on a nil watch.
func (w *roomWatch) exit(room, uid string, ended bool) {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.stays[stayKey{room, uid}]
	if w.stopping || s == nil {
		return
	}
	if s.connections--; s.connections > 0 {
		return
	}
	s.changes++
	if !ended || w.delay == 0 {
		w.look(s)
		return
	}
	s.away = true
	w.absences = append(w.absences, absence{s, s.changes, time.Since(w.start) + w.delay})
	if len(w.absences) == 1 {
		w.signal()
	}
}

// look has run look at s. Called with mu held.
func (w *roomWatch) look(s *stay) {
	if s.queued {
		return
	}
	s.queued = true
	w.ready = append(w.ready, s)
	if len(w.ready) == 1 {
		w.signal()
	}
}

func (w *roomWatch) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// run reports changes until close.
func (w *roomWatch) run() {
	defer close(w.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		changes, wait := w.take(time.Since(w.start))
		for _, c := range changes {
			select {
			case <-w.stop:
				return
			default:
				w.observe(c)
			}
		}
		if wait > 0 {
			timer.Reset(wait)
		} else {
			timer.Stop()
		}
		select {
		case <-w.wake:
		case <-timer.C:
		case <-w.stop:
			return
		}
	}
}

// take returns what has changed by now, and how long until the next absence is due, 0 if there is none.
func (w *roomWatch) take(now time.Duration) (changes []RoomChange, wait time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.ready {
		s.queued = false
		changes = w.settle(s, changes)
	}
	clear(w.ready)
	w.ready = w.ready[:0]
	past := 0
	for ; past < len(w.absences) && w.absences[past].due <= now; past++ {
		a := w.absences[past]
		if a.stay.changes == a.changes {
			a.stay.away = false
			changes = w.settle(a.stay, changes)
		}
	}
	clear(w.absences[:past])
	if w.absences = w.absences[past:]; len(w.absences) == 0 {
		w.absences = nil
		return changes, 0
	}
	return changes, w.absences[0].due - now
}

// settle appends what the room is to be told of s, if anything. Called with mu held.
func (w *roomWatch) settle(s *stay, changes []RoomChange) []RoomChange {
	present := s.connections > 0 || s.away
	if !present {
		delete(w.stays, s.key)
	}
	if present == s.told || s.away {
		return changes
	}
	s.told = present
	return append(changes, RoomChange{Room: s.key.room, UID: s.key.uid, Joined: present})
}

// close ends the goroutine, after the change that it is reporting; what else there is is not reported.
func (w *roomWatch) close() {
	if w == nil {
		return
	}
	w.mu.Lock()
	if !w.stopping {
		w.stopping = true
		close(w.stop)
	}
	w.mu.Unlock()
	<-w.done
}
