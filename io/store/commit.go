package store

import (
	"log/slog"
	"time"

	bolt "go.etcd.io/bbolt"
)

const (
	// maxGroup is how many changes go into one transaction.
	maxGroup = 4096
	// quiet is the least time between two lines of the log about failures.
	quiet = time.Minute
)

// write is a change that is asked for.
type write struct {
	// apply makes the change, or fails. It may be called again, in another transaction, when one of the group fails.
	apply func(*bolt.Tx) error
	// finish is told what came of it, by the goroutine that writes: it must be quick. Changes that were made are finished
	// in the order in which they were asked for.
	finish func(error)
}

// update makes a change and waits until it is on the disk, or has failed. The error says that nothing was changed; only if
// the disk fails in the very last step of a transaction may the change be there nevertheless.
func (s *Store) update(apply func(*bolt.Tx) error) error {
	done := make(chan error, 1)
	s.enqueue(&write{apply, func(err error) { done <- err }})
	return <-done
}

// enqueue has a change made. It waits while too many others wait, but not for the disk.
func (s *Store) enqueue(w *write) {
	s.asking.RLock()
	defer s.asking.RUnlock()
	if s.closed {
		w.finish(ErrClosed)
		return
	}
	s.writes <- w // run takes it: it goes on until nobody asks any more
}

// run writes until Close, and then what is left.
func (s *Store) run() {
	defer close(s.ended)
	for {
		select {
		case w := <-s.writes:
			s.commit(s.gather(w))
			s.compactIfFree()
		case <-s.quit:
			select {
			case w := <-s.writes:
				s.commit(s.gather(w))
			default:
				return
			}
		}
	}
}

// gather returns w and what else waits.
func (s *Store) gather(w *write) []*write {
	group := []*write{w}
	for len(group) < maxGroup {
		select {
		case next := <-s.writes:
			group = append(group, next)
		default:
			return group
		}
	}
	return group
}

// commit makes the changes of a group in one transaction. One that cannot be made fails alone.
func (s *Store) commit(group []*write) {
	for len(group) > 0 {
		culprit, err := s.transact(group)
		if culprit < 0 {
			s.account(len(group), err)
			for _, w := range group {
				w.finish(err)
			}
			return
		}
		group[culprit].finish(err)
		group = append(group[:culprit:culprit], group[culprit+1:]...)
	}
}

// transact tries to make all changes of a group. culprit is the index of one that failed by itself, or -1.
func (s *Store) transact(group []*write) (culprit int, err error) {
	culprit = -1
	err = guard(func() error {
		tx, err := s.db.Begin(true)
		if err != nil {
			return err
		}
		ended := false
		defer func() {
			if !ended { // apply failed, or something panicked; a Commit that fails rolls back itself
				rollback(tx, s.log)
			}
		}()
		for i, w := range group {
			if err := w.apply(tx); err != nil {
				culprit = i
				return err
			}
		}
		id := tx.ID()
		err = tx.Commit()
		ended = true
		if err != nil && s.salvaged(id) {
			return nil
		}
		return err
	})
	return culprit, err
}

func rollback(tx *bolt.Tx, log *slog.Logger) {
	if err := tx.Rollback(); err != nil {
		log.Error("a transaction of the store could not be rolled back", "error", err)
	}
}

// salvaged looks whether a transaction whose commit failed is in the file nevertheless, since only the last fsync did not
// succeed; and whether another one does. All later transactions would build on it.
func (s *Store) salvaged(id int) bool {
	latest := -1
	if err := s.db.View(func(tx *bolt.Tx) error { latest = tx.ID(); return nil }); err != nil || latest != id {
		return false
	}
	return s.db.Sync() == nil
}

// account counts a transaction and logs what nobody else would.
func (s *Store) account(ops int, err error) {
	if s.count(ops, err); err != nil {
		s.trouble.failed(err)
	} else {
		s.trouble.over()
	}
}

// count counts a transaction.
func (s *Store) count(ops int, err error) {
	if err != nil {
		text := err.Error()
		s.counter.failures.Add(1)
		s.counter.lastError.Store(&text)
		return
	}
	s.counter.commits.Add(1)
	s.counter.ops.Add(uint64(ops))
	s.counter.lastError.Store(nil)
}

// trouble logs failures: the first one, then one a minute, and the end of them.
type trouble struct {
	log  *slog.Logger
	n    int // failures in a row
	said time.Time
}

func (t *trouble) failed(err error) {
	t.n++
	if now := time.Now(); t.said.IsZero() || now.Sub(t.said) >= quiet {
		t.said = now
		t.log.Error("the store cannot be written: nothing is lost that was in it, and it is tried again; see to the disk",
			"error", err, "failures", t.n)
	}
}

func (t *trouble) over() {
	if t.n > 0 {
		t.log.Info("the store can be written again", "failures", t.n)
		t.n = 0
	}
}
