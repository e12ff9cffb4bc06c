package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	bolt "go.etcd.io/bbolt"
)

// compactPause is how long after an attempt to make the file smaller the next one may come.
const compactPause = time.Minute

// compactIfFree makes the file smaller when most of it is unused: bbolt files never shrink by themselves. Only run, and
// Open before it, may call it.
func (s *Store) compactIfFree() {
	free := s.free()
	if free < s.compactAbove {
		return
	}
	now := time.Now()
	size, _ := s.space()
	if free*2 < size || now.Before(s.compactNext) {
		return
	}
	s.compactNext = now.Add(compactPause)
	if err := s.compact(); err != nil {
		s.log.Warn("the store could not be made smaller; it goes on with the file as it is", "path", s.path, "error", err)
		return
	}
	s.counter.compactions.Add(1)
	after, _ := s.space()
	s.log.Info("the store was made smaller", "path", s.path, "bytes_before", size, "bytes_now", after, "took", time.Since(now))
}

// compact copies what is in use to a new file, which then takes the place of the old one. Until the rename a crash
// leaves the old file, from then on the new one; each is whole and on the disk, and locked by this process.
func (s *Store) compact() error {
	path := s.path + compactSuffix
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing what an earlier attempt left: %w", err)
	}
	options := boltOptions(Options{LockTimeout: time.Second})
	options.PageSize = int(s.pageSize)
	dst, err := bolt.Open(path, filePerm, options)
	if err != nil {
		return fmt.Errorf("making the new file: %w", err)
	}
	if err := s.fill(dst); err != nil {
		return errors.Join(err, dst.Close(), os.Remove(path))
	}
	if err := os.Rename(path, s.path); err != nil {
		return errors.Join(fmt.Errorf("naming the new file: %w", err), dst.Close(), os.Remove(path))
	}
	// From here on there is no way back: the new file is the store.
	s.mu.Lock()
	src := s.db
	s.db = dst
	s.mu.Unlock()
	return errors.Join(syncDir(s.path), src.Close())
}

// copyBatch is how many bytes are copied in one transaction, all of which are held in memory.
const copyBatch = 8 << 20

func (s *Store) fill(dst *bolt.DB) error {
	dst.NoSync = true // nobody needs a part of it
	err := guard(func() error { return bolt.Compact(dst, s.db, copyBatch) })
	if err != nil {
		return fmt.Errorf("copying: %w", err)
	}
	if err := dst.Sync(); err != nil {
		return fmt.Errorf("writing the copy to the disk: %w", err)
	}
	dst.NoSync = false
	return nil
}
