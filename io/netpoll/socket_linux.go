package netpoll

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// Socket is a connection that nobody waits for: a descriptor. A Poller that adopts it has that; for everybody else it becomes
// a connection of the net package with the first call that needs one.
type Socket struct {
	peer netip.AddrPort // static; not valid: it has to be asked

	mu   sync.Mutex
	fd   int      // -1: it is no more
	from *Conn    // whose it was, and still is to the poller; nil if there is none
	conn net.Conn // what it has become; nil if nothing
}

// Whole returns the connection of the net package that it becomes.
func (s *Socket) Whole() (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.conn != nil:
		return s.conn, nil
	case s.fd < 0:
		return nil, net.ErrClosed
	}
	if err := s.leaveLocked(); err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(s.fd), "socket")
	s.fd = -1
	conn, err := net.FileConn(file) // with a descriptor of its own
	if err = errors.Join(err, file.Close()); err != nil {
		if conn != nil {
			err = errors.Join(err, conn.Close())
		}
		return nil, fmt.Errorf("making a connection of a descriptor: %w", err)
	}
	s.conn = conn
	return conn, nil
}

// leaveLocked has the poller that had it forget it.
func (s *Socket) leaveLocked() error {
	if s.from == nil {
		return nil
	}
	p := s.from.poller
	s.from = nil
	if err := controlNow(p.epoll.fd, syscall.EPOLL_CTL_DEL, s.fd, 0); err != nil {
		return os.NewSyscallError("epoll_ctl", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.own[s.fd] = nil
	return nil
}

// Read implements [net.Conn].
func (s *Socket) Read(p []byte) (int, error) {
	conn, err := s.Whole()
	if err != nil {
		return 0, err
	}
	return conn.Read(p)
}

// Write implements [net.Conn].
func (s *Socket) Write(p []byte) (int, error) {
	n := s.writeSome(p)
	if n == len(p) {
		return n, nil
	}
	conn, err := s.Whole()
	if err != nil {
		return n, err
	}
	more, err := conn.Write(p[n:])
	return n + more, err
}

// writeSome writes what the kernel takes at once, as long as nothing more is needed.
func (s *Socket) writeSome(p []byte) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd < 0 {
		return 0
	}
	n, err := writeNow(s.fd, p)
	if err != nil {
		return 0 // who tries again meets the same error, or waits
	}
	return n
}

// Close implements [net.Conn].
func (s *Socket) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.conn != nil:
		return s.conn.Close()
	case s.fd < 0:
		return net.ErrClosed
	}
	err := s.leaveLocked()
	fd := s.fd
	s.fd = -1
	return errors.Join(err, os.NewSyscallError("close", closeNow(fd)))
}

// CloseWrite ends the outgoing stream.
func (s *Socket) CloseWrite() error {
	conn, err := s.Whole()
	if err != nil {
		return err
	}
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return conn.Close()
}

// LocalAddr implements [net.Conn].
func (s *Socket) LocalAddr() net.Addr {
	return s.address(syscall.Getsockname, net.Conn.LocalAddr)
}

// RemoteAddr implements [net.Conn].
func (s *Socket) RemoteAddr() net.Addr {
	if s.peer.IsValid() {
		return net.TCPAddrFromAddrPort(s.peer)
	}
	return s.address(syscall.Getpeername, net.Conn.RemoteAddr)
}

// address asks the descriptor, or what it has become.
func (s *Socket) address(ask func(fd int) (syscall.Sockaddr, error), whole func(net.Conn) net.Addr) net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil {
		return whole(s.conn)
	}
	addr, err := ask(s.fd)
	if err != nil {
		return &net.TCPAddr{}
	}
	return addrOf(addr)
}

// SetDeadline implements [net.Conn].
func (s *Socket) SetDeadline(t time.Time) error { return s.limit(t, net.Conn.SetDeadline) }

// SetReadDeadline implements [net.Conn].
func (s *Socket) SetReadDeadline(t time.Time) error { return s.limit(t, net.Conn.SetReadDeadline) }

// SetWriteDeadline implements [net.Conn].
func (s *Socket) SetWriteDeadline(t time.Time) error { return s.limit(t, net.Conn.SetWriteDeadline) }

// limit sets a deadline. A descriptor has none.
func (s *Socket) limit(t time.Time, set func(net.Conn, time.Time) error) error {
	if t.IsZero() && s.bare() {
		return nil
	}
	conn, err := s.Whole()
	if err != nil {
		return err
	}
	return set(conn, t)
}

// bare reports whether it is a descriptor still.
func (s *Socket) bare() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fd >= 0
}

// suits reports whether p can have the descriptor as it is: nobody waits for it but p.
func (s *Socket) suits(p *Poller) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fd >= 0 && (s.from == nil || s.from.poller == p)
}

// addrOf is an address as the net package has it.
func addrOf(a syscall.Sockaddr) net.Addr {
	switch a := a.(type) {
	case *syscall.SockaddrInet4:
		return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)))
	case *syscall.SockaddrInet6:
		ip := netip.AddrFrom16(a.Addr).Unmap()
		if a.ZoneId != 0 {
			ip = ip.WithZone(zoneOf(int(a.ZoneId)))
		}
		return net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, uint16(a.Port)))
	case *syscall.SockaddrUnix:
		return &net.UnixAddr{Name: a.Name, Net: "unix"}
	}
	return &net.TCPAddr{}
}

// RemoteText returns RemoteAddr as text: for each new connection, so it makes nothing else.
func (s *Socket) RemoteText() string {
	if s.peer.IsValid() {
		return s.peer.String()
	}
	return s.RemoteAddr().String()
}

// zoneOf is the name of an interface, or its number.
func zoneOf(index int) string {
	i, err := net.InterfaceByIndex(index)
	if err != nil {
		return fmt.Sprint(index)
	}
	return i.Name
}

// Release takes the connection from the poller. It is for Data, which must return [ErrDetached] then; nobody else may use
// the connection meanwhile, and Closed is not called. For a connection that has been closed, it returns nil.
func (c *Conn) Release() net.Conn {
	if !c.detach() {
		return nil
	}
	if c.net != nil {
		return c.net.conn
	}
	c.uses.Or(gone)
	return &Socket{fd: int(c.fd), from: c}
}

// adoptSocket is Adopt.
func (p *Poller) adoptSocket(pc *Conn, s *Socket, h Handler) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd < 0 {
		return net.ErrClosed
	}
	pc.poller, pc.h, pc.fd = p, h, int32(s.fd)
	if s.from != nil {
		if !p.replace(s.from, pc) {
			return ErrPollerClosed
		}
		s.from, s.fd = nil, -1
		return nil
	}
	if err := p.watch(pc, interest); err != nil {
		return fmt.Errorf("adopting connection: %w", err)
	}
	s.fd = -1
	return nil
}

// watch has the poller hear of pc, whose descriptor is the poller's then: also where that has been closed meanwhile, and pc with it. After
// an error it is not.
func (p *Poller) watch(pc *Conn, events uint32) error {
	if !p.enlist(pc) {
		return ErrPollerClosed
	}
	err := p.epoll.control(pc, syscall.EPOLL_CTL_ADD, events)
	if err != nil && pc.state.Or(closed)&closed == 0 {
		p.disown(pc)
		return err
	}
	return nil
}

// replace puts to in the place of from, whose descriptor it has; not once the poller is closed. What has been heard of
// that since it was released is to's now.
func (p *Poller) replace(from, to *Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	to.state.Or(from.state.Load() & (news | over | armed))
	p.own[to.fd] = to
	p.conns++
	p.active++
	return true
}

// disown undoes enlist, for a descriptor that stays somebody else's.
func (p *Poller) disown(pc *Conn) {
	p.mu.Lock()
	p.own[pc.fd] = nil
	p.mu.Unlock()
	p.remove(pc)
}
