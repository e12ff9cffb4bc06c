package jobs

import (
	"container/heap"
	"slices"
	"time"
)

// entry is what the Runner itself keeps of a job that is not done; the Queue has the rest.
type entry struct {
	id    uint64
	due   time.Duration // since the Runner's start
	batch int32         // how many jobs are in the batch that the job is the first of; 0 if it is none
	done  bool          // it succeeded, but the Queue could not be told
}

// line holds the jobs of one key, or of several if they go out in batches, the next one first. A line without jobs is
// forgotten. While its first jobs are being tried, the line is in no heap.
type line struct {
	key   string
	jobs  []entry
	tried bool // the first job has failed before
}

// take returns how many jobs of the line are to be tried together, at most limit unless they are a batch already.
func (l *line) take(limit int, now time.Duration) int {
	if n := int(l.jobs[0].batch); n > 0 {
		return min(n, len(l.jobs))
	}
	n := 1
	for n < min(limit, len(l.jobs)) {
		if next := l.jobs[n]; next.due > now || next.batch > 0 {
			break
		}
		n++
	}
	return n
}

// ids returns the numbers of the first n jobs.
func (l *line) ids(n int) []uint64 {
	ids := make([]uint64, n)
	for i := range ids {
		ids[i] = l.jobs[i].id
	}
	return ids
}

// join moves the jobs of a batch to the front, in its order, and marks them as one. It does nothing unless all are there.
func (l *line) join(batch []uint64) {
	front := make([]entry, len(batch))
	rest := make([]entry, 0, len(l.jobs))
	found := 0
	for _, e := range l.jobs {
		if i := slices.Index(batch, e.id); i >= 0 {
			front[i] = e
			found++
		} else {
			rest = append(rest, e)
		}
	}
	if found != len(batch) {
		return
	}
	front[0].batch = int32(len(batch))
	l.jobs = append(front, rest...)
}

// lineHeap orders the lines that wait by the time of their first job, then by its number.
type lineHeap []*line

var _ heap.Interface = (*lineHeap)(nil)

func (h lineHeap) Len() int      { return len(h) }
func (h lineHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

func (h lineHeap) Less(i, j int) bool {
	a, b := &h[i].jobs[0], &h[j].jobs[0]
	if a.due != b.due {
		return a.due < b.due
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
