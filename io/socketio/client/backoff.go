package client

import "time"

// The pauses of the official client (socket.io-client, Manager: reconnectionDelay, reconnectionDelayMax,
// randomizationFactor).
const (
	firstDelay = time.Second
	mostDelay  = 5 * time.Second
	jitter     = 0.5
)

// backoff counts failures.
type backoff struct {
	first, most time.Duration
	failures    int
}

func newBackoff(first, most time.Duration) *backoff {
	if first <= 0 {
		first = firstDelay
	}
	if most <= 0 {
		most = mostDelay
	}
	return &backoff{first: first, most: max(first, most)}
}

// next returns the pause after one more failure: twice that of the one before, half more or less of it as random, from 0
// to 1, says, and never more than most.
func (b *backoff) next(random float64) time.Duration {
	pause := b.most
	if b.failures < 30 && b.first<<b.failures>>b.failures == b.first {
		pause = min(2*b.most, b.first<<b.failures) // what is over the most may come below it by chance
	}
	b.failures++
	return min(b.most, time.Duration(float64(pause)*(1+jitter*(2*random-1))))
}

// reset is called when there is a connection.
func (b *backoff) reset() { b.failures = 0 }
