package netpoll

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls that every client's descriptor takes again and again. None of them waits, so Go's scheduler is not told of them: it would
// be ready to run others meanwhile, and on a busy machine it does, which wakes a thread and lets this one look for a processor again. Without
// that a client that comes and goes takes 9 % less (docs/BENCHMARKS.md).

// closeNow is close(2) of a socket that does not linger.
func closeNow(fd int) error {
	_, err := result(syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(fd), 0, 0))
	return err
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
