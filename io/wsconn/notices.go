package wsconn

import (
	"log/slog"
	"sync"
	"time"
)

// noticeInterval is how often one kind of notice is logged at most. After a
// restart thousands of clients ask for sessions that are gone; and a flood can be
// too much for thousands at once.
const noticeInterval = time.Second

// Notices logs what can happen to masses of clients: the first of a kind, and then at
// most one a second, with the number of those between. It is safe for concurrent use.
type Notices struct {
	log     *slog.Logger
	message string

	mu    sync.Mutex
	kinds map[string]notice
}

// notice is the latest of a kind.
type notice struct {
	logged  time.Time
	skipped int
}

// NewNotices returns one whose lines have that message.
func NewNotices(log *slog.Logger, message string) *Notices {
	return &Notices{log: log, message: message, kinds: make(map[string]notice)}
}

// Add logs one, with attrs. kind is one of few.
func (l *Notices) Add(kind string, attrs ...any) {
	now := time.Now()
	l.mu.Lock()
	k := l.kinds[kind]
	if now.Sub(k.logged) < noticeInterval {
		k.skipped++
		l.kinds[kind] = k
		l.mu.Unlock()
		return
	}
	skipped := k.skipped
	l.kinds[kind] = notice{logged: now}
	l.mu.Unlock()
	if skipped > 0 {
		attrs = append(attrs, "more_since_last", skipped)
	}
	l.log.Info(l.message, attrs...)
}
