package store

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// schema is the version of the layout below. A program refuses a file with a greater one.
//
//	meta         "schema" → uvarint; "version" → uvarint, the greatest of all presence changes
//	jobs         a bucket for each queue: number, 8 bytes, big-endian → see encodeJob
//	presence     uid → uvarint version, varint since (µs): users of whom the last change told that they are online
//	memberships  uid 0x00 room → nothing
//	schedules    id → what its owner makes of it; not there until it is asked for
//	inbox        a bucket for each part, see box.go; not there until it is asked for
//	recovery     number, 8 bytes, big-endian → what its owner makes of it; there between a stop and the next start
const schema = 1

const (
	metaBucket       = "meta"
	jobsBucket       = "jobs"
	presenceBucket   = "presence"
	membershipBucket = "memberships"
	scheduleBucket   = "schedules"
	inboxBucket      = "inbox"
	recoveryBucket   = "recovery"

	schemaKey  = "schema"
	versionKey = "version"
)

const (
	filePerm = 0o600
	dirPerm  = 0o750
	// newSuffix and compactSuffix name files that become the store when they are complete.
	newSuffix     = ".new-"
	compactSuffix = ".compact"
	advice        = "move it away and restore a backup; with no file there, the program begins with an empty store"
)

// openFile opens or makes the file, which it has checked, and returns its path with links resolved.
func openFile(o Options) (path string, db *bolt.DB, err error) {
	path, exists, err := locate(o.Path)
	if err != nil {
		return "", nil, err
	}
	if exists {
		if err := check(path, o); err != nil {
			return "", nil, explain(err)
		}
		if db, err = openBolt(path, o); err == nil { // which has read the whole of it, too
			err = letGoOf(path, db)
		}
	} else {
		db, err = create(path, o)
	}
	if err != nil {
		return "", nil, explain(err)
	}
	return path, db, nil
}

// letGoOf calls letGo for the whole file.
func letGoOf(path string, db *bolt.DB) error {
	info, err := os.Stat(path)
	if err != nil {
		return errors.Join(err, db.Close())
	}
	letGo(db, info.Size())
	return nil
}

// locate makes the folder of the file and resolves links, since a rename would replace them.
func locate(path string) (resolved string, exists bool, err error) {
	if err := os.MkdirAll(filepath.Dir(path), dirPerm); err != nil {
		return "", false, fmt.Errorf("its folder cannot be made: %w", err)
	}
	resolved, err = filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(path); err == nil {
			return "", false, errors.New("it is a link to a file that does not exist: name that file")
		}
		return path, false, nil
	}
	if err != nil {
		return "", false, err
	}
	info, err := os.Stat(resolved)
	switch {
	case err != nil:
		return "", false, err
	case !info.Mode().IsRegular():
		return "", false, errors.New("it is not a file: name a file that does not exist yet, or a store")
	case info.Size() == 0:
		return "", false, fmt.Errorf("%w: the file is empty, which a store never is. If nothing is to be restored, remove it to begin with an empty store", ErrDamaged)
	}
	return resolved, true, nil
}

// explain says what to do about an error.
func explain(err error) error {
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return fmt.Errorf("%w: stop that one, or give each its own `store.path`", ErrLocked)
	case errors.Is(err, ErrDamaged):
		return fmt.Errorf("%w: %s", err, advice)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: give the user who runs the program the right to write the file and its folder", err)
	}
	return err
}

// boltOptions are those of every file. The list of free pages is not written with each transaction, which would cost more
// the longer it is, but found when the file is opened.
func boltOptions(o Options) *bolt.Options {
	return &bolt.Options{Timeout: o.LockTimeout, FreelistType: bolt.FreelistMapType, NoFreelistSync: true}
}

// openBolt opens a file for writing. For one that exists, check comes first: bbolt itself would end the program.
func openBolt(path string, o Options) (db *bolt.DB, err error) {
	err = guard(func() error {
		db, err = bolt.Open(path, filePerm, boltOptions(o))
		return err
	})
	return db, err
}

// create makes a new file, complete before it has its name, so that a crash leaves a whole one or none.
func create(path string, o Options) (*bolt.DB, error) {
	fresh := path + newSuffix + rand.Text()[:8] // two programs may be starting
	db, err := openBolt(fresh, o)
	if err != nil {
		return nil, err
	}
	err = db.Update(func(tx *bolt.Tx) error {
		for _, name := range []string{metaBucket, jobsBucket, presenceBucket, membershipBucket} {
			if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
				return err
			}
		}
		return tx.Bucket([]byte(metaBucket)).Put([]byte(schemaKey), binary.AppendUvarint(nil, schema))
	})
	if err == nil {
		err = name(fresh, path)
	}
	if err != nil {
		err = errors.Join(err, db.Close())
		if gone := os.Remove(fresh); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
		return nil, err
	}
	return db, nil
}

// name gives a new file its name, if no other program has taken that.
func name(fresh, path string) error {
	err := os.Link(fresh, path)
	switch {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%w: it has just made the file", ErrLocked)
	case err != nil: // there are file systems without links
		return rename(fresh, path)
	}
	if err := os.Remove(fresh); err != nil {
		return err
	}
	return syncDir(path)
}

// rename gives a file its final name, so that it has it after a crash too.
func rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return syncDir(to)
}

// syncDir makes the name of a file last.
func syncDir(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// check reads the whole file without writing to it, and fails if any of it is not as it was written.
func check(path string, o Options) error {
	options := boltOptions(o)
	options.ReadOnly = true
	var db *bolt.DB
	err := guard(func() (err error) {
		db, err = bolt.Open(path, filePerm, options)
		return err
	})
	switch errno := syscall.Errno(0); {
	case err == nil:
	case errors.Is(err, bolterrors.ErrTimeout), errors.As(err, &errno), errors.Is(err, ErrDamaged):
		return err
	default: // of bbolt, about what is in the file
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	err = guard(func() error { return db.View(func(tx *bolt.Tx) error { return checkTx(path, db, tx) }) })
	return errors.Join(err, db.Close())
}

func checkTx(path string, db *bolt.DB, tx *bolt.Tx) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Size() < tx.Size() {
		return fmt.Errorf("%w: the file has %d bytes of at least %d", ErrDamaged, info.Size(), tx.Size())
	}
	meta := tx.Bucket([]byte(metaBucket))
	if meta == nil {
		return fmt.Errorf("%w: it is a bbolt file, but of another program", ErrDamaged)
	}
	version, n := binary.Uvarint(meta.Get([]byte(schemaKey)))
	switch {
	case n <= 0 || version == 0:
		return fmt.Errorf("%w: it does not say how it is laid out", ErrDamaged)
	case version > schema:
		return fmt.Errorf("%w: its layout is %d, this program knows %d. Start that version, or name another `store.path`", ErrNewer, version, schema)
	}
	for _, name := range []string{jobsBucket, presenceBucket, membershipBucket} {
		if tx.Bucket([]byte(name)) == nil {
			return fmt.Errorf("%w: its part %q is missing", ErrDamaged, name)
		}
	}
	w := walker{rest: func() { letGo(db, info.Size()) }}
	return tx.ForEach(func(name []byte, b *bolt.Bucket) error { return w.walk(string(name), b) })
}

// walker reads a file.
type walker struct {
	rest func() // called now and then
	n    int    // entries
}

// walk reads all that is in a bucket. Its path is its name behind those of the buckets that it is in.
func (w *walker) walk(path string, b *bolt.Bucket) error {
	const pause = 100_000
	top, part, _ := strings.Cut(path, "/")
	var before []byte
	return b.ForEach(func(k, v []byte) error {
		if w.n++; w.n%pause == 0 {
			w.rest()
		}
		if before != nil && bytes.Compare(before, k) >= 0 {
			return fmt.Errorf("%w: its part %q is in disorder", ErrDamaged, path)
		}
		before = k
		if v == nil {
			return w.walk(path+"/"+string(k), b.Bucket(k))
		}
		return checkEntry(top, part, k, v)
	})
}

// checkEntry reads one entry of a bucket at the top, or of one in that.
func checkEntry(name, part string, k, v []byte) (err error) {
	switch name {
	case inboxBucket:
		err = checkInbox(part, k, v)
	case jobsBucket:
		_, err = decodeJob(k, v)
	case presenceBucket:
		_, err = decodeOnline(k, v)
	case membershipBucket:
		_, _, err = decodeMembership(k)
	}
	return err
}
