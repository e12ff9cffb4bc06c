package netpoll

// maxWaiting is how many goroutines of the crew wait for something to do.
const maxWaiting = 64

// task is what a parked goroutine leaves to the crew: a connection whose handler is to be called.
type task struct {
	c       *Conn
	initial []byte // for the handler, instead of what has been read
	err     error  // of reading
}

// leave has t done by the crew. These goroutines have called handlers before, so their stacks are large
// already: to grow that of a new one, which copies it two or three times, was a seventh of a login.
func (p *Poller) leave(t task) {
	select {
	case p.tasks <- t:
	default:
		p.crew.Go(func() { p.work(t) })
	}
}

// work does t, and then what else is left to the crew.
func (p *Poller) work(t task) {
	for {
		t.c.proceed(t.initial, t.err)
		t = task{}
		if p.waiting.Add(1) > maxWaiting {
			p.waiting.Add(-1)
			return
		}
		select {
		case t = <-p.tasks:
			p.waiting.Add(-1)
		case <-p.done:
			return
		}
	}
}
