package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"slices"
)

// A journal is what has happened in an inbox lately, in the order of that: each entry is on the disk before anybody is told.
// From time to time the inbox takes over what it says, and it begins anew.
//
// It is two files, used in turn, so that the one can be written while the inbox takes over the other. A file begins with
// journalMagic and the 16 bytes of the inbox's id. Behind that come entries, each of them what one fsync has made last:
//
//	length of the rest, 4 bytes, big-endian
//	checksum of the rest, 4 bytes (CRC-32C)
//	number of the entry, 8 bytes: that of the one before and 1
//	payload, see appendOps
//
// What does not fit comes from an earlier use of the file, or from an entry that was being written when the program was
// killed, of which nobody has been told.
type journal struct {
	path  string
	id    []byte
	files [2]*os.File // nil until they are needed
	turn  int         // which of them is being written
	end   int64       // of what has been written to it
	last  uint64      // the number of the latest entry
}

const (
	journalMagic = "crier inbox journal 1\n"
	// entryHead is what comes before the payload of an entry.
	entryHead = 16
	// maxEntry is how large an entry may be, in bytes.
	maxEntry = 1 << 30
)

var journalTable = crc32.MakeTable(crc32.Castagnoli)

// name returns the path of one of the files.
func (j *journal) name(n int) string { return j.path + [2]string{".journal-a", ".journal-b"}[n] }

func (j *journal) head() []byte { return append([]byte(journalMagic), j.id...) }

// entry is one of a journal.
type entry struct {
	number  uint64
	payload []byte
}

// read returns the entries behind number applied, in their order. They are the latest from then on. An error wraps ErrDamaged
// if what is there cannot be what was written.
func (j *journal) read(applied uint64) ([]entry, error) {
	var all []entry
	for n := range j.files {
		found, err := j.readFile(n)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	slices.SortFunc(all, func(a, b entry) int { return int(int64(a.number - b.number)) })
	all = slices.DeleteFunc(all, func(e entry) bool { return e.number <= applied })
	j.last = applied
	for _, e := range all {
		if e.number != j.last+1 {
			return nil, fmt.Errorf("%w: its journal (%s, %s) goes on with entry %d, and %d was the last: it is of another state of the store",
				ErrDamaged, j.name(0), j.name(1), e.number, j.last)
		}
		j.last = e.number
	}
	return all, nil
}

func (j *journal) readFile(n int) ([]entry, error) {
	data, err := os.ReadFile(j.name(n))
	switch head := j.head(); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading the journal: %w", err)
	case len(data) < len(head): // it was being made
		return nil, nil
	case string(data[:len(journalMagic)]) != journalMagic:
		return nil, fmt.Errorf("%w: %s is not its journal: move that away", ErrDamaged, j.name(n))
	case string(data[:len(head)]) != string(head):
		return nil, fmt.Errorf("%s is the journal of another store, and may hold messages for users: move it to where that store is, or remove it", j.name(n))
	default:
		return parseEntries(data[len(head):]), nil
	}
}

// parseEntries returns the entries at the beginning of data. Their payloads share its memory.
func parseEntries(data []byte) (all []entry) {
	for len(data) >= entryHead {
		size := int(binary.BigEndian.Uint32(data))
		if size < entryHead-8 || size > len(data)-8 || binary.BigEndian.Uint32(data[4:]) != crc32.Checksum(data[8:8+size], journalTable) {
			break
		}
		one := entry{binary.BigEndian.Uint64(data[8:]), data[entryHead : 8+size]}
		if len(all) > 0 && one.number != all[len(all)-1].number+1 {
			break
		}
		all = append(all, one)
		data = data[8+size:]
	}
	return all
}

// newEntry returns dst, emptied, with room for what comes before the payload of an entry.
func newEntry(dst []byte) []byte { return append(dst[:0], make([]byte, entryHead)...) }

// sealEntry completes an entry, to which its payload has been appended.
func sealEntry(b []byte, number uint64) {
	binary.BigEndian.PutUint64(b[8:], number)
	binary.BigEndian.PutUint32(b, uint32(len(b)-8))
	binary.BigEndian.PutUint32(b[4:], crc32.Checksum(b[8:], journalTable))
}

// append writes an entry, which it seals, and returns when it is on the disk. After an error it is as if nothing had been
// written, unless the disk fails at that as well.
func (j *journal) append(b []byte) error {
	if len(b) > maxEntry {
		return errors.New("more than 1 GiB at once")
	}
	if j.files[j.turn] == nil {
		if err := j.open(); err != nil {
			return err
		}
	}
	f := j.files[j.turn]
	sealEntry(b, j.last+1)
	_, err := f.WriteAt(b, j.end)
	if err == nil {
		err = datasync(f)
	}
	if err != nil {
		// The next attempt overwrites it. Until then it must not count.
		_, wiped := f.WriteAt(make([]byte, entryHead), j.end)
		return errors.Join(err, wiped)
	}
	j.end += int64(len(b))
	j.last++
	return nil
}

// open makes the file whose turn it is, or begins it anew.
func (j *journal) open() error {
	f, err := os.OpenFile(j.name(j.turn), os.O_RDWR|os.O_CREATE, filePerm)
	if err != nil {
		return err
	}
	head := j.head()
	if _, err = f.WriteAt(head, 0); err == nil {
		err = errors.Join(f.Sync(), syncDir(j.path))
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	j.files[j.turn], j.end = f, int64(len(head))
	return nil
}

// rotate has the other file written from its beginning. The inbox must have taken over what is in it.
func (j *journal) rotate() {
	j.turn = 1 - j.turn
	j.end = int64(len(j.head()))
}

// close closes the files and, if the inbox has taken over all that is in them, removes them.
func (j *journal) close(done bool) error {
	var errs []error
	for n, f := range j.files {
		if f != nil {
			errs = append(errs, f.Close())
			j.files[n] = nil
		}
		if done {
			if err := os.Remove(j.name(n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}
