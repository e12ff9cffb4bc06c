package fallback

import (
	"time"

	"crier/io/hub"
)

// drainInterval is how often it is looked whether a stream has taken what was queued for it, while somebody wants to know.
const drainInterval = 50 * time.Millisecond

// arrival is what somebody wants to know: whether what was sent up to then has got to the client.
type arrival struct {
	number uint64 // of the last message, or of the ping behind it, where the line counts
	taken  func() // may be nil
	told   func(ok bool)
}

// arrivals wait, in order. They are guarded by their owner, and told without a lock.
type arrivals []arrival

// upTo takes those out that number is enough for.
func (a *arrivals) upTo(number uint64) (come arrivals) {
	n := 0
	for n < len(*a) && (*a)[n].number <= number {
		n++
	}
	come = (*a)[:n:n]
	*a = (*a)[n:]
	if len(*a) == 0 {
		*a = nil
	}
	return come
}

// all takes them all out.
func (a *arrivals) all() (come arrivals) {
	come, *a = *a, nil
	return come
}

// tell says how it went.
func (a arrivals) tell(ok bool) {
	for _, one := range a {
		one.told(ok)
	}
}

var _ hub.Confirmer = (*Client)(nil)

// Present implements [hub.Confirmer].
func (*Client) Present() bool { return true }

// Drop implements [hub.Confirmer].
func (c *Client) Drop() {
	c.server.slow.Add(1)
	c.line.close(TooSlow)
}

// Confirm implements [hub.Confirmer].
func (c *Client) Confirm(taken func(), arrived func(ok bool)) {
	c.mu.Lock()
	over := c.over
	c.mu.Unlock()
	if over || !c.line.confirm(arrival{taken: taken, told: arrived}) {
		arrived(false)
	}
}
