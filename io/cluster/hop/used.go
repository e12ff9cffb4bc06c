package hop

import (
	"sync"
	"time"
)

// usedWindow is how many of the latest badges of a server are told apart. What is older than these is refused: so many requests
// are never under way at once.
const usedWindow = 1 << 17

// used knows which badges have come already: each counts once.
type used struct {
	mu      sync.Mutex
	servers map[string]*numbers // by their tags
	swept   time.Time
}

// numbers are those of the badges of one server that have come: the greatest, and a bit for each of the latest, as in RFC 6479.
type numbers struct {
	last  uint64
	bits  [usedWindow / 64]uint64 // of n at n % usedWindow
	heard time.Time
}

// take reports whether a badge has not come before. It is one that the clock allows: others have never come.
func (u *used) take(from string, number uint64, now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.sweep(now)
	n := u.servers[from]
	if n == nil {
		n = &numbers{}
		if u.servers == nil {
			u.servers = make(map[string]*numbers)
		}
		u.servers[from] = n
	}
	n.heard = now
	return n.take(number)
}

// sweep forgets servers whose badges are all too old to count by now.
func (u *used) sweep(now time.Time) {
	if now.Sub(u.swept) < maxSkew {
		return
	}
	u.swept = now
	for from, n := range u.servers {
		if now.Sub(n.heard) > 2*maxSkew {
			delete(u.servers, from)
		}
	}
}

func (n *numbers) take(number uint64) bool {
	switch {
	case number > n.last && number-n.last >= usedWindow:
		n.last, n.bits = number, [usedWindow / 64]uint64{}
	case number > n.last:
		for n.last < number {
			n.last++
			word, bit := n.at(n.last)
			*word &^= bit
		}
	case n.last-number >= usedWindow:
		return false
	}
	word, bit := n.at(number)
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	return true
}

// at returns where the bit of a number is.
func (n *numbers) at(number uint64) (word *uint64, bit uint64) {
	i := number % usedWindow
	return &n.bits[i/64], 1 << (i % 64)
}
