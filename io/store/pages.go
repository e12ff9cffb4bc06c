package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"os"
)

// This is how bbolt lays out its file, in the byte order of the machine. The file is pages of one size. Each begins with
//
//	its number, 8 bytes; its kind, 2; how many elements it has, 2; how many of the next pages belong to it, 4
//
// Pages 0 and 1 are metas, of which the whole one with the greater transaction counts. A branch has elements of 16 bytes:
// where the key is, counted from the element, 4; its length, 4; the page that begins with it, 8. A leaf has elements of 16
// bytes: 1 for a bucket, else 0, 4; where the key is, and the value behind it, 4; their lengths, 4 each. The value of a
// bucket is the page of its root, 8 bytes, a sequence, 8, and, if the root is 0, a leaf. See
// https://pkg.go.dev/go.etcd.io/bbolt/internal/common.
const (
	pageHead    = 16
	elementSize = 16
	bucketHead  = 16

	branchPage = 0x01
	leafPage   = 0x02
	metaPage   = 0x04
	freePage   = 0x10 // a list of free pages

	isBucket   = 0x01 // in an element of a leaf
	noFreeList = ^uint64(0)
	// manyFree in the place of the number of elements says that the first one is that number.
	manyFree = 0xffff
)

// meta is what a meta page says.
type meta struct {
	raw      []byte // from behind the head of the page to the checksum
	root     uint64 // the page of the buckets at the top
	freeList uint64 // the page of the list of free pages, or noFreeList
	end      uint64 // pages from here on have never been used
	tx       uint64
}

// metaSize is the size of a meta without its checksum.
const metaSize = 56

// parseMeta returns what a meta page says, and whether it is whole.
func parseMeta(page []byte) (meta, bool) {
	raw := page[pageHead : pageHead+metaSize]
	order := binary.NativeEndian
	m := meta{raw, order.Uint64(raw[16:]), order.Uint64(raw[32:]), order.Uint64(raw[40:]), order.Uint64(raw[48:])}
	return m, order.Uint64(page[pageHead+metaSize:]) == checksum(raw)
}

// checksum is that of a meta.
func checksum(raw []byte) uint64 {
	sum := fnv.New64a()
	sum.Write(raw) // never fails
	return sum.Sum64()
}

// pages reads the pages of a bbolt file, with few of them in memory at a time: what is read through the mapping of a file
// counts as the program's memory.
type pages struct {
	file *os.File
	size int // of a page
	meta meta

	used  bitmap   // those that have been read, with what belongs to them
	asked bitmap   // windows of the file that the system was asked for
	stack [][]byte // the last one that was read, of each depth
	free  []uint64 // those that are not in use, by growing number; see findFree
}

// newPages returns a reader for what transaction tx has left, which has to be the last one.
func newPages(file *os.File, size int, tx uint64) (*pages, error) {
	p := &pages{file: file, size: size}
	for n := range int64(2) {
		page := make([]byte, size)
		if _, err := file.ReadAt(page, n*int64(size)); err != nil {
			return nil, fmt.Errorf("reading page %d: %w", n, err)
		}
		if m, whole := parseMeta(page); whole && m.tx >= p.meta.tx {
			p.meta = m
		}
	}
	if p.meta.tx != tx || p.meta.raw == nil {
		return nil, fmt.Errorf("%w: it was written meanwhile", ErrLocked)
	}
	p.used = newBitmap(p.meta.end)
	p.asked = newBitmap(p.meta.end*uint64(size)/window + 2)
	return p, nil
}

// read returns a page with those that belong to it, valid until the next one of that depth is read.
func (p *pages) read(id uint64, depth int) ([]byte, error) {
	for len(p.stack) <= depth {
		p.stack = append(p.stack, make([]byte, p.size))
	}
	if id < 2 || id >= p.meta.end {
		return nil, badPage(id)
	}
	page := p.stack[depth][:p.size]
	at := int64(id) * int64(p.size)
	p.ask(uint64(at) / window)
	if _, err := p.file.ReadAt(page, at); err != nil {
		return nil, fmt.Errorf("reading page %d: %w", id, err)
	}
	more := uint64(binary.NativeEndian.Uint32(page[12:]))
	if binary.NativeEndian.Uint64(page) != id || id+more >= p.meta.end || !p.used.add(id, id+more) {
		return nil, badPage(id)
	}
	if more == 0 {
		return page, nil
	}
	whole := int(more+1) * p.size
	if cap(page) < whole {
		page = make([]byte, whole)
		p.stack[depth] = page
	}
	page = page[:whole]
	if _, err := p.file.ReadAt(page, at); err != nil {
		return nil, fmt.Errorf("reading page %d: %w", id, err)
	}
	return page, nil
}

// window is how much of a file the system is asked for at once, in bytes. Pages are read in the order of their entries, in which
// it would get them from the disk one by one.
const window = 1 << 20

// ask asks for a window and the next one, unless it has.
func (p *pages) ask(n uint64) {
	for _, n := range []uint64{n, n + 1} {
		if p.asked.add(n, n) {
			readAhead(p.file, int64(n)*window, window)
		}
	}
}

func badPage(id uint64) error { return fmt.Errorf("%w: its page %d cannot be read", ErrDamaged, id) }

// walk reads the page with that number and all below it, of a bucket with that path, which is its name behind those of the
// buckets that it is in. depth counts the pages above. For each leaf it calls enter with the path of its bucket, and what that
// returns for each entry, by growing key; key and value are valid until that returns. It fails if a key is not in its place,
// which is behind the one before, from low on and before high, where nil is no bound.
func (p *pages) walk(path string, id uint64, depth int, low, high []byte, enter func(path string) func(k, v []byte) error) error {
	page, err := p.read(id, depth)
	if err != nil {
		return err
	}
	w := pageWalk{p, path, id, depth, low, high, enter}
	switch kind(page) {
	case leafPage:
		return w.leaf(page)
	case branchPage:
		return w.branch(page)
	}
	return badPage(id)
}

// pageWalk is the way through one page; see pages.walk.
type pageWalk struct {
	pages     *pages
	path      string
	id        uint64
	depth     int
	low, high []byte
	enter     func(path string) func(k, v []byte) error
}

func (w *pageWalk) branch(page []byte) error {
	n := count(page)
	for i := range n {
		key, _, err := w.element(page, i)
		if err != nil {
			return err
		}
		next := w.high
		if i < n-1 {
			if next, _, err = w.element(page, i+1); err != nil {
				return err
			}
		}
		if err := w.ordered(key, i == 0); err != nil {
			return err
		}
		w.low = key
		below := binary.NativeEndian.Uint64(page[pageHead+i*elementSize+8:])
		if err := w.pages.walk(w.path, below, w.depth+1, key, next, w.enter); err != nil {
			return err
		}
	}
	return nil
}

func (w *pageWalk) leaf(page []byte) error {
	each := w.enter(w.path)
	for i := range count(page) {
		key, value, err := w.element(page, i)
		if err != nil {
			return err
		}
		if err := w.ordered(key, i == 0); err != nil {
			return err
		}
		w.low = key
		if page[pageHead+i*elementSize]&isBucket == 0 {
			err = each(key, value)
		} else {
			err = w.bucket(key, value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ordered fails if a key is not behind the one before, or, for the first one of a page, before low, or not before high.
func (w *pageWalk) ordered(key []byte, first bool) error {
	c := bytes.Compare(key, w.low)
	if c < 0 || c == 0 && !first || w.high != nil && bytes.Compare(key, w.high) >= 0 {
		return fmt.Errorf("%w: its part %q is in disorder", ErrDamaged, w.path)
	}
	return nil
}

// bucket goes through a bucket that is an entry of a leaf.
func (w *pageWalk) bucket(key, value []byte) error {
	if len(value) < bucketHead {
		return badPage(w.id)
	}
	path := string(key)
	if w.path != "" {
		path = w.path + "/" + path
	}
	if root := binary.NativeEndian.Uint64(value); root != 0 {
		return w.pages.walk(path, root, w.depth+1, nil, nil, w.enter)
	}
	page := value[bucketHead:] // it is small
	if len(page) < pageHead || kind(page) != leafPage {
		return badPage(w.id)
	}
	in := pageWalk{w.pages, path, w.id, w.depth, nil, nil, w.enter}
	return in.leaf(page)
}

// kind and count return what the head of a page says.

func kind(page []byte) uint16 { return binary.NativeEndian.Uint16(page[8:]) }
func count(page []byte) int   { return int(binary.NativeEndian.Uint16(page[10:])) }

// element returns the key and the value of an element of a page; of a branch, the value is nil.
func (w *pageWalk) element(page []byte, n int) (key, value []byte, err error) {
	from := pageHead + n*elementSize
	if from+elementSize > len(page) {
		return nil, nil, badPage(w.id)
	}
	e, order := page[from:], binary.NativeEndian
	var pos, keySize, valueSize uint64
	if kind(page) == leafPage {
		pos, keySize, valueSize = uint64(order.Uint32(e[4:])), uint64(order.Uint32(e[8:])), uint64(order.Uint32(e[12:]))
	} else {
		pos, keySize = uint64(order.Uint32(e)), uint64(order.Uint32(e[4:]))
	}
	if keySize == 0 || pos+keySize+valueSize > uint64(len(e)) {
		return nil, nil, badPage(w.id)
	}
	return e[pos : pos+keySize], e[pos+keySize : pos+keySize+valueSize], nil
}

// bitmap is a set of numbers below a limit.
type bitmap []uint64

func newBitmap(limit uint64) bitmap { return make(bitmap, (limit+63)/64) }

func (b bitmap) has(n uint64) bool { return b[n/64]&(1<<(n%64)) != 0 }

// add adds the numbers from first to last, and reports whether none of them was there.
func (b bitmap) add(first, last uint64) bool {
	for n := first; n <= last; n++ {
		if b.has(n) {
			return false
		}
		b[n/64] |= 1 << (n % 64)
	}
	return true
}
