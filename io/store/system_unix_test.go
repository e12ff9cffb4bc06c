//go:build unix

package store

import (
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// limitFiles has this process's files not grow beyond so many bytes, which is as when the disk is full, until lift is called.
func limitFiles(bytes int) (lift func() error, err error) {
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
		return nil, fmt.Errorf("reading how large files may be: %w", err)
	}
	small := before
	set(&small.Cur, bytes)
	return func() error { return unix.Setrlimit(unix.RLIMIT_FSIZE, &before) }, unix.Setrlimit(unix.RLIMIT_FSIZE, &small)
}

// set is for a field whose type is not the same on all systems.
func set[T int64 | uint64](field *T, n int) { *field = T(n) }

// makePipe makes a named pipe.
func makePipe(path string) error { return unix.Mkfifo(path, 0o600) }

// processorTime is what the process has used of all processors, in the kernel too.
func processorTime() (time.Duration, error) {
	var used syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return time.Duration(used.Utime.Nano() + used.Stime.Nano()), err
}
