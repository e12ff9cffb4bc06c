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
// that a client that comes and goes takes 9 % less (docs/BENCHMARKS.md). And a call that it is told of after a moment without work wakes the
// runtime's monitor, which then looks every 20 µs whether that call is still under way: as long as there is one of these among
// what each client takes, that is 7 % of it.

// closeNow is close(2) of a socket that does not linger.
func closeNow(fd int) error {
	_, err := result(syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(fd), 0, 0))
	return err
}

// eventsNow is epoll_wait(2) for the events that there are.
func eventsNow(epoll int, events []unix.EpollEvent) (int, error) {
	return result(syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), 0, 0, 0))
}

// controlNow is epoll_ctl(2).
func controlNow(epoll, op, fd int, events uint32) error {
	e := unix.EpollEvent{Events: events, Fd: int32(fd)}
	_, err := result(syscall.RawSyscall6(syscall.SYS_EPOLL_CTL, uintptr(epoll), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(&e)), 0, 0))
	return err
}

// acceptNow is accept4(2) of a port that is not blocking, for a connection that is not either. The peer's address is not valid if it has
// a zone or is none of IP: who wants that asks for it. Whether a port is blocking is up to all processes that have it: if there are others,
// shared, it may wait after all, and the scheduler is told.
func acceptNow(port int, shared bool) (fd int, peer netip.AddrPort, err error) {
	const flags = syscall.SOCK_NONBLOCK | syscall.SOCK_CLOEXEC
	var a syscall.RawSockaddrAny
	size := uint32(syscall.SizeofSockaddrAny)
	if shared {
		fd, err = result(syscall.Syscall6(unix.SYS_ACCEPT4, uintptr(port), uintptr(unsafe.Pointer(&a)), uintptr(unsafe.Pointer(&size)), flags, 0, 0))
	} else {
		fd, err = result(syscall.RawSyscall6(unix.SYS_ACCEPT4, uintptr(port), uintptr(unsafe.Pointer(&a)), uintptr(unsafe.Pointer(&size)), flags, 0, 0))
	}
	if err == nil {
		peer = addrPort(&a)
	}
	return fd, peer, err
}

func addrPort(a *syscall.RawSockaddrAny) netip.AddrPort {
	port := func(p *uint16) uint16 { return binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(p))[:]) }
	switch a.Addr.Family {
	case syscall.AF_INET:
		in := (*syscall.RawSockaddrInet4)(unsafe.Pointer(a))
		return netip.AddrPortFrom(netip.AddrFrom4(in.Addr), port(&in.Port))
	case syscall.AF_INET6:
		in := (*syscall.RawSockaddrInet6)(unsafe.Pointer(a))
		if in.Scope_id == 0 {
			return netip.AddrPortFrom(netip.AddrFrom16(in.Addr).Unmap(), port(&in.Port))
		}
	}
	return netip.AddrPort{}
}

func result(n, _ uintptr, e syscall.Errno) (int, error) {
	if e != 0 {
		return -1, e
	}
	return int(n), nil
}
