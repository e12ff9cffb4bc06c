package store

import (
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
		p, err := check(path, o)
		if err != nil {
			return "", nil, explain(err)
		}
		if err := announceFree(path, p); err != nil { // the disk may be full
			o.Logger.Warn("the free pages of the store could not be listed in it: opening it takes more memory", "path", path, "error", err)
		}
		db, err = openBolt(path, o)
		if err != nil {
			return "", nil, explain(err)
		}
		return path, db, nil
	}
	if db, err = create(path, o); err != nil {
		return "", nil, explain(err)
	}
	return path, db, nil
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
// the longer it is, but found when the file is opened: see announceFree.
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

// check reads the whole file without writing to it, and fails if any of it is not as it was written. It returns the pages
// that it has read.
func check(path string, o Options) (p *pages, err error) {
	options := boltOptions(o)
	options.ReadOnly = true
	var db *bolt.DB
	err = guard(func() (err error) {
		db, err = bolt.Open(path, filePerm, options)
		return err
	})
	switch errno := syscall.Errno(0); {
	case err == nil:
	case errors.Is(err, bolterrors.ErrTimeout), errors.As(err, &errno), errors.Is(err, ErrDamaged):
		return nil, err
	default: // of bbolt, about what is in the file
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	err = guard(func() error {
		return db.View(func(tx *bolt.Tx) (err error) {
			if err = checkTx(path, tx); err == nil {
				p, err = checkPages(path, db.Info().PageSize, uint64(tx.ID()))
			}
			return err
		})
	})
	return p, errors.Join(err, db.Close())
}

// checkTx looks whether the file is one that this program knows.
func checkTx(path string, tx *bolt.Tx) error {
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
	return nil
}

// checkPages reads all pages that are in use, and every entry in them.
func checkPages(path string, size int, tx uint64) (*pages, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p, err := newPages(f, size, tx)
	if err != nil {
		return nil, err
	}
	err = p.walk("", p.meta.root, 0, nil, nil, func(path string) func(k, v []byte) error {
		top, part, _ := strings.Cut(path, "/")
		return func(k, v []byte) error { return checkEntry(top, part, k, v) }
	})
	if err != nil {
		return nil, err
	}
	return p, p.findFree()
}

// announceFree has the file say which pages are free, unless it does, or another program has it open.
func announceFree(path string, p *pages) error {
	if p.meta.freeList != noFreeList {
		return nil
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if alone, err := lock(f); !alone || err != nil {
		return err
	}
	if _, err := newPages(f, p.size, p.meta.tx); err != nil { // it is not the same any more
		return err
	}
	return p.writeFree(f)
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
