//go:build linux

package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"syscall"
	"time"
)

// Callers make one HTTP request after the other, each on a connection of its own that is kept
// alive. One goroutine drives them all.
type Callers struct {
	// Fresh has each request made on a new connection.
	Fresh bool

	addr  netip.AddrPort
	epoll int
	list  map[int]*callerConn // by descriptor
}

type callerConn struct {
	fd    int
	users *Users
	head  []byte // of the request, up to the value of Content-Length
	body  []byte
	out   []byte
	in    []byte
}

// NewCallers connects as many callers as there are shares, which POST pushes to path.
func NewCallers(addr netip.AddrPort, path string, shares []*Users) (*Callers, error) {
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("making an epoll descriptor: %w", err)
	}
	c := &Callers{addr: addr, epoll: epoll, list: make(map[int]*callerConn)}
	for _, users := range shares {
		err := c.connect(&callerConn{
			users: users,
			head:  fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: ", path, addr),
		})
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return c, nil
}

// connect gives one a connection.
func (c *Callers) connect(one *callerConn) error {
	conn, err := Dial{Addr: c.addr}.Connect()
	if err != nil {
		return err
	}
	one.fd = conn.fd
	c.list[one.fd] = one
	event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(one.fd)}
	if err := syscall.EpollCtl(c.epoll, syscall.EPOLL_CTL_ADD, one.fd, &event); err != nil {
		return fmt.Errorf("watching a socket: %w", err)
	}
	return nil
}

// next sends the next push of one.
func (c *Callers) next(one *callerConn) error {
	if c.Fresh {
		delete(c.list, one.fd)
		if err := reset(one.fd); err != nil {
			return fmt.Errorf("closing a connection: %w", err)
		}
		if err := c.connect(one); err != nil {
			return err
		}
	}
	return one.request()
}

// Close ends the connections.
func (c *Callers) Close() error {
	errs := []error{syscall.Close(c.epoll)}
	for fd := range c.list {
		errs = append(errs, reset(fd))
	}
	return errors.Join(errs...)
}

// Run pushes for d and returns how many pushes were answered, each with "delivered to one".
func (c *Callers) Run(ctx context.Context, d time.Duration) (pushes int, err error) {
	until := time.Now().Add(d)
	for _, one := range c.list {
		if err := one.request(); err != nil {
			return 0, err
		}
	}
	waiting := len(c.list)
	events := make([]syscall.EpollEvent, len(c.list))
	for waiting > 0 && ctx.Err() == nil {
		n, err := syscall.EpollWait(c.epoll, events, 1000)
		if err != nil && !errors.Is(err, syscall.EINTR) {
			return pushes, fmt.Errorf("waiting for events: %w", err)
		}
		more := time.Now().Before(until)
		for i := range max(n, 0) {
			one := c.list[int(events[i].Fd)]
			whole, err := one.answer()
			switch {
			case err != nil:
				return pushes, err
			case !whole:
				continue
			}
			pushes++
			if !more {
				waiting--
			} else if err := c.next(one); err != nil {
				return pushes, err
			}
		}
	}
	return pushes, ctx.Err()
}

// request sends the next push.
func (c *callerConn) request() error {
	c.body = c.users.AppendPush(c.body[:0])
	c.out = strconv.AppendInt(append(c.out[:0], c.head...), int64(len(c.body)), 10)
	c.out = append(append(c.out, "\r\n\r\n"...), c.body...)
	if _, err := syscall.Write(c.fd, c.out); err != nil {
		return fmt.Errorf("calling: %w", err)
	}
	return nil
}

// answer reads once, and reports whether the answer is whole.
func (c *callerConn) answer() (whole bool, err error) {
	var buf [4096]byte
	n, err := syscall.Read(c.fd, buf[:])
	switch {
	case errors.Is(err, syscall.EINTR):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("reading an answer: %w", err)
	case n == 0:
		return false, errors.New("the server closed a connection that is kept alive")
	}
	c.in = append(c.in, buf[:n]...)
	head, body, ok := bytes.Cut(c.in, []byte("\r\n\r\n"))
	if !ok {
		return false, nil
	}
	_, length, _ := bytes.Cut(head, []byte("\r\nContent-Length: "))
	length, _, _ = bytes.Cut(length, []byte("\r\n"))
	size, err := strconv.Atoi(string(length))
	if err != nil {
		return false, fmt.Errorf("the server answered %q", c.in)
	}
	if len(body) < size {
		return false, nil
	}
	if !bytes.Contains(body, []byte(delivered)) {
		return false, fmt.Errorf("the server answered %q", c.in)
	}
	c.in = c.in[:0]
	return true, nil
}
