package hub

import (
	"log/slog"
	"math/rand/v2"
	"time"
)

const (
	// minPause and maxPause are how long the observer is left alone when it has failed; the pause doubles.
	minPause = 100 * time.Millisecond
	maxPause = 10 * time.Second
	// quiet is the least time between two lines of the log about it.
	quiet = time.Minute
)

// trouble is an observer that fails.
type trouble struct {
	log  *slog.Logger
	n    int // failures in a row
	said time.Time
}

// failed logs, at most once a minute, and returns how long to wait.
func (t *trouble) failed(err error, users int) time.Duration {
	t.n++
	if now := time.Now(); t.said.IsZero() || now.Sub(t.said) >= quiet {
		t.said = now
		t.log.Error("who came and who went could not be stored; it is kept in memory and tried again", "error", err, "users", users, "failures", t.n)
	}
	pause := maxPause
	if t.n < 7 {
		pause = minPause << (t.n - 1)
	}
	return pause - rand.N(pause/4)
}

func (t *trouble) over() {
	if t.n > 0 {
		t.log.Info("who came and who went is stored again", "failures", t.n)
		t.n = 0
	}
}
