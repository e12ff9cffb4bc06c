//go:build linux

package main

import (
	"sync"

	"crier/e2e/rig"
)

// receiver is called when users come and go.
type receiver struct {
	mu              sync.Mutex
	online, offline int
}

// take counts an event.
func (r *receiver) take(e rig.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch e.Type {
	case "user.online":
		r.online++
	case "user.offline":
		r.offline++
	}
}

func (r *receiver) counts() (online, offline int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.online, r.offline
}
