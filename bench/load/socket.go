//go:build linux

package load

import (
	"errors"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// smallReceive and smallSegment make a peer whose kernel takes little of what it does not read, as over a
// network: on loopback it takes megabytes.
const (
	smallReceive = 4 << 10
	smallSegment = 1400
)

// dial begins a connection, which does not block. from may be the zero Addr.
func dial(to netip.AddrPort, from netip.Addr, small bool) (fd int, err error) {
	family := unix.AF_INET
	if !to.Addr().Is4() {
		family = unix.AF_INET6
	}
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	if err := prepare(fd, from, small); err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	if err := unix.Connect(fd, sockaddr(to)); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

func prepare(fd int, from netip.Addr, small bool) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return err
	}
	if small {
		err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, smallReceive)
		if err == nil {
			err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_MAXSEG, smallSegment)
		}
		if err != nil {
			return err
		}
	}
	if !from.IsValid() {
		return nil
	}
	// The port is chosen with the peer's address, so that each pair of addresses has its own 28,000.
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
		return err
	}
	return unix.Bind(fd, sockaddr(netip.AddrPortFrom(from, 0)))
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
	}
	return &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
}

// connected is how a connection that was begun has ended.
func connected(fd int) error {
	code, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && code != 0 {
		err = syscall.Errno(code)
	}
	return err
}

// reset ends a connection so that its port is free at once.
func reset(fd int) error {
	return errors.Join(
		unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}),
		unix.Close(fd),
	)
}
