//go:build !linux

package netpoll

import "net"

// Listener accepts connections as Sockets.
type Listener struct{ *net.TCPListener }

// Accept implements [net.Listener]. What it returns is a *Socket.
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.TCPListener.Accept()
	if err != nil {
		return nil, err
	}
	return &Socket{c}, nil
}

// NewListener returns the Listener of a port.
func NewListener(port *net.TCPListener, _ bool) (*Listener, error) { return &Listener{port}, nil }

// Serve accepts on l and has take called with each connection, one at a time; take must not wait. It returns the first error, that
// of Accept.
func (p *Poller) Serve(l *Listener, take func(*Socket)) error { return serve(l, take) }

// Socket is a connection that nobody waits for. Here, none is.
type Socket struct{ net.Conn }

// Whole returns the connection.
func (s *Socket) Whole() (net.Conn, error) { return s.Conn, nil }

// RemoteText returns RemoteAddr as text.
func (s *Socket) RemoteText() string { return s.RemoteAddr().String() }

// Release takes the connection from the poller. It is for Data, which must return [ErrDetached] then; nobody else may use
// the connection meanwhile, and Closed is not called. For a connection that has been closed, it returns nil.
func (c *Conn) Release() net.Conn {
	if !c.detach() {
		return nil
	}
	return c.net.conn
}
