package netpoll

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls that every client's descriptor takes again and again. None of them waits, so Go's scheduler is not told of them: it would
// be ready to run others meanwhile, and on a busy machine it does, which wakes a thread and lets this one look for a processor again. Without
// that a client that comes and goes takes 9 % less, and the runtime's monitor, 5 % of a push on a new connection, sleeps (docs/BENCHMARKS.md).

// closeNow is close(2) of a socket that does not linger.
func closeNow(fd int) error {
	_, err := result(syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(fd), 0, 0))
	return err
}

// acceptNow is accept4(2) of a port that does not block. It says who has connected, unless it cannot tell.
func acceptNow(port int, from *unix.RawSockaddrAny) (int, netip.AddrPort, error) {
	size := uint32(unix.SizeofSockaddrAny)
	fd, err := result(syscall.RawSyscall6(unix.SYS_ACCEPT4, uintptr(port), uintptr(unsafe.Pointer(from)), uintptr(unsafe.Pointer(&size)),
		unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0))
	if err != nil {
		return -1, netip.AddrPort{}, err
	}
	return fd, addrPort(from), nil
}

// addrPort is an address of TCP as the kernel has it.
func addrPort(a *unix.RawSockaddrAny) netip.AddrPort {
	switch a.Addr.Family {
	case unix.AF_INET:
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(a))
		return netip.AddrPortFrom(netip.AddrFrom4(in.Addr), hostOrder(in.Port))
	case unix.AF_INET6:
		in := (*unix.RawSockaddrInet6)(unsafe.Pointer(a))
		return netip.AddrPortFrom(addr6(in.Addr, in.Scope_id), hostOrder(in.Port))
	}
	return netip.AddrPort{}
}

// hostOrder turns what has the order of the network.
func hostOrder(port uint16) uint16 {
	var b [2]byte
	binary.NativeEndian.PutUint16(b[:], port)
	return binary.BigEndian.Uint16(b[:])
}

// eventsNow is epoll_wait(2) for the events that there are.
func eventsNow(epoll int, events []unix.EpollEvent) (int, error) {
	return result(syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), 0, 0, 0))
}

func result(n, _ uintptr, e syscall.Errno) (int, error) {
	if e != 0 {
		return -1, e
	}
	return int(n), nil
}
