package jobs

import (
	"errors"
	"math/rand/v2"
	"time"
)

// backoff returns how long to wait after the attempts-th failure in a row: low, doubled with each further
// failure up to high, of which a random half is taken off so that what failed together does not return together.
func backoff(attempts int, low, high time.Duration) time.Duration {
	d := low
	for range attempts - 1 {
		if d >= high/2 {
			d = high
			break
		}
		d *= 2
	}
	d = min(d, high)
	return d - rand.N(d/2+1)
}

// retryWait returns how long to wait after a failure: the back-off, or what the error asks for if that is
// longer, with up to a tenth more for the same reason.
func (r *Runner) retryWait(attempts int, err error) time.Duration {
	wait := backoff(attempts, r.opts.MinBackoff, r.opts.MaxBackoff)
	var asked *afterError
	if errors.As(err, &asked) && asked.wait > wait {
		wait = min(asked.wait, r.opts.MaxRetryAfter)
		wait += rand.N(wait/10 + 1)
	}
	return wait
}
