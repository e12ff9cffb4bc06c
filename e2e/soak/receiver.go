package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
)

// receiver is called when users come and go.
type receiver struct {
	listener net.Listener
	server   *http.Server
	running  sync.WaitGroup
	failed   error // of the server; read after close

	mu              sync.Mutex
	online, offline int
}

func newReceiver() (*receiver, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("opening a port for callbacks: %w", err)
	}
	r := &receiver{listener: l}
	r.server = &http.Server{Handler: r}
	r.server.SetKeepAlivesEnabled(false) // so that no connection is left that waits for the next callback
	r.running.Go(func() { r.failed = r.server.Serve(l) })
	return r, nil
}

func (r *receiver) url() string { return "http://" + r.listener.Addr().String() + "/" }

func (r *receiver) close() error {
	err := r.server.Close()
	r.running.Wait()
	if !errors.Is(r.failed, http.ErrServerClosed) {
		err = errors.Join(err, r.failed)
	}
	return err
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
