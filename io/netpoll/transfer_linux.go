//go:build !race

package netpoll

import (
	"syscall"
	"unsafe"
)

// readNow is one read(2) of what is not blocking.
func readNow(fd int, p []byte) (int, error) {
	return result(syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p))))
}

// writeNow is one write(2), likewise.
func writeNow(fd int, p []byte) (int, error) {
	return result(syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p))))
}
