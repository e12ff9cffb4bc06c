package store

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// lock locks a file as bbolt does for writing, until it is closed, and reports whether no other program has it open.
func lock(f *os.File) (bool, error) {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}
