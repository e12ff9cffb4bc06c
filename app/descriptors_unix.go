//go:build unix

package app

import (
	"fmt"
	"syscall"
)

// descriptors is how many files and connections the process may have open.
func descriptors() (int, error) {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		return 0, fmt.Errorf("reading the limit of open files: %w", err)
	}
	return int(min(uint64(files.Cur), 1<<30)), nil
}
