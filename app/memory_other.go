//go:build !linux

package app

// installed is unknown.
func installed() int64 { return 0 }

// granted is unknown.
func granted() int64 { return 0 }
