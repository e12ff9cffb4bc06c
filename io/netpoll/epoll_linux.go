package netpoll

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// interest is what the poller hears of from the beginning, once each time it becomes so.
	interest = unix.EPOLLIN | unix.EPOLLPRI | unix.EPOLLRDHUP | unix.EPOLLET
	// ends are the events after which a read may leave something behind what it reads: the end, or what follows an urgent byte (tcp(7)), at
	// which it stops.
	ends = unix.EPOLLPRI | unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
	// harvest is how many events are taken at once.
	harvest = 256
)

// epoll tells which of many connections have something to read (epoll(7)). It is itself watched by Go's poller, as a file
// that can be read when there are events, so that no thread waits in epoll_wait.
//
// An event is no more than a hint to have a look: it names a descriptor, which may be another connection's by the time that
// it is dealt with, and who looks then finds nothing. So nothing has to be undone when a descriptor is closed.
type epoll struct {
	// static
	poller *Poller
	file   *os.File
	raw    syscall.RawConn
	fd     int

	loop    sync.WaitGroup
	running bool // guarded by poller.mu

	// owned by the loop
	events []unix.EpollEvent
	tasks  []task
}

// UseEpoll has what Adopt is given from now on cost no goroutine; it is called before that. It fails with [ErrNoEpoll] where
// there is none.
func (p *Poller) UseEpoll() error {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return fmt.Errorf("making an epoll: %w", os.NewSyscallError("epoll_create1", err))
	}
	if err := unix.SetNonblock(fd, true); err != nil { // or Go's poller does not take it
		return fmt.Errorf("making an epoll: %w", errors.Join(os.NewSyscallError("fcntl", err), unix.Close(fd)))
	}
	e := &epoll{poller: p, file: os.NewFile(uintptr(fd), "epoll"), fd: fd, events: make([]unix.EpollEvent, harvest)}
	err = e.file.SetReadDeadline(time.Time{}) // which Go's poller can if it has taken it
	if err == nil {
		e.raw, err = e.file.SyscallConn()
	}
	if err != nil {
		return fmt.Errorf("having an epoll watched: %w", errors.Join(err, e.file.Close()))
	}
	p.epoll = e
	return nil
}

// Adopt is Add. With UseEpoll, the poller takes the descriptor out of a *net.TCPConn or *net.UnixConn, which is closed, so that nothing is
// left of that.
func (p *Poller) Adopt(pc *Conn, c net.Conn, h Handler) error {
	if p.epoll == nil {
		return p.Add(pc, c, h)
	}
	c = bare(c)
	if s, ok := c.(*Socket); ok {
		if s.suits(p) {
			return p.adoptSocket(pc, s, h)
		}
		whole, err := s.Whole()
		if err != nil {
			return fmt.Errorf("adopting connection: %w", err)
		}
		c = whole
	}
	raw, err := rawConn(c)
	if err != nil {
		return fmt.Errorf("adopting connection: %w", err)
	}
	if raw == nil {
		return p.Add(pc, c, h)
	}
	fd, err := duplicate(raw)
	if err != nil {
		return fmt.Errorf("adopting connection: %w", err)
	}
	pc.poller, pc.h, pc.fd = p, h, int32(fd)
	if !p.enlist(pc) {
		return errors.Join(ErrPollerClosed, unix.Close(fd))
	}
	if err := p.epoll.control(pc, unix.EPOLL_CTL_ADD, interest); err != nil && !errors.Is(err, net.ErrClosed) {
		pc.state.Or(closed)
		err = errors.Join(err, (*own)(pc).Close())
		p.remove(pc)
		return fmt.Errorf("adopting connection: %w", err)
	}
	if err := c.Close(); err != nil { // which would be a surprise: only the descriptor of its own is
		return errors.Join(fmt.Errorf("adopting connection: %w", err), pc.Close())
	}
	return nil
}

// duplicate returns another descriptor of the same socket, which stays non-blocking.
func duplicate(raw syscall.RawConn) (fd int, err error) {
	var dup error
	err = raw.Control(func(old uintptr) {
		fd, dup = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err == nil {
		err = os.NewSyscallError("fcntl", dup)
	}
	return fd, err
}

// enlist files pc under its descriptor; not once the poller is closed.
func (p *Poller) enlist(pc *Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	if n := int(pc.fd) + 1 - len(p.own); n > 0 {
		p.own = append(p.own, make([]*Conn, n)...)
	}
	p.own[pc.fd] = pc
	p.epoll.beginLocked()
	p.conns++
	p.active++
	return true
}

// beginLocked starts the loop with the first connection. The poller's mu is held.
func (e *epoll) beginLocked() {
	if !e.running {
		e.running = true
		e.loop.Go(e.run)
	}
}

// control changes what is heard of c.
func (e *epoll) control(c *Conn, op int, events uint32) error {
	if !c.use() {
		return net.ErrClosed
	}
	err := os.NewSyscallError("epoll_ctl", controlNow(e.fd, op, int(c.fd), events))
	return errors.Join(err, c.unuse())
}

// run deals with events until stopLocked.
func (e *epoll) run() {
	// The function never says that it is done: so Go's poller is asked at once for what comes while it runs, and does not
	// forget it as at the beginning of a Read.
	err := e.raw.Read(func(uintptr) bool {
		for e.take() == harvest {
		}
		return false
	})
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		panic(fmt.Sprintf("netpoll: waiting for events: %v", err)) // nobody would be heard any more
	}
	if err := e.file.Close(); err != nil {
		panic(fmt.Sprintf("netpoll: closing an epoll: %v", err)) // it is nobody else's
	}
}

// take takes events, leaves to the crew what there is to do, and returns how many it were.
func (e *epoll) take() int {
	n, err := eventsNow(e.fd, e.events)
	for errors.Is(err, unix.EINTR) {
		n, err = eventsNow(e.fd, e.events)
	}
	if err != nil {
		panic(fmt.Sprintf("netpoll: %v", os.NewSyscallError("epoll_wait", err))) // as above
	}
	p := e.poller
	p.mu.Lock()
	for _, ev := range e.events[:n] {
		if c := p.own[ev.Fd]; c != nil && c.note(ev.Events) {
			e.tasks = append(e.tasks, task{c: c})
		}
	}
	p.mu.Unlock()
	p.crew.leave(e.tasks...)
	clear(e.tasks)
	e.tasks = e.tasks[:0]
	return n
}

// note notes an event, and reports whether c has to be left to the crew.
func (c *Conn) note(events uint32) bool {
	if events&(unix.EPOLLOUT|ends) != 0 {
		c.poke()
	}
	switch {
	case events&ends != 0:
		return c.due(over)
	case events&unix.EPOLLIN != 0:
		return c.due(0)
	default:
		return false
	}
}

// stopLocked has the loop end; wait waits for that. The poller's mu is held, and there is no connection any more.
func (e *epoll) stopLocked() {
	if e == nil {
		return
	}
	end := e.file.Close
	if e.running {
		end = func() error { return e.file.SetReadDeadline(time.Unix(1, 0)) }
	}
	if err := end(); err != nil {
		panic(fmt.Sprintf("netpoll: ending the wait for events: %v", err)) // the file is open, and Go's poller has it
	}
}

func (e *epoll) wait() {
	if e != nil {
		e.loop.Wait()
	}
}
