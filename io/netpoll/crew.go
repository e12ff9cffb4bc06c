package netpoll

import (
	"runtime"
	"sync"
)

const (
	// maxIdle is how many goroutines of the crew wait for something to do.
	maxIdle = 64
	// breath is after how many tasks one of them lets others run. One that never waits looks to the runtime like one that
	// computes, and its monitor is busy with it: without this 10 % fewer clients come and go (docs/BENCHMARKS.md).
	breath = 64
)

// task is what is left to the crew: a connection whose handler is to be called.
type task struct {
	c       *Conn
	initial []byte // for the handler, instead of what has been read
	err     error  // of reading
}

// crew are the goroutines that call handlers. They have called some before, so their stacks are large
// already: to grow that of a new one, which copies it two or three times, was a seventh of a login.
//
// Handlers may wait, so there are as many as it takes, and no more: who takes a task and leaves others behind wakes one
// more, unless one has been woken that has not begun. As long as handlers return at once, few goroutines do it all, one
// task after the other.
type crew struct {
	// static
	do   func(task)
	wake chan struct{} // a token for each that has been woken
	done chan struct{} // closed: those that have nothing to do end

	hands sync.WaitGroup

	// guarded by mu
	mu     sync.Mutex
	queue  []task // from head on
	head   int
	idle   int  // wait for a token that has not been sent
	waking bool // one has been woken, or started, and has not taken a task
}

func newCrew(do func(task), done chan struct{}) *crew {
	return &crew{do: do, wake: make(chan struct{}, maxIdle), done: done}
}

// leave has the tasks done, each by one of the crew. It does not wait.
func (w *crew) leave(tasks ...task) {
	if len(tasks) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.head > 0 && len(w.queue)+len(tasks) > cap(w.queue) {
		n := copy(w.queue, w.queue[w.head:])
		clear(w.queue[n:])
		w.queue, w.head = w.queue[:n], 0
	}
	w.queue = append(w.queue, tasks...)
	w.rouseLocked()
}

// rouseLocked sees to it that somebody comes for the queue.
func (w *crew) rouseLocked() {
	switch {
	case w.waking:
	case w.idle > 0:
		w.waking = true
		w.idle--
		w.wake <- struct{}{} // has room for all that are idle
	default:
		w.waking = true
		w.hands.Go(w.work)
	}
}

// work does tasks until there is nothing to do for so many.
func (w *crew) work() {
	done := 0
	for fresh := true; ; {
		t, ok, stay := w.next(fresh)
		fresh = !ok
		if ok {
			w.do(t)
			if done++; done%breath == 0 {
				runtime.Gosched()
			}
			continue
		}
		if !stay {
			return
		}
		select {
		case <-w.wake:
		case <-w.done:
			return
		}
	}
}

// next takes a task, or else says whether to wait to be woken. fresh is whether the caller has just been.
func (w *crew) next(fresh bool) (t task, ok, stay bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if fresh {
		w.waking = false
	}
	if w.head == len(w.queue) {
		if w.idle == maxIdle {
			return t, false, false
		}
		w.idle++
		return t, false, true
	}
	t, w.queue[w.head] = w.queue[w.head], task{}
	if w.head++; w.head < len(w.queue) {
		w.rouseLocked()
	} else {
		w.queue, w.head = w.queue[:0], 0
	}
	return t, true, false
}

// wait returns when nobody is left, after done has been closed.
func (w *crew) wait() { w.hands.Wait() }
