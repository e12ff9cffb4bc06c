//go:build linux

package rig

import (
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

// Receive has h take them. The caller must call [Receiver.Close].
func Receive(h http.Handler) (*Receiver, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("opening a port for callbacks: %w", err)
	}
	r := &Receiver{listener: l, server: &http.Server{Handler: h}}
	r.server.SetKeepAlivesEnabled(false) // so that no connection is left that waits for the next callback
	r.running.Go(func() { r.failed = r.server.Serve(l) })
	return r, nil
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
