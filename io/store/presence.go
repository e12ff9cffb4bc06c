package store

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"crier/io/hub"
)

// Online is a user of whom the last change told that he is online.
type Online struct {
	UID     string
	Version uint64    // of that change
	Since   time.Time // of that change, to the microsecond
}

// EachOnline calls fn for every user of whom the last change stored by AddPresence is online, in the order of their uids,
// until fn returns an error, which it passes on. fn does not call the Store.
func (s *Store) EachOnline(fn func(Online) error) error {
	return s.view(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte(presenceBucket)).ForEach(func(k, v []byte) error {
			o, err := decodeOnline(k, v)
			if err != nil {
				return err
			}
			return fn(o)
		})
	})
}

// LastVersion returns the greatest version of all changes ever stored by AddPresence, 0 if there were none.
func (s *Store) LastVersion() (version uint64, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		version = lastVersion(tx)
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("reading the last presence version: %w", err)
	}
	return version, nil
}

func lastVersion(tx *bolt.Tx) uint64 {
	version, _ := binary.Uvarint(tx.Bucket([]byte(metaBucket)).Get([]byte(versionKey))) // 0 if there is none
	return version
}

// putPresence writes a record for who is online and removes that of who is not.
func putPresence(tx *bolt.Tx, changes []hub.PresenceChange) error {
	if len(changes) == 0 {
		return nil
	}
	// In the order of the keys, which the tree likes best; of one user's changes, the last one last.
	sorted := slices.Clone(changes)
	slices.SortFunc(sorted, func(a, b hub.PresenceChange) int {
		return cmp.Or(cmp.Compare(a.UID, b.UID), cmp.Compare(a.Version, b.Version))
	})
	b := tx.Bucket([]byte(presenceBucket))
	last := lastVersion(tx)
	for _, c := range sorted {
		last = max(last, c.Version)
		var err error
		if c.Online {
			err = b.Put([]byte(c.UID), encodeOnline(c.Version, c.Time))
		} else {
			err = b.Delete([]byte(c.UID))
		}
		if err != nil {
			return err
		}
	}
	return tx.Bucket([]byte(metaBucket)).Put([]byte(versionKey), binary.AppendUvarint(nil, last))
}
