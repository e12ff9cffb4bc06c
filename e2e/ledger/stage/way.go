package stage

import (
	"errors"
	"fmt"
	"net"
	"sync"
)

// A Way leads from an address of its own to one of several servers, each in its turn and past those that do not listen. It can
// be cut, as when a cable is pulled: with a reset, or so that nothing passes any more until it is mended, late then.
type Way struct {
	listener net.Listener
	targets  []string
	running  sync.WaitGroup

	mu    sync.Mutex
	next  int
	shut  bool          // nobody is let in
	gate  chan struct{} // closed while everything passes
	ended bool
	calls map[*call]struct{}
}

// A call is one connection on a way.
type call struct{ near, far net.Conn }

// newWay opens a way to the targets, host:port.
func newWay(targets ...string) (*Way, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("opening a way: %w", err)
	}
	w := &Way{listener: l, targets: targets, gate: make(chan struct{}), calls: map[*call]struct{}{}}
	close(w.gate)
	w.running.Go(w.accept)
	return w, nil
}

// address is where the way begins, host:port.
func (w *Way) address() string { return w.listener.Addr().String() }

func (w *Way) accept() {
	for {
		near, err := w.listener.Accept()
		if err != nil {
			return // closed
		}
		w.running.Go(func() { w.lead(near) })
	}
}

// lead passes on what goes through one connection, until it ends.
func (w *Way) lead(near net.Conn) {
	defer hangUp(near)
	if !w.pass() {
		return
	}
	far := w.dial()
	if far == nil {
		return
	}
	defer hangUp(far)
	c := &call{near, far}
	if !w.enter(c) {
		return
	}
	defer w.leave(c)
	var back sync.WaitGroup
	back.Go(func() {
		w.copy(near, far)
		hangUp(near)
	})
	w.copy(far, near)
	hangUp(far)
	back.Wait()
}

// copy passes on what comes from one side, when the way is open, until either ends.
func (w *Way) copy(to, from net.Conn) {
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if n > 0 {
			if !w.pass() {
				return
			}
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// pass waits until the way is open, and says whether somebody may go on.
func (w *Way) pass() bool {
	w.mu.Lock()
	gate, shut := w.gate, w.shut || w.ended
	w.mu.Unlock()
	if shut {
		return false
	}
	<-gate
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.ended
}

// dial connects to the next target that listens; nil if none does.
func (w *Way) dial() net.Conn {
	w.mu.Lock()
	first := w.next
	w.next++
	w.mu.Unlock()
	for i := range w.targets {
		c, err := net.Dial("tcp", w.targets[(first+i)%len(w.targets)])
		if err == nil {
			return c
		}
	}
	return nil
}

func (w *Way) enter(c *call) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.shut || w.ended {
		return false
	}
	w.calls[c] = struct{}{}
	return true
}

func (w *Way) leave(c *call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.calls, c)
}

// cut breaks all connections off, and lets nobody in until the way is mended.
func (w *Way) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shut = true
	w.breakOff()
}

// block lets nothing pass, which nobody is told, until the way is mended.
func (w *Way) block() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gate = make(chan struct{})
}

// mend opens the way after cut or block. What was held back passes.
func (w *Way) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shut = false
	select {
	case <-w.gate:
	default:
		close(w.gate)
	}
}

// breakOff is called with mu held.
func (w *Way) breakOff() {
	for c := range w.calls {
		for _, side := range []net.Conn{c.near, c.far} {
			if tcp, ok := side.(*net.TCPConn); ok {
				if err := tcp.SetLinger(0); err != nil {
					continue // it has ended
				}
			}
			hangUp(side)
		}
	}
}

// hangUp ends a connection; that it has ended already is no matter.
func hangUp(c net.Conn) {
	if err := c.Close(); err != nil {
		return
	}
}

// close ends all connections, and waits for that.
func (w *Way) close() error {
	w.mend()
	w.mu.Lock()
	w.ended = true
	w.breakOff()
	w.mu.Unlock()
	err := w.listener.Close()
	w.running.Wait()
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("closing a way: %w", err)
	}
	return nil
}
