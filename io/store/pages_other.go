//go:build !linux

package store

import (
	"os"

	bolt "go.etcd.io/bbolt"
)

// letGo does nothing here.
func letGo(*bolt.DB, int64) {}

// readAhead does nothing here.
func readAhead(*os.File, int64, int64) {}
