//go:build linux

package rig

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
)

// Receiver takes callbacks, on a port of its own.
type Receiver struct {
	listener net.Listener
	server   *http.Server
	running  sync.WaitGroup
	failed   error // of the server; read after Close
}

// Event is one of a callback's, of a user who came or went.
type Event struct {
	ID, Type string
	Data     struct {
		UID     string
		Version uint64
	}
}

// Receive calls take with each of the events that come in batches (webhook.batch), from several goroutines. The caller must call
// [Receiver.Close].
func Receive(take func(Event)) (*Receiver, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("opening a port for callbacks: %w", err)
	}
	r := &Receiver{listener: l, server: &http.Server{Handler: unpack(take)}}
	r.server.SetKeepAlivesEnabled(false) // so that no connection is left that waits for the next callback
	r.running.Go(func() { r.failed = r.server.Serve(l) })
	return r, nil
}

// unpack takes a batch apart.
func unpack(take func(Event)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var batch struct{ Events []Event }
		if err := json.NewDecoder(r.Body).Decode(&batch); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		for _, e := range batch.Events {
			take(e)
		}
	}
}

// URL is where callbacks are to go.
func (r *Receiver) URL() string { return "http://" + r.listener.Addr().String() + "/" }

// Close ends it, and says if it has ended before.
func (r *Receiver) Close() error {
	err := r.server.Close()
	r.running.Wait()
	if !errors.Is(r.failed, http.ErrServerClosed) {
		err = errors.Join(err, r.failed)
	}
	return err
}
