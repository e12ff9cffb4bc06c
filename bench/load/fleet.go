//go:build linux

package load

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"
)

// Options say what a fleet is like.
type Options struct {
	Target
	// From are addresses of this machine to connect from, in turn; none leaves it to the kernel, which has about
	// 28,000 ports for each.
	From []netip.Addr
	// Concurrency is how many connections are made at a time, and how many clients have an event under way.
	Concurrency int
	// Patience is how long a client may take to be ready.
	Patience time.Duration
	// First is the number of the first client's user. Fleets of one server must not share users.
	First int
}

// Fleet is many clients of one server. One goroutine drives them all, over one epoll descriptor.
type Fleet struct {
	// static
	o       Options
	speaker speaker
	stamp   Stamp
	epoll   int
	start   time.Time
	done    chan struct{}

	stop   atomic.Bool
	gather atomic.Bool

	mu        sync.Mutex
	clients   []*client
	byFD      []*client
	todo      []*client // to be connected, in order
	later     []*client // these when it is time
	opening   int       // being connected
	wide      bool      // without regard to Concurrency
	returning bool      // who is lost comes again
	dials     int       // so far
	every     time.Duration
	beats     []beat // that are due from us, in order
	turns     turns
	rounds    map[uint32]*round // broadcasts under way
	sent      int               // broadcasts
	counts    Counts
	faults    []error
	fatal     error
	logins    *hdrhistogram.Histogram
	delays    *hdrhistogram.Histogram // of deliveries, or of acknowledgements
	last      *hdrhistogram.Histogram // of a broadcast's last delivery
	lastAt    time.Time               // of a delivery or acknowledgement
}

// Counts are what has happened to a fleet.
type Counts struct {
	Ready      int // clients that are logged in
	Logins     int // since Begin, like all that follow
	Failed     int // attempts to log in
	Lost       int // clients that the server has let go of
	Deliveries int // each message counted once
	Again      int // messages that had come before
	Late       int // messages that came after a later one
	Events     int // that clients have sent
	Acks       int // of these
	Beats      int // heartbeats
	Asleep     int // sleepers that the server still keeps
	Rounds     int // broadcasts that have not reached everybody yet
}

// beat is a heartbeat that is due from a client, if that still has the same connection.
type beat struct {
	c       *client
	attempt uint32
	due     time.Duration
}

// round is a broadcast.
type round struct {
	missing int
	sent    time.Duration
}

// NewFleet returns a fleet without clients. The caller must call [Fleet.Close].
func NewFleet(o Options) (*Fleet, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("making an epoll descriptor: %w", err)
	}
	f := &Fleet{
		o: o, stamp: NewStamp(), epoll: fd, start: time.Now(), done: make(chan struct{}), rounds: make(map[uint32]*round),
		logins: newHistogram(), delays: newHistogram(), last: newHistogram(),
	}
	f.speaker = newSpeaker(o.Target, f)
	go f.run()
	return f, nil
}

// newHistogram is one of microseconds up to ten minutes.
func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, int64(10*time.Minute/time.Microsecond), 3)
}

// record notes a duration; what is beyond the histogram is in its last bucket.
func record(h *hdrhistogram.Histogram, d time.Duration) {
	us := min(max(d.Microseconds(), h.LowestTrackableValue()), h.HighestTrackableValue())
	if err := h.RecordValue(us); err != nil {
		panic(err) // never: it is within
	}
}

// Now is the load's clock, which contents carry.
func (f *Fleet) Now() time.Duration { return time.Since(f.start) }

// Gather lets deliveries gather for a millisecond. If the load slept in epoll_wait(2), every write of the server
// would wake it up, which is work that a server whose clients are elsewhere does not have.
func (f *Fleet) Gather(on bool) { f.gather.Store(on) }

// Counts returns what has happened since Begin.
func (f *Fleet) Counts() Counts {
	f.mu.Lock()
	defer f.mu.Unlock()
	counts := f.counts
	counts.Rounds = len(f.rounds)
	return counts
}

// Begin begins to count anew: the next message to each client is number 1.
func (f *Fleet) Begin() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts = Counts{Ready: f.counts.Ready, Asleep: f.counts.Asleep}
	f.sent = 0
	clear(f.rounds)
	f.faults = nil
	for _, h := range []*hdrhistogram.Histogram{f.logins, f.delays, f.last} {
		h.Reset()
	}
	for _, c := range f.clients {
		c.seq, c.owed, c.event, c.asked = Sequence{}, 0, 0, 0
	}
}

// Latency is that of messages, or of acknowledgements, in microseconds; of logins; and of the last delivery of each
// broadcast.
func (f *Fleet) Latency() (messages, logins, last *hdrhistogram.Histogram) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return hdrhistogram.Import(f.delays.Export()), hdrhistogram.Import(f.logins.Export()), hdrhistogram.Import(f.last.Export())
}

// LastAt is when the last delivery or acknowledgement came.
func (f *Fleet) LastAt() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lastAt
}

// Faults are up to three of the errors that clients have met since Begin.
func (f *Fleet) Faults() []error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]error(nil), f.faults...)
}

// Missing is how many of the messages that are owed to clients have not come. What was owed to a client after
// the server had let go of it is left out, if they are broadcasts.
func (f *Fleet) Missing(owed func(user int) int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	missing := 0
	for i, c := range f.clients {
		if c.crew != Stay {
			continue
		}
		due := owed(i)
		if c.lost && f.sent > 0 {
			due = c.owed
		}
		missing += max(due-c.seq.Distinct(), 0)
	}
	return missing
}

// ErrStalled is the end of a wait in which nothing has come for too long.
var ErrStalled = errors.New("nothing has come for too long")

// Await waits until done says so of the counts. It ends with an error of the fleet's, with ErrStalled when nothing but
// heartbeats has happened for stall, and with the cause of ctx.
func (f *Fleet) Await(ctx context.Context, stall time.Duration, done func(Counts) bool) error {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	last, since := Counts{}, time.Now()
	for {
		f.mu.Lock()
		counts, fatal := f.counts, f.fatal
		counts.Rounds = len(f.rounds)
		f.mu.Unlock()
		counts.Beats = 0
		switch {
		case done(counts):
			return nil
		case fatal != nil:
			return fatal
		case counts != last:
			last, since = counts, time.Now()
		case time.Since(since) > stall:
			return ErrStalled
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// Close ends every connection.
func (f *Fleet) Close() error {
	f.stop.Store(true)
	<-f.done
	errs := []error{unix.Close(f.epoll)}
	for _, c := range f.byFD {
		if c != nil {
			errs = append(errs, reset(c.fd))
		}
	}
	return errors.Join(errs...)
}
