package jobs

import (
	"log/slog"
	"sync"
	"time"
)

// quiet is the least time between two lines of the log about the Queue.
const quiet = time.Minute

// trouble logs that the Queue fails: the first time at once, then one line a minute.
type trouble struct {
	log *slog.Logger

	mu   sync.Mutex // guards what follows
	said time.Time
	held int // failures not told of
}

func (t *trouble) failed(msg string, attrs ...any) {
	t.mu.Lock()
	now := time.Now()
	if !t.said.IsZero() && now.Sub(t.said) < quiet {
		t.held++
		t.mu.Unlock()
		return
	}
	held := t.held
	t.said, t.held = now, 0
	t.mu.Unlock()
	if held > 0 {
		attrs = append(attrs, "failures_since_last_report", held)
	}
	t.log.Error(msg, attrs...)
}
