package store

import (
	"encoding/binary"
	"fmt"
	"os"
	"slices"
)

// findFree notes which pages are not in use, once all that are have been read. If the file has a list of them, which bbolt
// goes by, that has to say the same.
func (p *pages) findFree() error {
	var listed []uint64
	if p.meta.freeList != noFreeList {
		page, err := p.read(p.meta.freeList, 0)
		if err != nil {
			return err
		}
		if listed, err = parseFreeList(page, p.meta.freeList); err != nil {
			return err
		}
	}
	for n := uint64(2); n < p.meta.end; n++ {
		if !p.used.has(n) {
			p.free = append(p.free, n)
		}
	}
	if p.meta.freeList != noFreeList && !slices.Equal(p.free, listed) {
		return fmt.Errorf("%w: its list of free pages is wrong", ErrDamaged)
	}
	return nil
}

// parseFreeList returns what a list of free pages says.
func parseFreeList(page []byte, id uint64) ([]uint64, error) {
	n, ids := uint64(count(page)), page[pageHead:]
	if n == manyFree && len(ids) >= 8 {
		n, ids = binary.NativeEndian.Uint64(ids), ids[8:]
	}
	if kind(page) != freePage || n > uint64(len(ids)/8) {
		return nil, badPage(id)
	}
	list := make([]uint64, n)
	for i := range list {
		list[i] = binary.NativeEndian.Uint64(ids[i*8:])
	}
	return list, nil
}

// appendFreeList returns the pages of a list of free pages, the first of them with that number.
func appendFreeList(id uint64, free []uint64, size int) []byte {
	order := binary.NativeEndian
	b := order.AppendUint64(nil, id)
	b = order.AppendUint16(b, freePage)
	b = order.AppendUint16(b, uint16(min(len(free), manyFree)))
	b = order.AppendUint32(b, 0)
	if len(free) >= manyFree {
		b = order.AppendUint64(b, uint64(len(free)))
	}
	for _, n := range free {
		b = order.AppendUint64(b, n)
	}
	if rest := len(b) % size; rest > 0 {
		b = append(b, make([]byte, size-rest)...)
	}
	order.PutUint32(b[12:], uint32(len(b)/size-1))
	return b
}

// appendMeta returns the page of a meta.
func appendMeta(m meta, size int) []byte {
	order := binary.NativeEndian
	b := order.AppendUint64(nil, m.tx%2)
	b = order.AppendUint16(b, metaPage)
	b = append(b, make([]byte, pageHead-len(b))...)
	raw := slices.Clone(m.raw)
	order.PutUint64(raw[32:], m.freeList)
	order.PutUint64(raw[40:], m.end)
	order.PutUint64(raw[48:], m.tx)
	b = append(b, raw...)
	b = order.AppendUint64(b, checksum(raw))
	return append(b, make([]byte, size-len(b))...)
}

// writeFree writes the list of free pages into a file that has none, as a transaction of bbolt would that changes nothing:
// what is in the file stays whole, whenever that is interrupted. Whoever opens it then need not read all of it to find them,
// which bbolt does through the mapping, so that the whole file would be in memory. The caller has locked the file, in which
// the meta of p is the last.
func (p *pages) writeFree(file *os.File) error {
	next := p.meta
	list := appendFreeList(next.end, p.free, p.size)
	next.freeList, next.end, next.tx = next.end, next.end+uint64(len(list)/p.size), next.tx+1
	if _, err := file.WriteAt(list, int64(next.freeList)*int64(p.size)); err != nil {
		return err
	}
	if err := datasync(file); err != nil {
		return err
	}
	if _, err := file.WriteAt(appendMeta(next, p.size), int64(next.tx%2)*int64(p.size)); err != nil {
		return err
	}
	return datasync(file)
}
