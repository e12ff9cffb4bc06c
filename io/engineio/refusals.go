package engineio

import (
	"log/slog"
	"sync"
	"time"
)

// refusalInterval is how often one kind of refusal is logged at most. After a
// restart thousands of clients ask for sessions that are gone.
const refusalInterval = time.Second

// refusals logs what clients are refused: the first of a kind, and then at
// most one an interval, with the number of those between.
type refusals struct {
	log *slog.Logger

	mu    sync.Mutex
	kinds map[string]refusalKind
}

type refusalKind struct {
	logged  time.Time
	skipped int
}

// add logs one refusal. kind is one of few; remote is whom it was said to, and
// err the sentence that was said.
func (l *refusals) add(kind, remote string, err error) {
	now := time.Now()
	l.mu.Lock()
	k := l.kinds[kind]
	if now.Sub(k.logged) < refusalInterval {
		k.skipped++
		l.kinds[kind] = k
		l.mu.Unlock()
		return
	}
	skipped := k.skipped
	l.kinds[kind] = refusalKind{logged: now}
	l.mu.Unlock()
	attrs := []any{"remote", remote, "error", err}
	if skipped > 0 {
		attrs = append(attrs, "more_since_last", skipped)
	}
	l.log.Info("refused a client", attrs...)
}

// LogRefusal is for transports: what a client sent is not taken, for the
// reason that err gives it. Of one kind, which is one of few, not every
// refusal is logged.
func (s *Session) LogRefusal(kind, remote string, err error) {
	s.server.refused.add(kind, remote, err)
}
