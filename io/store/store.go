// Package store keeps what has to survive a crash in one file: jobs, who was told to be online, which rooms users belong
// to, timed pushes, and messages for users who have yet to get them. A method that changes something returns when the change is on the disk.
//
// The file is a bbolt database. One goroutine writes: the changes that callers ask for while it waits for the disk go
// together into the next transaction, with one fsync for all of them.
package store

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
)

// What Open and the methods of a Store complain of.
var (
	// ErrLocked says that another process has the file open.
	ErrLocked = errors.New("another process uses the store")
	// ErrDamaged says that the file is not, or not any more, a store: cut short, overwritten, or something else.
	ErrDamaged = errors.New("the store is damaged")
	// ErrNewer says that a newer version of the program has written the file.
	ErrNewer = errors.New("the store was written by a newer version")
	// ErrClosed says that the Store is closed.
	ErrClosed = errors.New("the store is closed")
)

// Options says where a Store is and how it behaves.
type Options struct {
	// Path is the file. Its folder is made if it is not there, and so is the file. Required.
	Path string
	// LockTimeout is how long to wait for another process that has the file open; 0 means 2 s.
	LockTimeout time.Duration
	// CompactAbove is how many bytes of the file must be unused, besides being more than half of it, for the file to be
	// rewritten without them; 0 means 16 MiB.
	CompactAbove int64
	// Logger gets what no caller can be told, one line for what happens often. Nil means slog.Default.
	Logger *slog.Logger
}

func (o *Options) complete() error {
	if o.Path == "" {
		return errors.New("no path given")
	}
	if o.LockTimeout < 0 || o.CompactAbove < 0 {
		return errors.New("a time or size is negative")
	}
	if o.LockTimeout == 0 {
		o.LockTimeout = 2 * time.Second
	}
	if o.CompactAbove == 0 {
		o.CompactAbove = 16 << 20
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return nil
}

// Store is an open file. Its methods may be called by several goroutines. Make one with Open, and Close it.
type Store struct {
	// Static.
	path         string
	compactAbove int64
	pageSize     int64
	log          *slog.Logger
	writes       chan *write
	quit         chan struct{} // closed by Close when nobody asks any more
	ended        chan struct{} // closed when run has ended
	closing      sync.Once
	closeErr     error // may be read once closing is done

	// Owned by run.
	trouble     trouble
	compactNext time.Time // not before

	asking sync.RWMutex // held for reading while a change is handed to run
	closed bool         // guarded by asking

	mu sync.RWMutex // held for reading while db is in use; run alone replaces it
	db *bolt.DB     // guarded by mu, except for run

	counter counters
}

// counters are the figures behind Stats.
type counters struct {
	commits, ops, failures, compactions atomic.Uint64
	lastError                           atomic.Pointer[string] // nil while all is well
}

// Stats is what a Store holds, and what it has done since Open.
type Stats struct {
	FileBytes   int64  // size of the file
	FreeBytes   int64  // of which unused; they are reused before the file grows
	Commits     uint64 // transactions on the disk, each with one fsync
	Ops         uint64 // changes in them
	Failures    uint64 // transactions that failed; their callers were told
	Compactions uint64 // times the file was rewritten without its unused pages
	LastError   string // of the transaction before, empty if it succeeded
}

// Open opens the store, or makes a new one where there is no file. Its errors say what to do, and wrap ErrLocked,
// ErrDamaged or ErrNewer if one of them is the reason. A file that cannot be used is never replaced or emptied.
func Open(o Options) (*Store, error) {
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	path, db, err := openFile(o)
	if err != nil {
		return nil, fmt.Errorf("opening the store %s: %w", o.Path, err)
	}
	s := &Store{
		path:         path,
		compactAbove: o.CompactAbove,
		pageSize:     int64(db.Info().PageSize),
		log:          o.Logger,
		writes:       make(chan *write, maxGroup),
		quit:         make(chan struct{}),
		ended:        make(chan struct{}),
		trouble:      trouble{log: o.Logger.With("path", path)},
		db:           db,
	}
	s.compactIfFree()
	go s.run()
	return s, nil
}

// Path returns the file's path, with links resolved.
func (s *Store) Path() string { return s.path }

// Stats returns the present figures.
func (s *Store) Stats() Stats {
	c := &s.counter
	st := Stats{
		Commits:     c.commits.Load(),
		Ops:         c.ops.Load(),
		Failures:    c.failures.Load(),
		Compactions: c.compactions.Load(),
	}
	if last := c.lastError.Load(); last != nil {
		st.LastError = *last
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	st.FileBytes, st.FreeBytes = s.space()
	return st
}

// space returns the size of the file and of its unused part. The caller holds mu or is run.
func (s *Store) space() (size, free int64) {
	if s.db == nil {
		return 0, 0
	}
	info, err := os.Stat(s.path)
	if err != nil {
		return 0, 0 // somebody has removed it; the next start tells
	}
	return info.Size(), s.free()
}

// free returns how many bytes of the file are unused. The caller holds mu or is run.
func (s *Store) free() int64 {
	bs := s.db.Stats()
	return int64(bs.FreePageN+bs.PendingPageN) * s.pageSize
}

// Close writes what was asked for before it and closes the file. What comes later fails with ErrClosed. It may be
// called again.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.asking.Lock()
		s.closed = true
		s.asking.Unlock()
		close(s.quit)
		<-s.ended
		s.mu.Lock()
		db := s.db
		s.db = nil
		s.mu.Unlock()
		if err := db.Close(); err != nil {
			s.closeErr = fmt.Errorf("closing the store: %w", err)
		}
	})
	return s.closeErr
}

// view reads in one transaction. What fn is given is valid until it returns.
func (s *Store) view(fn func(*bolt.Tx) error) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.db == nil {
		return ErrClosed
	}
	return guard(func() error { return s.db.View(fn) })
}

// letGo has what was read of the file taken out of memory; see there.
func (s *Store) letGo() error {
	return s.view(func(tx *bolt.Tx) error { // in which the mapping stays where it is
		letGo(s.db, tx.Size())
		return nil
	})
}

// guard turns what bbolt does about a damaged file, a panic or a memory fault, into an error.
func guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, r)
		}
	}()
	return fn()
}
