package store

import (
	"os"

	"golang.org/x/sys/unix"

	bolt "go.etcd.io/bbolt"
)

// letGo takes the first so many bytes of a file that is mapped out of this process's memory, where they are after they have
// been read once. They stay in the system's cache, and come back when they are read again.
func letGo(db *bolt.DB, size int64) {
	if data := db.Info().Data; data != 0 && size > 0 {
		// It is advice: when it fails, all is as it was.
		unix.Syscall(unix.SYS_MADVISE, data, uintptr(size), unix.MADV_DONTNEED)
	}
}

// readAhead has the system begin to read a part of a file. It is advice: when it fails, the part is read when it is needed.
func readAhead(f *os.File, from, size int64) {
	unix.Fadvise(int(f.Fd()), from, size, unix.FADV_WILLNEED)
}
