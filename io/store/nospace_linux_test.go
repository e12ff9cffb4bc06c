package store

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"

	"crier/io/jobs"
)

// The file of a full file system; needs the right to mount one.
func TestNoSpace(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("cannot mount a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	s := open(t, Options{Path: filepath.Join(dir, "crier.db")})
	t.Cleanup(func() { shut(t, s) })
	q := queue(t, s)
	var ids []uint64
	for {
		job := []jobs.Job{{Payload: make([]byte, 50_000)}}
		if err := q.Add(job); err != nil {
			if !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("error %v", err)
			}
			break
		}
		ids = append(ids, job[0].ID)
	}
	shut(t, s)
	s = open(t, Options{Path: s.Path()}) // there is no room to list what is free
	q = queue(t, s)
	if got := len(held(t, q)); got != len(ids) {
		t.Errorf("opened again, it holds %d jobs of %d", got, len(ids))
	}
	if err := q.Remove(ids...); err != nil {
		t.Errorf("removing in a full file system: %v", err)
	}
	add(t, q, "there is room again")
	shut(t, s)
	if got := held(t, queue(t, open(t, Options{Path: s.Path()}))); len(got) != 1 {
		t.Errorf("held %d jobs", len(got))
	}
}
