package wsconn

import "time"

// Pace tells how long a peer is to be left unread that says more than it may. Its zero value is ready for use, and that of a
// peer that has been silent for a while is as good.
type Pace struct {
	free time.Duration // when all of a second is allowed again, on the clock of Next
}

// Next counts one message at the time now, on any clock that only goes forward, and returns for how long nothing more should
// be read: 0 while no more than most messages came within a second (GCRA, ITU-T I.371, with a burst of one second).
func (p *Pace) Next(now time.Duration, most int) time.Duration {
	p.free = max(p.free, now) + time.Second/time.Duration(most)
	return max(p.free-now-time.Second, 0)
}
