package engineio

import (
	"log/slog"
	"sync"
	"time"
)

// refusalInterval is how often one kind of refusal is logged at most. After a
// restart thousands of clients ask for sessions that are gone; and a flood can be
// too much for thousands at once.
const refusalInterval = time.Second

// refusals logs what clients are refused, or closed for: the first of a kind, and then at
// most one an interval, with the number of those between.
type refusals struct {
	log     *slog.Logger
	message string

	mu    sync.Mutex
	kinds map[string]refusalKind
}

type refusalKind struct {
	logged  time.Time
	skipped int
}

// add logs one, with attrs. kind is one of few.
func (l *refusals) add(kind string, attrs ...any) {
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
	if skipped > 0 {
		attrs = append(attrs, "more_since_last", skipped)
	}
	l.log.Info(l.message, attrs...)
}

// LogRefusal is for transports: what a client sent is not taken, for the
// reason that err gives it. Of one kind, which is one of few, not every
// refusal is logged.
func (s *Session) LogRefusal(kind, remote string, err error) {
	s.server.refused.add(kind, "remote", remote, "error", err)
}
