package store

import (
	"encoding/binary"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"crier/io/hub"
	"crier/io/jobs"
)

// fillPercent is how full the pages of jobs get: they come in the order of their numbers.
const fillPercent = 0.9

// Jobs is a durable jobs.Queue.
type Jobs struct {
	store *Store
	name  []byte
}

var _ jobs.Queue = (*Jobs)(nil)

// Jobs returns the queue of that name, a new one if there is none. Each is for one jobs.Runner.
func (s *Store) Jobs(name string) (*Jobs, error) {
	q := &Jobs{store: s, name: []byte(name)}
	err := s.update(func(tx *bolt.Tx) error {
		_, err := tx.Bucket([]byte(jobsBucket)).CreateBucketIfNotExists(q.name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("opening the job queue %q: %w", name, err)
	}
	return q, nil
}

func (q *Jobs) bucket(tx *bolt.Tx) *bolt.Bucket {
	b := tx.Bucket([]byte(jobsBucket)).Bucket(q.name)
	b.FillPercent = fillPercent
	return b
}

// Add implements jobs.Queue.
func (q *Jobs) Add(all []jobs.Job) error {
	if err := q.store.update(func(tx *bolt.Tx) error { return q.add(tx, all) }); err != nil {
		return fmt.Errorf("adding jobs: %w", err)
	}
	return nil
}

// AddPresence stores jobs as Add does, together with what the presence changes say of their users: all of it or nothing.
// Of each user the last change counts.
func (q *Jobs) AddPresence(all []jobs.Job, changes []hub.PresenceChange) error {
	err := q.store.update(func(tx *bolt.Tx) error {
		if err := putPresence(tx, changes); err != nil {
			return err
		}
		return q.add(tx, all)
	})
	if err != nil {
		return fmt.Errorf("adding jobs and presence changes: %w", err)
	}
	return nil
}

func (q *Jobs) add(tx *bolt.Tx, all []jobs.Job) error {
	b := q.bucket(tx)
	for i := range all {
		id, err := b.NextSequence()
		if err != nil {
			return err
		}
		all[i].ID = id
		if err := b.Put(jobKey(id), encodeJob(all[i])); err != nil {
			return err
		}
	}
	return nil
}

// Get implements jobs.Queue.
func (q *Jobs) Get(id uint64) (job jobs.Job, err error) {
	err = q.store.view(func(tx *bolt.Tx) error {
		v := q.bucket(tx).Get(jobKey(id))
		if v == nil {
			return jobs.ErrNotFound
		}
		if job, err = decodeJob(jobKey(id), v); err != nil {
			return err
		}
		job.Payload = append([]byte(nil), job.Payload...)
		return nil
	})
	if err != nil {
		return jobs.Job{}, fmt.Errorf("getting job %d: %w", id, err)
	}
	return job, nil
}

// Save implements jobs.Queue.
func (q *Jobs) Save(all ...jobs.Job) error {
	return q.store.update(func(tx *bolt.Tx) error {
		b := q.bucket(tx)
		for _, job := range all {
			if b.Get(jobKey(job.ID)) == nil {
				return fmt.Errorf("saving job %d: %w", job.ID, jobs.ErrNotFound)
			}
			if err := b.Put(jobKey(job.ID), encodeJob(job)); err != nil {
				return fmt.Errorf("saving job %d: %w", job.ID, err)
			}
		}
		return nil
	})
}

// Remove implements jobs.Queue.
func (q *Jobs) Remove(ids ...uint64) error {
	return q.store.update(func(tx *bolt.Tx) error {
		b := q.bucket(tx)
		for _, id := range ids {
			if err := b.Delete(jobKey(id)); err != nil {
				return fmt.Errorf("removing job %d: %w", id, err)
			}
		}
		return nil
	})
}

// Each implements jobs.Queue. What fn is given is valid until it returns.
func (q *Jobs) Each(fn func(jobs.Job) error) error {
	return q.store.view(func(tx *bolt.Tx) error {
		return q.bucket(tx).ForEach(func(k, v []byte) error {
			job, err := decodeJob(k, v)
			if err != nil {
				return err
			}
			return fn(job)
		})
	})
}

// jobKey keeps jobs in the order of their numbers.
func jobKey(id uint64) []byte { return binary.BigEndian.AppendUint64(nil, id) }
