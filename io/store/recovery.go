package store

import (
	"encoding/binary"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// SaveRecovery keeps records that a later TakeRecovery is to hand out again, in their order, in the place of those that there
// are; all or none. each calls put with them, and may be called again. What a record says is for its owner to know.
func (s *Store) SaveRecovery(each func(put func(record []byte) error) error) error {
	err := s.update(func(tx *bolt.Tx) error {
		if err := dropRecovery(tx); err != nil {
			return err
		}
		b, err := tx.CreateBucket([]byte(recoveryBucket))
		if err != nil {
			return err
		}
		b.FillPercent = 1 // they come in order
		n := uint64(0)
		return each(func(record []byte) error {
			n++
			return b.Put(binary.BigEndian.AppendUint64(nil, n), record)
		})
	})
	if err != nil {
		return fmt.Errorf("storing what can be recovered: %w", err)
	}
	return nil
}

// TakeRecovery calls fn for each record of SaveRecovery, in order, until fn returns an error, and removes them in either
// case: they are of use once, right after the start. A record is valid until fn returns. fn does not call the Store. An
// error says that they are not to be used.
func (s *Store) TakeRecovery(fn func(record []byte) error) error {
	some := false
	err := s.view(func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte(recoveryBucket))
		if b == nil {
			return nil
		}
		some = true
		return b.ForEach(func(_, v []byte) error { return fn(v) })
	})
	if some {
		err = errors.Join(err, s.update(dropRecovery))
	}
	if err != nil {
		return fmt.Errorf("taking what can be recovered: %w", err)
	}
	return nil
}

func dropRecovery(tx *bolt.Tx) error {
	err := tx.DeleteBucket([]byte(recoveryBucket))
	if errors.Is(err, bolterrors.ErrBucketNotFound) {
		return nil
	}
	return err
}
