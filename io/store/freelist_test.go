package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// listed returns the bytes of a store that holds something of everything, has free pages, and lists them.
func listed(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "crier.db")
	if err := os.WriteFile(path, filled(t), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, Options{Path: path})
	q := queue(t, s)
	for n := range uint64(100) {
		if err := q.Remove(n + 20); err != nil {
			t.Fatal(err)
		}
	}
	if st := s.Stats(); st.FreeBytes == 0 {
		t.Fatalf("%+v", st)
	}
	shut(t, s)
	shut(t, open(t, Options{Path: path}))
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// lastMeta returns the number of the page with the last meta.
func lastMeta(t *testing.T, data []byte) int {
	t.Helper()
	size := os.Getpagesize()
	a, wholeA := parseMeta(data[:size])
	b, wholeB := parseMeta(data[size : 2*size])
	if !wholeA || !wholeB {
		t.Fatal("a meta is not whole")
	}
	if a.tx > b.tx {
		return 0
	}
	return 1
}

// What is written to list free pages is what bbolt would write, and is there until the next change.
func TestFreeListed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "crier.db")
	data := listed(t)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	size := os.Getpagesize()
	if m, _ := parseMeta(data[lastMeta(t, data)*size:]); m.freeList == noFreeList {
		t.Fatal("there is no list")
	}
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if free := db.Stats().FreePageN; free == 0 {
		t.Error("bbolt finds no free page")
	}
	check := func() {
		err := db.View(func(tx *bolt.Tx) (err error) {
			for e := range tx.Check() {
				err = errors.Join(err, e)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	check()
	if err := db.Update(func(tx *bolt.Tx) error { return tx.DeleteBucket([]byte(jobsBucket)) }); err != nil {
		t.Fatal(err)
	}
	check()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	want := contents(t, data)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		shut(t, open(t, Options{Path: path}))
		again, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(again, data) || contents(t, again) != want {
			t.Errorf("opened again, it is another: %v", err)
		}
	}
}

// Killed while it lists free pages, the store is what it was.
func TestFreeListTorn(t *testing.T) {
	data := listed(t)
	size := os.Getpagesize()
	want := contents(t, data)
	if want == "" {
		t.Fatal("it is refused")
	}
	for name, n := range map[string]int{"nothing of the meta": 0, "the head": pageHead, "half": pageHead + 30, "no checksum": pageHead + metaSize} {
		t.Run(name, func(t *testing.T) {
			torn := bytes.Clone(data)
			clear(torn[lastMeta(t, data)*size+n:][:size-n])
			if got := contents(t, torn); got != want {
				t.Errorf("contents %q", got)
			}
		})
	}
}

// A list that does not say what is free is not gone by: pages that are in use would be overwritten.
func TestFreeListWrong(t *testing.T) {
	good := listed(t)
	size := os.Getpagesize()
	m, _ := parseMeta(good[lastMeta(t, good)*size:])
	at := int(m.freeList) * size
	list, err := parseFreeList(good[at:at+size], m.freeList)
	if err != nil || len(list) < 2 {
		t.Fatalf("%d, %v", list, err)
	}
	with := func(change func(list []uint64) []uint64) func([]byte) {
		return func(data []byte) { copy(data[at:], appendFreeList(m.freeList, change(slices.Clone(list)), size)) }
	}
	for name, change := range map[string]func(data []byte){
		"one in use":     with(func(list []uint64) []uint64 { list[0] = m.root; return list }),
		"one missing":    with(func(list []uint64) []uint64 { return list[1:] }),
		"one too many":   with(func(list []uint64) []uint64 { return append(list, m.freeList) }),
		"one twice":      with(func(list []uint64) []uint64 { list[1] = list[0]; return list }),
		"none":           with(func([]uint64) []uint64 { return nil }),
		"too long":       func(data []byte) { binary.NativeEndian.PutUint16(data[at+10:], 0xfffe) },
		"much too long":  func(data []byte) { binary.NativeEndian.PutUint16(data[at+10:], manyFree) },
		"another kind":   func(data []byte) { binary.NativeEndian.PutUint16(data[at+8:], leafPage) },
		"too many pages": func(data []byte) { binary.NativeEndian.PutUint32(data[at+12:], 1<<31) },
		"another number": func(data []byte) { data[at]++ },
		"nothing at all": func(data []byte) { clear(data[at : at+size]) },
		"something else": func(data []byte) { copy(data[at:], good[2*size:3*size]) },
		"where the end is": func(data []byte) {
			m.freeList, m.raw = m.end, bytes.Clone(m.raw)
			copy(data[lastMeta(t, good)*size:], appendMeta(m, size))
		},
	} {
		t.Run(name, func(t *testing.T) {
			bad := bytes.Clone(good)
			change(bad)
			if err := refusal(t, bad); !errors.Is(err, ErrDamaged) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestFreeListLong(t *testing.T) {
	const size = 4096
	for _, n := range []int{0, 1, 510, 511, 0xfffe, 0xffff, 0x10000, 200_000} {
		list := make([]uint64, n)
		for i := range list {
			list[i] = uint64(2*i + 2)
		}
		b := appendFreeList(7, list, size)
		if got, err := parseFreeList(b, 7); err != nil || !slices.Equal(got, list) || len(b)%size != 0 {
			t.Errorf("%d: %d of them in %d bytes, %v", n, len(got), len(b), err)
		}
		if pages := binary.NativeEndian.Uint32(b[12:]); int(pages+1)*size != len(b) {
			t.Errorf("%d: %d pages for %d bytes", n, pages, len(b))
		}
	}
}
