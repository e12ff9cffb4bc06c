package app

import (
	"context"
	runtimemetrics "runtime/metrics"
	"slices"
	"sync"
	"time"

	"crier/api"
)

const (
	// pulseWatched is how often samples are taken while somebody watches, and pulseAlone while nobody does: each looks at
	// every connection.
	pulseWatched = time.Second
	pulseAlone   = 10 * time.Second
	// pulseKept is how many samples are kept for who comes later.
	pulseKept = 900
)

// pulse takes samples of the figures, from a goroutine of its own. It is an [api.Pulse].
type pulse struct {
	// static
	take   func() *api.Sample // called by one goroutine
	stop   context.CancelFunc
	ended  <-chan struct{} // closed once stop has been called
	eager  chan struct{}   // has a token when a sample is wanted at once
	ticker sync.WaitGroup

	mu       sync.Mutex
	kept     []*api.Sample // guarded by mu; the oldest first
	taken    uint64        // guarded by mu; how many there have been, and so the number of the last
	watchers int           // guarded by mu
	fresh    chan struct{} // guarded by mu; closed by the next sample
}

// newPulse starts one; close ends it.
func newPulse(take func() *api.Sample) *pulse {
	ctx, stop := context.WithCancel(context.Background())
	p := &pulse{take: take, stop: stop, ended: ctx.Done(), eager: make(chan struct{}, 1), fresh: make(chan struct{})}
	p.ticker.Go(p.run)
	return p
}

// close ends it, and who follows it.
func (p *pulse) close() {
	p.stop()
	p.ticker.Wait()
}

func (p *pulse) run() {
	timer := time.NewTimer(pulseAlone)
	defer timer.Stop()
	for {
		select {
		case <-p.ended:
			return
		case <-p.eager:
		case <-timer.C:
		}
		timer.Reset(p.keep(p.take()))
	}
}

// keep adds a sample and returns when to take the next.
func (p *pulse) keep(one *api.Sample) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.kept) == pulseKept {
		p.kept = slices.Delete(p.kept, 0, 1)
	}
	p.kept, p.taken = append(p.kept, one), p.taken+1
	close(p.fresh)
	p.fresh = make(chan struct{})
	if p.watchers > 0 {
		return pulseWatched
	}
	return pulseAlone
}

// Follow implements [api.Pulse].
func (p *pulse) Follow(ctx context.Context, after time.Time, fn func(*api.Sample) error) error {
	p.watch(1)
	defer p.watch(-1)
	seen := p.upTo(after)
	for {
		var news []*api.Sample
		var fresh <-chan struct{}
		news, seen, fresh = p.since(seen)
		for _, one := range news {
			if err := fn(one); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.ended:
			return nil
		case <-fresh:
		}
	}
}

// watch counts who watches; the first has a sample taken at once.
func (p *pulse) watch(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.watchers += n; p.watchers == 1 && n > 0 {
		select {
		case p.eager <- struct{}{}:
		default:
		}
	}
}

// upTo returns the number of the last sample that is not later than a time. The clock may be set back in between: from there on
// numbers count.
func (p *pulse) upTo(after time.Time) (number uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	later := 0
	for later < len(p.kept) && p.kept[len(p.kept)-1-later].Time.After(after) {
		later++
	}
	return p.taken - uint64(later)
}

// since returns the samples behind that of a number, the number of the last, and what is closed when there is another.
func (p *pulse) since(number uint64) (news []*api.Sample, last uint64, fresh <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := min(p.taken-number, uint64(len(p.kept)))
	return slices.Clone(p.kept[len(p.kept)-int(n):]), p.taken, p.fresh
}

// sampler takes samples of a server.
type sampler struct {
	app    *App
	window window // of the pushes since the sample before
}

// take takes one.
func (s *sampler) take() *api.Sample {
	a := s.app
	f := a.hub.Stats()
	one := &api.Sample{
		// Whole milliseconds, as watchers name the sample by them.
		Time: time.Now().UTC().Truncate(time.Millisecond), Sockets: a.census(),
		Pushes: f.Pushes, Delivered: f.Delivered, Slow: f.Slow, Gone: f.Gone, Failed: f.Failed,
		QueueBytes: int(a.budget.Stats().Bytes),
		Latency:    s.window.next(a.metrics.pushes),
	}
	one.Users, one.Connections = a.online()
	one.Memory, one.Heap = memory()
	if _, sender := (figures{a}).seesTo(); sender != nil {
		one.SetCallbacks(sender)
	}
	return one
}

// memory returns how many bytes the Go runtime has from the system, and how many of them objects take.
func memory() (held, heap uint64) {
	m := []runtimemetrics.Sample{
		{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}, {Name: "/memory/classes/heap/objects:bytes"},
	}
	runtimemetrics.Read(m)
	return m[0].Value.Uint64() - m[1].Value.Uint64(), m[2].Value.Uint64()
}
