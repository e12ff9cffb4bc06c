package app

import (
	"runtime"
	"runtime/debug"
	runtimemetrics "runtime/metrics"
	"sync"
)

const (
	// queueStep is how much more or less has to wait for clients until the collector is set anew, in bytes.
	queueStep = 4 << 20
	// The garbage that there may be because of what waits, in bytes: a thirty-second of it, but so much.
	garbageShare, leastGarbage = 32, 8 << 20
)

// collector keeps the garbage small beside much that waits for clients. By itself Go's collector begins when there is as much garbage
// as there is in use (GOGC), so a process of which 1 GiB waits takes 2. What waits is few large pieces without pointers, which cost it
// next to nothing: so it is told to begin earlier then, and to leave the rest of the process as much garbage as ever. What GOGC says
// is the most, GOMEMLIMIT holds beside it, and who has turned the collector off (GOGC=off) keeps it so.
type collector struct {
	// static
	waits   func() int64 // bytes that wait for clients
	runtime runtimeHeap
	stop    chan struct{}
	done    sync.WaitGroup

	// owned by run
	cycle   uint64 // of the collector, the last one seen
	waited  int64  // the most that may have waited at that
	looked  int64  // what waited when it was last looked
	percent int    // as it was set
}

// heapFigures are what the runtime tells.
type heapFigures struct {
	cycle   uint64 // collections so far
	live    int64  // bytes that the last of them has found in use
	objects int64  // bytes of what is in use and of what has not been collected
}

// runtimeHeap is the runtime's collector.
type runtimeHeap interface {
	// percent is GOGC; -1: there is no collector.
	percent() int
	figures() heapFigures
	collect()
	setPercent(int)
}

// newCollector follows what moved tells.
func newCollector(waits func() int64, moved <-chan struct{}, heap runtimeHeap) *collector {
	c := &collector{waits: waits, runtime: heap, stop: make(chan struct{})}
	if c.percent = heap.percent(); c.percent > 0 {
		c.done.Go(func() { c.run(moved, c.percent) })
	}
	return c
}

// close leaves the runtime as it was.
func (c *collector) close() {
	close(c.stop)
	c.done.Wait()
}

func (c *collector) run(moved <-chan struct{}, most int) {
	defer c.set(most)
	for {
		select {
		case <-c.stop:
			return
		case <-moved:
			c.set(c.choose(most))
		}
	}
}

// choose returns how much garbage there may be, in percent of what the last collection has found in use. It collects itself if
// much of that waits no more: there is no percentage for that.
func (c *collector) choose(most int) int {
	waits := c.waits()
	f := c.look(waits)
	garbage := max(leastGarbage, waits/garbageShare)
	if c.waited-waits > garbage && f.objects-f.live > garbage {
		c.runtime.collect()
		f = c.look(waits)
	}
	others := max(f.live-c.waited, 0)
	percent := (others*int64(most) + garbage*100) / max(f.live, 1)
	return int(min(max(percent, 1), int64(most)))
}

// look notes what waited at the last collection, which was between this look and the one before: the more of the two, since what is
// found in use and does not wait counts as the rest of the process, which may leave as much garbage again.
func (c *collector) look(waits int64) heapFigures {
	f := c.runtime.figures()
	if f.cycle != c.cycle {
		c.cycle, c.waited = f.cycle, max(waits, c.looked)
	}
	c.looked = waits
	return f
}

func (c *collector) set(percent int) {
	if percent != c.percent {
		c.percent = percent
		c.runtime.setPercent(percent)
	}
}

// goHeap implements [runtimeHeap].
type goHeap struct{ samples []runtimemetrics.Sample }

func newGoHeap() *goHeap {
	return &goHeap{[]runtimemetrics.Sample{
		{Name: "/gc/cycles/total:gc-cycles"}, {Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/objects:bytes"},
	}}
}

func (*goHeap) percent() int {
	s := []runtimemetrics.Sample{{Name: "/gc/gogc:percent"}}
	runtimemetrics.Read(s)
	return int(int64(s[0].Value.Uint64())) // the greatest number there is, if off
}

func (h *goHeap) figures() heapFigures {
	runtimemetrics.Read(h.samples)
	return heapFigures{h.samples[0].Value.Uint64(), int64(h.samples[1].Value.Uint64()), int64(h.samples[2].Value.Uint64())}
}

func (*goHeap) collect() { runtime.GC() }

func (*goHeap) setPercent(n int) { debug.SetGCPercent(n) }
