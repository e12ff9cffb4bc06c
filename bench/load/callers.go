//go:build linux

package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"
)

// CallerOptions say how callers push.
type CallerOptions struct {
	Addr netip.AddrPort
	Host string
	Form Form
	// Fresh has each request made on a new connection.
	Fresh bool
	// Batch is how many pushes go into a request; 0 and 1: one, without an array around it.
	Batch int
	// Rate is how many requests are made a second; 0: as many as are answered.
	Rate float64
}

// Callers make one HTTP request after the other, each on a connection of its own. One goroutine drives them all.
type Callers struct {
	// Answered are the pushes that the server says it has delivered, and Refused the others.
	Answered, Refused atomic.Int64
	// Latency is that of the answers, in microseconds, once Run has returned.
	Latency *hdrhistogram.Histogram
	// Fault is the first answer of a push that was refused, once Run has returned.
	Fault error

	o     CallerOptions
	head  []byte
	epoll int
	list  map[int]*caller // by descriptor
	idle  []*caller       // until the rate allows another request
	due   time.Time       // when that is
}

type caller struct {
	fd    int
	up    bool // connected
	busy  bool // a request is under way
	users *Users
	body  []byte
	out   []byte // the request
	sent  int    // of that
	in    []byte
	asked time.Time
}

// NewCallers returns as many callers as there are shares. The caller must call [Callers.Close].
func NewCallers(o CallerOptions, shares []*Users) (*Callers, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("making an epoll descriptor: %w", err)
	}
	path := o.Form.Path
	if o.Batch > 1 {
		path = o.Form.BatchPath
	}
	c := &Callers{o: o, head: o.Form.head(path, o.Host), epoll: epoll, list: make(map[int]*caller), Latency: newHistogram()}
	for _, users := range shares {
		c.idle = append(c.idle, &caller{fd: -1, users: users})
	}
	return c, nil
}

// Close ends the connections.
func (c *Callers) Close() error {
	errs := []error{unix.Close(c.epoll)}
	for fd := range c.list {
		errs = append(errs, reset(fd))
	}
	return errors.Join(errs...)
}

// Run pushes for d, or until ctx ends, and waits for the answers, each for patience at most.
func (c *Callers) Run(ctx context.Context, d, patience time.Duration) error {
	until := time.Now().Add(d)
	c.due = time.Now()
	events := make([]unix.EpollEvent, len(c.idle))
	waiting := 0
	heard := time.Now()
	for {
		now := time.Now()
		more := now.Before(until) && ctx.Err() == nil
		for more && len(c.idle) > 0 && (c.o.Rate == 0 || !now.Before(c.due)) {
			one := c.idle[0]
			c.idle = c.idle[1:]
			if err := c.request(one); err != nil {
				return err
			}
			if waiting++; waiting == 1 {
				heard = now
			}
			if c.o.Rate > 0 {
				c.due = c.due.Add(time.Duration(float64(time.Second) / c.o.Rate))
			}
		}
		if waiting == 0 && !more {
			return nil
		}
		n, err := unix.EpollWait(c.epoll, events, 1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("waiting for events: %w", err)
		}
		if n > 0 {
			heard = time.Now()
		} else if waiting > 0 && time.Since(heard) > patience {
			return fmt.Errorf("%d pushes have had no answer for %s", waiting, patience)
		}
		for _, e := range events[:max(n, 0)] {
			one := c.list[int(e.Fd)]
			if !one.busy { // the server has closed a connection that it need not keep
				if err := c.hangUp(one); err != nil {
					return err
				}
				continue
			}
			whole, err := c.ready(one)
			if err != nil {
				return err
			}
			if whole {
				one.busy = false
				waiting--
				c.idle = append(c.idle, one)
			}
		}
	}
}

// request makes the next request of one, on a new connection if it needs one.
func (c *Callers) request(one *caller) error {
	batch := max(c.o.Batch, 1)
	one.body = one.body[:0]
	for i := range batch {
		if batch > 1 {
			one.body = append(one.body, "[,"[min(i, 1)])
		}
		one.body = one.users.AppendPush(one.body)
	}
	if batch > 1 {
		one.body = append(one.body, ']')
	}
	one.out, one.sent = appendRequest(one.out[:0], c.head, one.body), 0
	stale := c.o.Fresh || time.Since(one.asked) > keepFor
	one.asked, one.busy = time.Now(), true
	if one.fd >= 0 && stale {
		if err := c.hangUp(one); err != nil {
			return err
		}
	}
	if one.fd >= 0 {
		return c.send(one)
	}
	return c.connect(one)
}

func (c *Callers) connect(one *caller) error {
	fd, err := dial(c.o.Addr, netip.Addr{}, false)
	if err != nil {
		return fmt.Errorf("connecting to %s: %w", c.o.Addr, err)
	}
	one.fd, one.up = fd, false
	c.list[fd] = one
	event := unix.EpollEvent{Events: unix.EPOLLOUT, Fd: int32(fd)}
	if err := unix.EpollCtl(c.epoll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		return fmt.Errorf("watching a socket: %w", err)
	}
	return nil
}

func (c *Callers) hangUp(one *caller) error {
	delete(c.list, one.fd)
	err := reset(one.fd)
	one.fd, one.in = -1, one.in[:0]
	if err != nil {
		return fmt.Errorf("closing a connection: %w", err)
	}
	return nil
}

// ready handles what epoll tells, and reports whether a request is answered.
func (c *Callers) ready(one *caller) (whole bool, err error) {
	if one.up && one.sent == len(one.out) {
		return c.answer(one)
	}
	if !one.up {
		if err := connected(one.fd); err != nil {
			return false, fmt.Errorf("connecting to %s: %w", c.o.Addr, err)
		}
		one.up = true
	}
	if err := c.send(one); err != nil {
		return false, err
	}
	if one.sent < len(one.out) {
		return false, nil
	}
	return false, c.watch(one, unix.EPOLLIN)
}

func (c *Callers) watch(one *caller, events uint32) error {
	event := unix.EpollEvent{Events: events, Fd: int32(one.fd)}
	if err := unix.EpollCtl(c.epoll, unix.EPOLL_CTL_MOD, one.fd, &event); err != nil {
		return fmt.Errorf("watching a socket: %w", err)
	}
	return nil
}

// send sends what is left of the request.
func (c *Callers) send(one *caller) error {
	n, err := unix.Write(one.fd, one.out[one.sent:])
	if err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("pushing: %w", err)
	}
	if one.sent += max(n, 0); one.sent < len(one.out) {
		return c.watch(one, unix.EPOLLOUT)
	}
	return nil
}

// answer reads once, and reports whether the answer is whole.
func (c *Callers) answer(one *caller) (whole bool, err error) {
	var buf [8192]byte
	n, err := unix.Read(one.fd, buf[:])
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("reading the answer to a push: %w", err)
	case n == 0:
		return false, fmt.Errorf("reading the answer to a push: %w", io.EOF)
	}
	one.in = append(one.in, buf[:n]...)
	r, rest, ok, err := cutResponse(one.in)
	switch {
	case err != nil || !ok:
		return false, err
	case r.status != 200 && r.status != 202 || len(rest) > 0:
		return false, r.errorText()
	}
	c.count(r)
	record(c.Latency, time.Since(one.asked))
	closes, _ := r.header("connection")
	one.in = one.in[:0]
	if slices.Equal(closes, []byte("close")) {
		return true, c.hangUp(one)
	}
	return true, nil
}

func (c *Callers) count(r response) {
	batch := max(c.o.Batch, 1)
	reached := min(c.o.Form.reached(r.body), batch)
	c.Answered.Add(int64(reached))
	if reached < batch {
		c.Refused.Add(int64(batch - reached))
		if c.Fault == nil {
			c.Fault = r.errorText()
		}
	}
}
