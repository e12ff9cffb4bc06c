package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// refusal returns why a store of these bytes is refused, nil if it is opened.
func refusal(t *testing.T, data []byte) error {
	t.Helper()
	path := filepath.Join(t.TempDir(), "crier.db")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(Options{Path: path})
	if err == nil {
		shut(t, s)
	} else if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, data) {
		t.Errorf("the file was changed, %v", err)
	}
	return err
}

// pagesOf returns where the pages of a kind are that have so many elements.
func pagesOf(data []byte, kindOf uint16, least int) (at []int) {
	size := os.Getpagesize()
	for n := 2 * size; n < len(data); n += size {
		page := data[n : n+size]
		if kind(page) == kindOf && count(page) >= least && binary.NativeEndian.Uint64(page) == uint64(n/size) {
			at = append(at, n)
		}
	}
	return at
}

// Entries that have changed their places are found out, in leaves and in branches.
func TestDisorder(t *testing.T) {
	good := listed(t)
	order := binary.NativeEndian
	for name, c := range map[string]struct {
		kind uint16
		pos  int // of the place of the key in an element
	}{"leaves": {leafPage, 4}, "branches": {branchPage, 0}} {
		t.Run(name, func(t *testing.T) {
			found := 0
			for _, at := range pagesOf(good, c.kind, 2) {
				bad := bytes.Clone(good)
				e := bad[at+pageHead : at+pageHead+2*elementSize]
				first, second := bytes.Clone(e[:elementSize]), bytes.Clone(e[elementSize:])
				order.PutUint32(first[c.pos:], order.Uint32(first[c.pos:])-elementSize)
				order.PutUint32(second[c.pos:], order.Uint32(second[c.pos:])+elementSize)
				copy(e, second)
				copy(e[elementSize:], first)
				err := refusal(t, bad)
				if err != nil && !errors.Is(err, ErrDamaged) {
					t.Errorf("page at %d: %v", at, err)
				}
				if err != nil && strings.Contains(err.Error(), "in disorder") {
					found++
				} // else it is not in use any more, or something else is found first
			}
			if found == 0 {
				t.Error("no page could be changed")
			}
		})
	}
}

// Whatever byte of the head of a page or its first elements changes, the program does not crash, and opens nothing else
// because of the head, unless that is how many elements the page has: nothing vouches for the last ones, nor for values.
func TestFlipped(t *testing.T) {
	good := listed(t)
	want := contents(t, good)
	size := os.Getpagesize()
	refused := 0
	for page := 2 * size; page < len(good); page += size {
		for n := page % 5; n < pageHead+2*elementSize; n += 5 {
			bad := bytes.Clone(good)
			bad[page+n] ^= 0x41
			switch got := contents(t, bad); {
			case got == "":
				refused++
			case got != want && n < pageHead && n != 10:
				t.Errorf("byte %d of page %d has changed, and the store opened with other contents", n, page/size)
			}
		}
	}
	if refused < 50 {
		t.Errorf("only %d changes were found out", refused)
	}
}
