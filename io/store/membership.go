package store

import (
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

var errMembership = errors.New("a uid and a room must not be empty nor have a zero byte in them")

// AddMembership makes uid belong to room. That it does already is no error.
func (s *Store) AddMembership(uid, room string) error {
	return s.changeMembership("adding", uid, room, func(b *bolt.Bucket, key []byte) error {
		return b.Put(key, []byte{})
	})
}

// RemoveMembership undoes AddMembership. That uid does not belong to room is no error.
func (s *Store) RemoveMembership(uid, room string) error {
	return s.changeMembership("removing", uid, room, (*bolt.Bucket).Delete)
}

func (s *Store) changeMembership(what, uid, room string, change func(b *bolt.Bucket, key []byte) error) error {
	if !fits(uid) || !fits(room) {
		return fmt.Errorf("%s a membership: %w", what, errMembership)
	}
	err := s.update(func(tx *bolt.Tx) error {
		return change(tx.Bucket([]byte(membershipBucket)), membershipKey(uid, room))
	})
	if err != nil {
		return fmt.Errorf("%s a membership: %w", what, err)
	}
	return nil
}

// EachMembership calls fn for every membership, those of one uid one after another, until fn returns an error, which it
// passes on. fn does not call the Store.
func (s *Store) EachMembership(fn func(uid, room string) error) error {
	return s.view(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte(membershipBucket)).ForEach(func(k, _ []byte) error {
			uid, room, err := decodeMembership(k)
			if err != nil {
				return err
			}
			return fn(uid, room)
		})
	})
}
