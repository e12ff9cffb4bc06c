// Package pipenet joins clients to a server without sockets, so that testing/synctest sees when everybody waits.
package pipenet

import (
	"net"
	"sync"
)

// Network is a [net.Listener]. Use [New].
type Network struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

// New returns a network that is open until Close.
func New() *Network { return &Network{conns: make(chan net.Conn), done: make(chan struct{})} }

// Accept implements [net.Listener].
func (n *Network) Accept() (net.Conn, error) {
	select {
	case c := <-n.conns:
		return c, nil
	case <-n.done:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (n *Network) Close() error {
	n.once.Do(func() { close(n.done) })
	return nil
}

// Addr implements [net.Listener].
func (n *Network) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// Dial returns a client's end, once Accept has returned the server's.
func (n *Network) Dial() (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case n.conns <- server:
		return client, nil
	case <-n.done:
		return nil, net.ErrClosed
	}
}
