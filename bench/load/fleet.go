//go:build linux

package load

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Fleet is many connections that are logged in, or bare ones that are sent the same. One goroutine
// reads them all, over one epoll descriptor; it answers heartbeats and checks what is delivered.
type Fleet struct {
	// static
	epoll int
	start time.Time
	done  chan struct{}

	stop  atomic.Bool
	pongs atomic.Int64

	mu      sync.Mutex
	members map[int]*member // by descriptor
	faults  []error
	arrived int // deliveries since Reset
	last    time.Time
	delays  []time.Duration
}

// member is one connection, as its reader knows it.
type member struct {
	fd      int
	rest    []byte // the beginning of a frame
	arrived int    // since Reset, which is also the number of the last delivery
}

// NewFleet returns a fleet without connections. The caller must call [Fleet.Close].
func NewFleet() (*Fleet, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("making an epoll descriptor: %w", err)
	}
	f := &Fleet{epoll: fd, start: time.Now(), done: make(chan struct{}), members: make(map[int]*member)}
	go f.run()
	return f, nil
}

// Add takes over a connection.
func (f *Fleet) Add(c *Conn) error {
	if err := syscall.SetNonblock(c.fd, true); err != nil {
		return fmt.Errorf("making a socket non-blocking: %w", err)
	}
	f.mu.Lock()
	f.members[c.fd] = &member{fd: c.fd, rest: slices.Clone(c.in)}
	f.mu.Unlock()
	event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(c.fd)}
	if err := syscall.EpollCtl(f.epoll, syscall.EPOLL_CTL_ADD, c.fd, &event); err != nil {
		return fmt.Errorf("watching a socket: %w", err)
	}
	return nil
}

// Close ends every connection.
func (f *Fleet) Close() error {
	f.stop.Store(true)
	<-f.done
	errs := []error{syscall.Close(f.epoll)}
	for fd := range f.members {
		errs = append(errs, reset(fd))
	}
	return errors.Join(errs...)
}

// nap is how long a fleet lets deliveries gather. If it slept in epoll_wait(2), every write of the
// server would wake it up, which is work that a server whose clients are elsewhere does not have.
const nap = time.Millisecond

func (f *Fleet) run() {
	defer close(f.done)
	events := make([]syscall.EpollEvent, 512)
	buf := make([]byte, 256<<10)
	for n := 0; !f.stop.Load(); {
		if n < len(events) {
			time.Sleep(nap)
		}
		var err error
		n, err = syscall.EpollWait(f.epoll, events, 0)
		if err != nil && !errors.Is(err, syscall.EINTR) {
			f.mu.Lock()
			f.faults = append(f.faults, fmt.Errorf("waiting for events: %w", err))
			f.mu.Unlock()
			return
		}
		f.mu.Lock()
		for i := range max(n, 0) {
			if m := f.members[int(events[i].Fd)]; m != nil {
				f.read(m, buf)
			}
		}
		f.mu.Unlock()
	}
}

// read reads m once; if something is left, epoll tells again. mu is held.
func (f *Fleet) read(m *member, buf []byte) {
	n, err := syscall.Read(m.fd, buf)
	switch {
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EINTR):
		return
	case err == nil && n == 0:
		err = io.EOF
	case err == nil:
		err = f.take(m, buf[:n])
	}
	if err == nil {
		return
	}
	f.faults = append(f.faults, fmt.Errorf("a connection ended: %w", err))
	delete(f.members, m.fd)
	if err := syscall.Close(m.fd); err != nil {
		f.faults = append(f.faults, err)
	}
}

// take handles the frames in p.
func (f *Fleet) take(m *member, p []byte) error {
	if len(m.rest) > 0 {
		m.rest = append(m.rest, p...)
		p = m.rest
	}
	for {
		opcode, payload, rest, ok, err := CutFrame(p)
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		p = rest
		if opcode == opClose {
			return errors.New("the server sent a close frame")
		}
		if err := f.packet(m, payload); err != nil {
			return err
		}
	}
	if len(p) == 0 {
		m.rest = nil
	} else {
		m.rest = slices.Clone(p)
	}
	return nil
}

// packet handles one Engine.IO packet: a heartbeat, a delivery, or what does not matter.
func (f *Fleet) packet(m *member, payload []byte) error {
	if len(payload) == 1 && payload[0] == '2' {
		f.pongs.Add(1)
		if _, err := syscall.Write(m.fd, AppendClientFrame(nil, "3")); err != nil {
			return fmt.Errorf("answering a heartbeat: %w", err)
		}
		return nil
	}
	if len(payload) < len(EventPrefix) || string(payload[:len(EventPrefix)]) != EventPrefix {
		return nil // such as the online count
	}
	sent, seq, err := parseContent(payload[len(EventPrefix):])
	if err != nil {
		return err
	}
	m.arrived++
	if seq != m.arrived {
		return fmt.Errorf("delivery %d came when %d was due", seq, m.arrived)
	}
	f.arrived++
	f.last = time.Now()
	f.delays = append(f.delays, f.last.Sub(f.start)-sent)
	return nil
}

// Now is the load's clock, which contents carry.
func (f *Fleet) Now() time.Duration { return time.Since(f.start) }

// Len is how many connections there are.
func (f *Fleet) Len() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.members)
}

// Pongs is how many heartbeats have been answered.
func (f *Fleet) Pongs() int { return int(f.pongs.Load()) }

// Reset begins to count anew: the next delivery to each connection is number 1.
func (f *Fleet) Reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.arrived, f.delays = 0, f.delays[:0]
	for _, m := range f.members {
		m.arrived = 0
	}
}

// Await waits until want deliveries have arrived since Reset, and returns when the last one did.
func (f *Fleet) Await(want int, timeout time.Duration) (last time.Time, err error) {
	deadline := time.Now().Add(timeout)
	for {
		f.mu.Lock()
		arrived, last := f.arrived, f.last
		err := errors.Join(f.faults[:min(len(f.faults), 3)]...)
		f.mu.Unlock()
		switch {
		case err != nil:
			return last, err
		case arrived > want:
			return last, fmt.Errorf("%d deliveries came, and %d were sent", arrived, want)
		case arrived == want:
			return last, nil
		case time.Now().After(deadline):
			return last, fmt.Errorf("%d of %d deliveries did not arrive", want-arrived, want)
		}
		time.Sleep(time.Millisecond)
	}
}

// Percentile is that of the time that deliveries took since Reset, such as 0.99.
func (f *Fleet) Percentile(p float64) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.delays) == 0 {
		return 0
	}
	slices.Sort(f.delays)
	return f.delays[int(p*float64(len(f.delays)-1))]
}
