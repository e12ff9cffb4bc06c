package fallback

import (
	"sync"
	"time"

	"crier/io/wsconn"
)

// waits are the calls of [Client.Confirm] that wait for what a client shows that it has got, in the order of their marks.
type waits struct {
	mu   sync.Mutex
	list []wait
	lost bool
}

// wait is one of them. mark is how many messages, or pings, there were until then.
type wait struct {
	mark    uint64
	arrived func(ok bool)
}

func (w *waits) add(mark uint64, arrived func(ok bool)) {
	w.mu.Lock()
	if w.lost {
		w.mu.Unlock()
		arrived(false)
		return
	}
	w.list = append(w.list, wait{mark, arrived})
	w.mu.Unlock()
}

// reach says that the client has got everything up to a mark.
func (w *waits) reach(mark uint64) {
	w.mu.Lock()
	n := 0
	for n < len(w.list) && w.list[n].mark <= mark {
		n++
	}
	list := w.list[:n:n]
	if w.list = w.list[n:]; len(w.list) == 0 {
		w.list = nil
	}
	w.mu.Unlock()
	for _, one := range list {
		one.arrived(true)
	}
}

// some reports whether somebody waits.
func (w *waits) some() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.list) > 0
}

// lose says that the client can show nothing any more.
func (w *waits) lose() {
	w.mu.Lock()
	list := w.list
	w.list, w.lost = nil, true
	w.mu.Unlock()
	for _, one := range list {
		one.arrived(false)
	}
}

// paceInterval is how often it is looked whether a stream takes more that cannot tell when its client has what it was given.
const paceInterval = 25 * time.Millisecond

// pacer calls taken once ready.
type pacer struct {
	timer wsconn.Timer
	ready func() bool
	taken func()
}

// pace calls taken, which is quick, as soon as ready, which is also true when the client has gone.
func (s *Server) pace(ready func() bool, taken func()) {
	if taken == nil {
		return
	}
	if ready() {
		taken()
		return
	}
	p := &pacer{ready: ready, taken: taken}
	s.wheel.Set(&p.timer, p, time.Now().Add(paceInterval))
}

// Tick implements [wsconn.Timed].
func (p *pacer) Tick(now time.Time) time.Time {
	if !p.ready() {
		return now.Add(paceInterval)
	}
	p.taken()
	return time.Time{}
}
