package store

import (
	"os"

	"golang.org/x/sys/unix"
)

// datasync makes what was written to a file last.
func datasync(f *os.File) error { return unix.Fdatasync(int(f.Fd())) }
