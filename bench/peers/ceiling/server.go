//go:build linux

package main

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// server is the loop. Nothing in it is used by another goroutine.
type server struct {
	epoll        int
	public, push int     // descriptors that listen
	conns        []*conn // by descriptor
	clients      []*conn // that are connected, as broadcasts reach them
	users        []*conn // by number
	beats        []beat  // that are due, in order
	out          []byte  // what is being made to be sent
	all          []byte  // frames of the broadcasts read, for everybody
	writes       int     // so far
}

// conn is a connection.
type conn struct {
	fd     int
	pusher bool
	open   bool   // the WebSocket is
	link   bool   // of lines
	place  int    // in clients
	user   int    // -1: not logged in
	in     []byte // what is not whole
	out    []byte // what the socket has not taken
}

// beat is a heartbeat, for the connection that has c's descriptor then if that is still c.
type beat struct {
	c   *conn
	due time.Time
}

// every is the interval of heartbeats; the handshake says so too.
const every = 25 * time.Second

func newServer(port, pushPort int) (*server, error) {
	s := &server{}
	var err error
	if s.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("making an epoll descriptor: %w", err)
	}
	if s.public, err = s.listen(port); err == nil {
		s.push, err = s.listen(pushPort)
	}
	return s, err
}

func (s *server) listen(port int) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	}
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: port})
	}
	if err == nil {
		err = unix.Listen(fd, 4096)
	}
	if err == nil { // connections inherit it
		err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	if err == nil {
		err = s.watch(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN)
	}
	if err != nil {
		return -1, fmt.Errorf("listening on port %d: %w", port, err)
	}
	return fd, nil
}

func (s *server) watch(op, fd int, events uint32) error {
	return unix.EpollCtl(s.epoll, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

// run serves until the process is ended.
func (s *server) run() error {
	events := make([]unix.EpollEvent, 256)
	buf := make([]byte, 64<<10)
	for {
		wait := -1
		if len(s.beats) > 0 {
			wait = max(int(time.Until(s.beats[0].due).Milliseconds())+1, 0)
		}
		n, err := unix.EpollWait(s.epoll, events, wait)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("waiting for events: %w", err)
		}
		for _, e := range events[:max(n, 0)] {
			switch fd := int(e.Fd); fd {
			case s.public, s.push:
				if err := s.accept(fd); err != nil {
					return err
				}
			default:
				s.ready(fd, e.Events, buf)
			}
		}
		if len(s.beats) > 0 {
			s.pulse(time.Now())
		}
	}
}

// accept takes all connections that wait.
func (s *server) accept(listener int) error {
	for {
		fd, _, err := unix.Accept4(listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ECONNABORTED):
			continue
		case err != nil:
			return fmt.Errorf("accepting: %w", err)
		}
		if fd >= len(s.conns) {
			s.conns = append(s.conns, make([]*conn, fd+1-len(s.conns))...)
		}
		s.conns[fd] = &conn{fd: fd, pusher: listener == s.push, user: -1}
		if err := s.watch(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN); err != nil {
			return fmt.Errorf("watching a socket: %w", err)
		}
	}
}

// ready reads once, or writes.
func (s *server) ready(fd int, events uint32, buf []byte) {
	c := s.conns[fd]
	if c == nil {
		return // closed a moment ago
	}
	if events&unix.EPOLLOUT != 0 && !s.flush(c) || events&^unix.EPOLLOUT == 0 {
		return
	}
	n, err := unix.Read(fd, buf)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return
	}
	if n <= 0 {
		s.close(c)
		return
	}
	p := buf[:n]
	if len(c.in) > 0 {
		p = append(c.in, p...)
	}
	s.out, s.all = s.out[:0], s.all[:0]
	rest, ok := s.hear(c, p)
	if !ok {
		s.close(c)
		return
	}
	if len(s.all) > 0 {
		for _, one := range s.clients {
			s.send(one, s.all)
		}
	}
	if len(s.out) > 0 {
		s.send(c, s.out)
	}
	c.in = append([]byte(nil), rest...)
}

func (s *server) hear(c *conn, p []byte) (rest []byte, ok bool) {
	switch {
	case c.link:
		return s.chunks(p)
	case c.pusher:
		return s.requests(c, p)
	}
	return s.frames(c, p)
}

// breatheAfter is how many writes follow one another. A loop that never lets others run looks to the runtime like one that
// computes: its writes are interrupted then, to take the processor from it.
const breatheAfter = 256

// send writes, and keeps what the socket does not take.
func (s *server) send(c *conn, p []byte) {
	if s.writes++; s.writes%breatheAfter == 0 {
		runtime.Gosched()
	}
	if len(c.out) > 0 {
		c.out = append(c.out, p...)
		return
	}
	n, err := unix.Write(c.fd, p)
	if n == len(p) {
		return
	}
	if err != nil && !errors.Is(err, unix.EAGAIN) {
		return // its end is read soon
	}
	c.out = append(c.out, p[max(n, 0):]...)
	if s.watch(unix.EPOLL_CTL_MOD, c.fd, unix.EPOLLIN|unix.EPOLLOUT) != nil {
		s.close(c)
	}
}

// flush writes what is kept, and reports whether c is still there.
func (s *server) flush(c *conn) bool {
	n, err := unix.Write(c.fd, c.out)
	if err != nil && !errors.Is(err, unix.EAGAIN) {
		s.close(c)
		return false
	}
	if c.out = c.out[max(n, 0):]; len(c.out) > 0 {
		return true
	}
	c.out = nil
	if s.watch(unix.EPOLL_CTL_MOD, c.fd, unix.EPOLLIN) != nil {
		s.close(c)
		return false
	}
	return true
}

func (s *server) close(c *conn) {
	s.conns[c.fd] = nil
	if c.open {
		last := s.clients[len(s.clients)-1]
		s.clients[c.place], last.place = last, c.place
		s.clients = s.clients[:len(s.clients)-1]
	}
	if c.user >= 0 && s.users[c.user] == c {
		s.users[c.user] = nil
	}
	if err := unix.Close(c.fd); err != nil {
		panic(err) // never
	}
}

// pulse sends the heartbeats that are due.
func (s *server) pulse(now time.Time) {
	for len(s.beats) > 0 && !s.beats[0].due.After(now) {
		c := s.beats[0].c
		s.beats = s.beats[1:]
		if s.conns[c.fd] == c {
			s.send(c, heartbeat)
			s.beats = append(s.beats, beat{c, now.Add(every)})
		}
	}
}
