package api

import (
	"hash/maphash"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// guesses is how many different wrong keys an address may send at once; one more is allowed every guessEvery.
	guesses    = 20
	guessEvery = time.Second
	// maxGuessers is how many addresses are remembered.
	maxGuessers = 4096
)

// throttle slows down who guesses keys. An address that has sent too many different wrong keys has no key looked at
// for a while, not even a right one, or guessing would be as fast as before. The same wrong key again tells nobody
// anything and costs nothing, so a caller whose key was taken away does not shut out its neighbours.
type throttle struct {
	// static
	seed maphash.Seed

	known atomic.Int32 // len(by)

	mu sync.Mutex
	by map[netip.Addr]*guesser // guarded by mu
}

// guesser is an address that has sent a wrong key. It is guarded by the throttle's mu.
type guesser struct {
	free time.Time // when all of its guesses are allowed again
	last [8]uint64 // hashes of its latest wrong keys
	next int       // where in last the next one goes
}

func newThrottle() *throttle {
	return &throttle{seed: maphash.MakeSeed(), by: make(map[netip.Addr]*guesser)}
}

// admit says how long a is to wait before the keys of a call may count, 0 for not at all. Wrong ones are remembered, each
// for a guess of its own. A call with a right key has no wrong ones here, and waits like the others.
func (t *throttle) admit(a netip.Addr, wrong []string) time.Duration {
	if len(wrong) == 0 && t.known.Load() == 0 {
		return 0
	}
	if a.Is6() {
		a = netip.PrefixFrom(a, 64).Masked().Addr() // one customer's, and no more can be told apart
	}
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	g := t.by[a]
	if g == nil {
		if len(wrong) == 0 {
			return 0
		}
		g = t.remember(a, now)
	}
	var fresh []uint64
	for _, key := range wrong {
		if hash := maphash.String(t.seed, key); !slices.Contains(g.last[:], hash) && !slices.Contains(fresh, hash) {
			fresh = append(fresh, hash)
		}
	}
	if len(fresh) == 0 && len(wrong) > 0 {
		return 0
	}
	if g.free.Before(now) {
		g.free = now
	}
	if wait := g.free.Add(guessEvery).Sub(now) - guesses*guessEvery; wait > 0 {
		return wait
	}
	for _, hash := range fresh { // all, even if fewer guesses are left: the next ones wait longer
		g.free = g.free.Add(guessEvery)
		g.last[g.next%len(g.last)] = hash
		g.next++
	}
	return 0
}

// remember files a new guesser. When there are too many it forgets those whose guesses are all allowed again, or else any
// quarter of them, so that it seldom has to look at all. Called with mu held.
func (t *throttle) remember(a netip.Addr, now time.Time) *guesser {
	if len(t.by) >= maxGuessers {
		for old, g := range t.by {
			if g.free.Before(now) {
				delete(t.by, old)
			}
		}
		for old := range t.by {
			if len(t.by) < maxGuessers*3/4 {
				break
			}
			delete(t.by, old)
		}
	}
	g := &guesser{free: now}
	t.by[a] = g
	t.known.Store(int32(len(t.by)))
	return g
}
