//go:build linux

package main

import (
	"encoding/json"
	"net/http"
	"sync"
)

// receiver is called when users come and go.
type receiver struct {
	mu              sync.Mutex
	online, offline int
}

// ServeHTTP takes a batch.
func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	var batch struct {
		Events []struct{ Type string }
	}
	if err := json.NewDecoder(q.Body).Decode(&batch); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range batch.Events {
		switch e.Type {
		case "user.online":
			r.online++
		case "user.offline":
			r.offline++
		}
	}
}

func (r *receiver) counts() (online, offline int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.online, r.offline
}
