package store

import (
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// Schedules keeps a record for each timed push. What a record says is for its owner to know.
type Schedules struct{ store *Store }

// Schedules returns the timed pushes of the store.
func (s *Store) Schedules() (*Schedules, error) {
	err := s.update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists([]byte(scheduleBucket))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("opening the timed pushes: %w", err)
	}
	return &Schedules{s}, nil
}

// Save stores records by their ids, all or none; nil removes one. It returns when that is on the disk. An id is not empty.
func (q *Schedules) Save(records map[string][]byte) error {
	err := q.store.update(func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte(scheduleBucket))
		for id, record := range records {
			var err error
			if record == nil {
				err = b.Delete([]byte(id))
			} else {
				err = b.Put([]byte(id), record)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("storing timed pushes: %w", err)
	}
	return nil
}

// Each calls fn for every record, by growing id, until fn returns an error, which it passes on. The record is valid until
// fn returns. fn does not call the Store.
func (q *Schedules) Each(fn func(id string, record []byte) error) error {
	return q.store.view(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte(scheduleBucket)).ForEach(func(k, v []byte) error { return fn(string(k), v) })
	})
}
