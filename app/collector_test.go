package app

import (
	"math"
	"testing"
)

const mib = 1 << 20

// fakeHeap is a runtime whose figures are told it.
type fakeHeap struct {
	heapFigures
	gogc      int
	inUse     int64 // what a collection finds
	collected int
	set       []int
}

func (h *fakeHeap) percent() int         { return h.gogc }
func (h *fakeHeap) figures() heapFigures { return h.heapFigures }
func (h *fakeHeap) setPercent(n int)     { h.set = append(h.set, n) }

func (h *fakeHeap) collect() {
	h.collected++
	h.find()
}

// find ends a collection.
func (h *fakeHeap) find() { h.heapFigures = heapFigures{h.cycle + 1, h.inUse, h.inUse} }

// The garbage beside what waits is a part of that, and what the rest of the process may have.
func TestCollectorChooses(t *testing.T) {
	heap := &fakeHeap{}
	waits := int64(0)
	c := &collector{waits: func() int64 { return waits }, runtime: heap}
	for _, step := range []struct {
		name                    string
		waits, inUse, allocated int64 // allocated since the last collection
		gogc                    int
		found                   bool // there is a collection by itself before
		percent, collections    int
	}{
		{"nothing waits", 0, 20 * mib, 5 * mib, 100, true, 100, 0},
		{"a little waits", 8 * mib, 28 * mib, 5 * mib, 100, true, 100, 0},
		{"more waits", 16 * mib, 36 * mib, 5 * mib, 100, true, (20 + 8) * 100 / 36, 0},
		{"much waits", 1024 * mib, 1044 * mib, 0, 100, true, (20 + 32) * 100 / 1044, 0},
		{"much waits, with a lower GOGC", 1024 * mib, 1044 * mib, 0, 50, true, (10 + 32) * 100 / 1044, 0},
		{"with one that is lower than that", 1024 * mib, 1044 * mib, 0, 2, true, 2, 0},
		{"some went since that was found", 900 * mib, 1044 * mib, 0, 100, true, (20 + 28) * 100 / 1044, 0},
		{"it has gone", 0, 20 * mib, 5 * mib, 100, false, (20 + 8) * 100 / 1044, 0},
		{"and something else was allocated", 0, 20 * mib, 40 * mib, 100, false, 100, 1},
		{"one message waits for many", 1024 * mib, 50 * mib, 0, 100, true, 32 * 100 / 50, 1},
		{"for fewer", 512 * mib, 50 * mib, 1 * mib, 100, false, 16 * 100 / 50, 1},
		{"next to nothing is in use", 0, 0, 0, 100, true, 100, 1},
	} {
		t.Run(step.name, func(t *testing.T) {
			waits, heap.inUse = step.waits, step.inUse
			if step.found {
				heap.find()
			}
			heap.objects = heap.live + step.allocated
			same(t, "percent", c.choose(step.gogc), step.percent)
			same(t, "collections", heap.collected, step.collections)
		})
	}
}

// The runtime is told what has changed, and is left as it was.
func TestCollectorRuns(t *testing.T) {
	heap := &fakeHeap{gogc: 100, inUse: 1044 * mib}
	heap.find()
	moved := make(chan struct{})
	c := newCollector(func() int64 { return 1024 * mib }, moved, heap)
	for range 3 {
		moved <- struct{}{}
	}
	c.close()
	same(t, "times that it was set", len(heap.set), 2)
	same(t, "at first", heap.set[0], 4)
	same(t, "in the end", heap.set[1], 100)

	off := newCollector(nil, nil, &fakeHeap{gogc: -1}) // asks for nothing
	off.close()
}

func TestGoHeap(t *testing.T) {
	heap := newGoHeap()
	before := heap.figures()
	heap.collect()
	after := heap.figures()
	if after.cycle <= before.cycle || after.live <= 0 || after.objects <= 0 {
		t.Errorf("after a collection there are %+v, before there were %+v", after, before)
	}
	if n := heap.percent(); n < -1 || n > math.MaxInt32 {
		t.Errorf("GOGC is %d", n)
	}
}
