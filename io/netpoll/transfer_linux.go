//go:build !race

package netpoll

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// recv(2) and send(2) spare the kernel the way through what every file has (vfs_write alone was 3 % of a push, by perf). Of a message to one of
// many users that is 4 %, of an event 3 % (docs/BENCHMARKS.md). And a write to who has gone makes no SIGPIPE.

// readNow is one recv(2), which does not wait.
func readNow(fd int, p []byte) (int, error) {
	return result(syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), syscall.MSG_DONTWAIT, 0, 0))
}

// writeNow is one send(2), which does not either.
func writeNow(fd int, p []byte) (int, error) {
	const flags = syscall.MSG_DONTWAIT | syscall.MSG_NOSIGNAL
	return result(syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), flags, 0, 0))
}
