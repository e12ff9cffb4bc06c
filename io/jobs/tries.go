package jobs

import (
	"sync"
	"time"
)

// maxTries is how many of the latest tries are remembered.
const maxTries = 1000

// Try is what became of one attempt at one job.
type Try struct {
	Number  uint64 // grows with every try of the Runner, from 1 on
	Key     string // of the job
	Payload []byte // of the job; shared
	Begun   time.Time
	Took    time.Duration
	Attempt int    // 1 for the first
	Error   string // "" if the job is done
	Last    bool   // of one that failed: the job was given up
}

// tries are the latest, in memory.
type tries struct {
	mu   sync.Mutex
	ring []Try  // guarded by mu; that of number n is at (n-1) % maxTries
	last uint64 // guarded by mu; the number of the newest
}

// note remembers a try.
func (t *tries) note(one Try) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last++
	one.Number = t.last
	if len(t.ring) < maxTries {
		t.ring = append(t.ring, one)
	} else {
		t.ring[(one.Number-1)%maxTries] = one
	}
}

// Tries returns the latest tries, the newest first: up to limit of those whose Number is less than before, or of all if that is
// 0; and whether more of them are remembered. The tries before New are not.
func (r *Runner) Tries(before uint64, limit int) (latest []Try, more bool) {
	t := &r.tries
	t.mu.Lock()
	defer t.mu.Unlock()
	from := t.last
	if before > 0 {
		from = min(from, before-1)
	}
	oldest := t.last - uint64(len(t.ring)) // the number before it
	for n := from; n > oldest; n-- {
		if len(latest) == limit {
			return latest, true
		}
		latest = append(latest, t.ring[(n-1)%maxTries])
	}
	return latest, false
}
