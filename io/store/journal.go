package store

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
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
	sizes [2]int64    // of the files
	last  uint64      // the number of the latest entry
}

const (
	journalMagic = "crier inbox journal 1\n"
	// entryHead is what comes before the payload of an entry.
	entryHead = 16
	// journalStep is how much longer than needed a file gets at most, in bytes.
	journalStep = 4 << 20
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

// read calls each for the entries behind number applied, in their order, with the file that has them. It looks through all
// of them before that: an error that wraps ErrDamaged says that what is there cannot be what was written. What is appended
// from then on comes behind the last one. The payload is valid until each returns.
func (j *journal) read(applied uint64, each func(file int, e entry) error) error {
	var first [2]uint64 // number in each of the files, 0 if there is none
	for n := range j.files {
		_, err := j.readFile(n, func(e entry) error {
			if first[n] == 0 {
				first[n] = e.number
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	order := []int{0, 1}
	if first[1] < first[0] {
		order = []int{1, 0}
	}
	if err := j.readBehind(applied, order, func(int, entry) error { return nil }); err != nil {
		return err
	}
	return j.readBehind(applied, order, each)
}

// readBehind reads the files in that order.
func (j *journal) readBehind(applied uint64, order []int, each func(int, entry) error) error {
	j.last, j.turn, j.end = applied, 0, 0
	for _, n := range order {
		size, err := j.readFile(n, func(e entry) error {
			if e.number <= applied {
				return nil
			}
			if e.number != j.last+1 {
				return fmt.Errorf("%w: its journal (%s, %s) goes on with entry %d, and %d was the last: it is of another state of the store",
					ErrDamaged, j.name(0), j.name(1), e.number, j.last)
			}
			j.last, j.turn = e.number, n
			return each(n, e)
		})
		if err != nil {
			return err
		}
		if j.last > applied && j.turn == n {
			j.end = size
		}
	}
	return nil
}

// readFile calls each for the entries of one of the files, and returns how many bytes these take, with the head.
func (j *journal) readFile(n int, each func(entry) error) (size int64, err error) {
	f, err := os.Open(j.name(n))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("reading the journal: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, fmt.Errorf("reading the journal: %w", err)
	}
	r := bufio.NewReaderSize(f, 64<<10)
	want := j.head()
	if info.Size() < int64(len(want)) { // it was being made
		return 0, nil
	}
	head := make([]byte, len(want))
	switch _, err := io.ReadFull(r, head); {
	case err != nil:
		return 0, fmt.Errorf("reading the journal: %w", err)
	case string(head[:len(journalMagic)]) != journalMagic:
		return 0, fmt.Errorf("%w: %s is not its journal: move that away", ErrDamaged, j.name(n))
	case !bytes.Equal(head, want):
		return 0, fmt.Errorf("%s is the journal of another store, and may hold messages for users: move it to where that store is, or remove it", j.name(n))
	}
	size, err = readEntries(r, info.Size()-int64(len(want)), each)
	return int64(len(want)) + size, err
}

// readEntries calls each for the entries at the beginning of what r has, left bytes, until each fails, and returns how many
// bytes these take. The payload is valid until each returns.
func readEntries(r io.Reader, left int64, each func(entry) error) (read int64, err error) {
	var buf []byte
	for last := uint64(0); left >= entryHead; {
		var head [entryHead]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return read, fmt.Errorf("reading the journal: %w", err)
		}
		size := int64(binary.BigEndian.Uint32(head[:]))
		if size < entryHead-8 || size > left-8 {
			return read, nil
		}
		left -= 8 + size
		buf = append(slices.Grow(buf[:0], int(size)), head[8:]...)[:size]
		if _, err := io.ReadFull(r, buf[entryHead-8:]); err != nil {
			return read, fmt.Errorf("reading the journal: %w", err)
		}
		one := entry{binary.BigEndian.Uint64(buf), buf[entryHead-8:]}
		if binary.BigEndian.Uint32(head[4:]) != crc32.Checksum(buf, journalTable) || last != 0 && one.number != last+1 {
			return read, nil
		}
		last = one.number
		if err := each(one); err != nil {
			return read, err
		}
		read += 8 + size
	}
	return read, nil
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
	err := j.extend(f, j.end+int64(len(b)))
	if err == nil {
		_, err = f.WriteAt(b, j.end)
	}
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

// extend makes the file whose turn it is longer than end, if it is not, by about half or journalStep: to write within a file
// takes half the time of writing behind its end. Where there is no room for that it takes none, since others may need it.
func (j *journal) extend(f *os.File, end int64) error {
	size := &j.sizes[j.turn]
	if end <= *size {
		return nil
	}
	longer := end + min(*size/2, journalStep)
	if _, err := f.WriteAt(make([]byte, longer-*size), *size); err != nil {
		return f.Truncate(*size) // what is to be written may have room
	}
	*size = longer
	return nil
}

// open opens the file whose turn it is. Unless it goes on behind what was read from it, it begins anew.
func (j *journal) open() error {
	flags := os.O_RDWR
	if j.end == 0 {
		flags |= os.O_CREATE
	}
	f, err := os.OpenFile(j.name(j.turn), flags, filePerm)
	if err != nil {
		return err
	}
	head := j.head()
	if j.end == 0 {
		if _, err = f.WriteAt(head, 0); err == nil {
			err = errors.Join(f.Sync(), syncDir(j.path))
		}
		if err != nil {
			return errors.Join(err, f.Close())
		}
		j.end = int64(len(head))
	}
	j.files[j.turn], j.sizes[j.turn] = f, j.end
	return nil
}

// rotate has the other file written from its beginning. The inbox must have taken over what is in it.
func (j *journal) rotate() {
	j.turn = 1 - j.turn
	if j.end = 0; j.files[j.turn] != nil {
		j.end = int64(len(j.head()))
	}
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
