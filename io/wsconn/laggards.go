package wsconn

import (
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
)

// Lag is why a client has been closed that reads too slowly.
type Lag uint8

// The reasons that there are.
const (
	Full    Lag = iota // it was too far behind for its queue to take more
	Stalled            // it took nothing of what waited for it in WriteTimeout: see [StalledError]
	Evicted            // too much waited for all clients, and most for it; the [Budget] logs that
)

// StalledError is why a connection ends whose peer has taken nothing of what waits for it for a WriteTimeout.
type StalledError struct {
	Bytes int // that waited
}

// Error implements error.
func (e *StalledError) Error() string {
	return fmt.Sprintf("the peer takes nothing of the %d bytes that wait for it", e.Bytes)
}

// Unwrap returns [os.ErrDeadlineExceeded], which it is.
func (e *StalledError) Unwrap() error { return os.ErrDeadlineExceeded }

// Laggards counts the clients that have been closed since they read too slowly, and logs them as [Notices] does. It is safe for
// concurrent use.
type Laggards struct {
	notices *Notices
	counts  [Evicted + 1]atomic.Uint64
}

// LagCounts are how many there have been, by the reason.
type LagCounts struct{ Full, Stalled, Evicted uint64 }

// Total is the sum.
func (c LagCounts) Total() uint64 { return c.Full + c.Stalled + c.Evicted }

// Plus adds those of another server.
func (c LagCounts) Plus(d LagCounts) LagCounts {
	return LagCounts{c.Full + d.Full, c.Stalled + d.Stalled, c.Evicted + d.Evicted}
}

// NewLaggards returns one that counts from 0.
func NewLaggards(log *slog.Logger) *Laggards {
	return &Laggards{notices: NewNotices(log, "closed a client that reads too slowly")}
}

// Add counts a client, once, and logs it, with the bytes that waited for it.
func (l *Laggards) Add(why Lag, transport string, bytes int) {
	l.counts[why].Add(1)
	switch why {
	case Full:
		l.notices.Add(transport, "transport", transport, "bytes", bytes, "reason", "its queue is full",
			"settings", "limits.queue_bytes, limits.queue_messages")
	case Stalled:
		l.notices.Add(transport+" stalled", "transport", transport, "bytes", bytes, "reason", "it has taken nothing for too long")
	}
}

// Counts returns the counts.
func (l *Laggards) Counts() LagCounts {
	return LagCounts{l.counts[Full].Load(), l.counts[Stalled].Load(), l.counts[Evicted].Load()}
}
