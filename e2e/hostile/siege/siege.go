//go:build linux

// Package siege has many clients of a server that never read, beside others that do, and floods all of them: what becomes of those
// that read, and of the server's memory?
package siege

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"crier/e2e/hostile/stage"
)

// Options say how much there is of everything.
type Options struct {
	Readers, Gluttons int           // clients that read, and that never do
	Last              time.Duration // how long the flood lasts
	Evictions         int           // and on, until so many connections have been ended
	Broadcasts        int           // a second, to all
	Floods            int           // pushes a second to the gluttons, each to one
	Size, FloodSize   int           // bytes of each
	QueueBytes        int           // limits.queue_bytes
	SendBuffer        int           // limits.send_buffer
	QueueTotal        int           // limits.queue_total
}

// Result is what became of it.
type Result struct {
	Sent      int           // broadcasts
	Lost      int           // of what readers were sent, what has not reached them
	P50, P99  time.Duration // from the call of a broadcast until a reader has it
	Floods    int           // pushes to gluttons
	Back      int           // times that a glutton was sent away, and came back
	Base      int           // bytes of memory of the server's process before the flood
	Peak      int           // the most while it lasted
	Queued    int           // the most that waited, by the server's own count
	Evicted   int           // connections ended since more than QueueTotal waited
	Left      int           // bytes that still waited when the gluttons had gone
	StillOpen bool          // whether every reader's connection has lasted
}

// run is one under way.
type run struct {
	o       Options
	server  *stage.Server
	readers []*reader
	greedy  []*glutton
	sent    int
	floods  atomic.Int64
	faults  chan error
}

// Settings are those of the server that o is about.
func (o Options) Settings() []string {
	return []string{
		fmt.Sprint("CRIER_LIMITS_QUEUE_BYTES=", o.QueueBytes), fmt.Sprint("CRIER_LIMITS_SEND_BUFFER=", o.SendBuffer),
		fmt.Sprint("CRIER_LIMITS_QUEUE_TOTAL=", o.QueueTotal), "CRIER_LIMITS_QUEUE_MESSAGES=100000",
		"CRIER_SOCKETIO_PING_INTERVAL=25s", "CRIER_SOCKETIO_PING_TIMEOUT=20s", // who never reads answers no ping
	}
}

// Run floods a server that was started with the settings of o, and stays the caller's.
func Run(ctx context.Context, server *stage.Server, o Options) (*Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	r := &run{o: o, server: server, faults: make(chan error, 1)}
	res, err := r.all(ctx)
	cancel()
	for _, one := range r.readers {
		one.leave()
	}
	for _, one := range r.greedy {
		one.leave()
	}
	return res, err
}

func (r *run) all(ctx context.Context) (*Result, error) {
	if err := r.connect(ctx); err != nil {
		return nil, err
	}
	res := new(Result)
	var err error
	if res.Base, err = r.server.Resident(); err != nil {
		return nil, err
	}
	if err := r.flood(ctx, res); err != nil {
		return nil, err
	}
	if err := r.settle(ctx, res); err != nil {
		return nil, err
	}
	r.judge(res)
	return res, nil
}

// connect brings everybody in.
func (r *run) connect(ctx context.Context) error {
	for n := range r.o.Readers {
		one, err := newReader(ctx, r.server.Public, fmt.Sprint("reader-", n))
		if err != nil {
			return fmt.Errorf("connecting a client that reads: %w", err)
		}
		r.readers = append(r.readers, one)
	}
	for n := range r.o.Gluttons {
		one := &glutton{address: r.server.Public, uid: fmt.Sprint("glutton-", n)}
		if err := one.come(ctx); err != nil {
			return fmt.Errorf("connecting a client that never reads: %w", err)
		}
		r.greedy = append(r.greedy, one)
	}
	return nil
}

// flood pushes for as long as it is to last, at the pace that was asked for, or as fast as the server takes it.
func (r *run) flood(ctx context.Context, res *Result) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	work := func(f func()) { // they end together
		all.Go(func() {
			defer cancel()
			f()
		})
	}
	work(func() { r.watch(ctx, res) })
	work(func() { r.broadcast(ctx) })
	if r.o.Floods > 0 {
		const lanes = 4
		for lane := range lanes {
			var mine []*glutton
			for n := lane; n < len(r.greedy); n += lanes {
				mine = append(mine, r.greedy[n])
			}
			work(func() { r.press(ctx, mine, time.Second*lanes/time.Duration(r.o.Floods)) })
		}
	}
	all.Wait()
	select {
	case err := <-r.faults:
		return err
	default:
		return nil
	}
}

// fail notes the first thing that goes wrong.
func (r *run) fail(ctx context.Context, err error) {
	if err == nil || ctx.Err() != nil {
		return
	}
	select {
	case r.faults <- err:
	default:
	}
}

// broadcast pushes to all. The content begins with the time.
func (r *run) broadcast(ctx context.Context) {
	p := newPusher(r.server.Push)
	defer p.close()
	filler := strings.Repeat("x", max(r.o.Size-stampDigits, 0))
	tick := time.NewTicker(time.Second / time.Duration(r.o.Broadcasts))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		answer, err := p.push(context.WithoutCancel(ctx), "", fmt.Sprintf("%0*d%s", stampDigits, time.Now().UnixNano(), filler))
		if err == nil && answer != "ok" {
			err = fmt.Errorf("a push to all was answered %.50q", answer)
		}
		if err != nil {
			r.fail(ctx, err)
			return
		}
		r.sent++
	}
}

// press pushes to one glutton after the other. Who has been sent away comes back.
func (r *run) press(ctx context.Context, greedy []*glutton, pause time.Duration) {
	p := newPusher(r.server.Push)
	defer p.close()
	filler := strings.Repeat("y", max(r.o.FloodSize-stampDigits, 0))
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		uid := "nobody"
		var one *glutton
		if len(greedy) > 0 {
			one = greedy[n%len(greedy)]
			uid = one.uid
		}
		answer, err := p.push(ctx, uid, fmt.Sprintf("%0*d%s", stampDigits, n, filler)) // each is another one
		// It has been sent away, or is by this one.
		if err == nil && answer != "ok" && one != nil {
			err = one.comeBack(ctx)
		}
		if err != nil {
			r.fail(ctx, err)
			return
		}
		r.floods.Add(1)
	}
}

// watch looks at the server's memory, and at what waits in it, until the flood has lasted for as long as it is to.
func (r *run) watch(ctx context.Context, res *Result) {
	begin := time.Now()
	for n := 0; ; n++ {
		memory, err := r.server.Resident()
		if err == nil && n%10 == 0 {
			err = r.look(ctx, res)
		}
		if err != nil {
			r.fail(ctx, err)
			return
		}
		res.Peak = max(res.Peak, memory)
		if time.Since(begin) >= r.o.Last && res.Evicted >= r.o.Evictions {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// look asks the server for its figures.
func (r *run) look(ctx context.Context, res *Result) error {
	queued, err := r.server.Metric(ctx, "crier_queue_bytes")
	if err != nil {
		return err
	}
	res.Queued = max(res.Queued, queued)
	res.Evicted, err = r.server.Metric(ctx, "crier_evicted_total")
	return err
}

// settle has the gluttons leave, and waits until every reader has what was sent and nothing waits any more.
func (r *run) settle(ctx context.Context, res *Result) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	err := r.look(ctx, res)
	if err != nil {
		return err
	}
	for _, one := range r.greedy {
		res.Back += one.back
		one.leave()
	}
	for {
		if res.Left, err = r.server.Metric(ctx, "crier_queue_bytes"); err != nil {
			return err
		}
		missing := slices.ContainsFunc(r.readers, func(one *reader) bool { return !one.has(r.sent) })
		if res.Left == 0 && !missing {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil // the figures tell what is missing
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// judge sums up what the readers have got.
func (r *run) judge(res *Result) {
	res.Sent, res.Floods, res.StillOpen = r.sent, int(r.floods.Load()), true
	var all []time.Duration
	for _, one := range r.readers {
		took, open := one.result()
		all = append(all, took...)
		res.Lost += r.sent - len(took)
		res.StillOpen = res.StillOpen && open
	}
	slices.Sort(all)
	if len(all) > 0 {
		res.P50, res.P99 = all[len(all)/2], all[len(all)*99/100]
	}
}

// Wrong says what must not be, whatever the machine: nil, or each of it.
func (res *Result) Wrong(o Options) error {
	var errs []error
	if res.Lost != 0 || !res.StillOpen {
		errs = append(errs, fmt.Errorf("clients that read have missed %d messages, and kept their connections: %v", res.Lost, res.StillOpen))
	}
	if res.Left != 0 {
		errs = append(errs, fmt.Errorf("%d bytes still waited when those that never read had gone", res.Left))
	}
	if most := res.Bound(o); res.Peak > most {
		errs = append(errs, fmt.Errorf("the process has taken %d MiB, %d more than it may", res.Peak>>20, (res.Peak-most)>>20))
	}
	return errors.Join(errs...)
}

// room is what the process may take besides: for what is on its way, for the goroutines of those that wait, for what the allocator
// rounds up, and for garbage.
const room = 64 << 20

// Bound is how many bytes of memory the process may take: what it had, what may wait, and room.
func (res *Result) Bound(o Options) int {
	waits := o.Gluttons * (o.QueueBytes + o.SendBuffer)
	if o.QueueTotal > 0 {
		waits = min(waits, o.QueueTotal)
	}
	return res.Base + waits + room
}
