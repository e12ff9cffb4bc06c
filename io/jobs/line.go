package jobs

import (
	"container/heap"
	"time"
)

// entry is what the Runner itself keeps of a job that is not done; the Queue has the rest.
type entry struct {
	id  uint64
	due time.Time
}

// line holds the jobs of one key, the next one first. A key without jobs has no line. While the line's first
// job is being tried, the line is in no heap.
type line struct {
	key   string
	jobs  []entry
	tried bool // the first job has failed before
}

// lineHeap orders the lines that wait by the time of their first job, then by its number.
type lineHeap []*line

var _ heap.Interface = (*lineHeap)(nil)

func (h lineHeap) Len() int      { return len(h) }
func (h lineHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

func (h lineHeap) Less(i, j int) bool {
	a, b := &h[i].jobs[0], &h[j].jobs[0]
	if c := a.due.Compare(b.due); c != 0 {
		return c < 0
	}
	return a.id < b.id
}

// Push implements heap.Interface.
func (h *lineHeap) Push(x any) { *h = append(*h, x.(*line)) }

// Pop implements heap.Interface.
func (h *lineHeap) Pop() any {
	old := *h
	n := len(old) - 1
	l := old[n]
	old[n] = nil
	*h = old[:n]
	return l
}
