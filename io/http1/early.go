package http1

import (
	"bytes"
	"net"
)

// Early is a connection on its way to net/http: first come the bytes that have been read from it.
type Early struct {
	net.Conn
	early []byte // owned by whoever reads
}

// NewEarly returns nc with a copy of what has been read from it.
func NewEarly(nc net.Conn, early []byte) *Early { return &Early{nc, bytes.Clone(early)} }

// Read reads first what has been read before.
func (e *Early) Read(p []byte) (int, error) {
	if len(e.early) == 0 {
		return e.Conn.Read(p)
	}
	n := copy(p, e.early)
	if e.early = e.early[n:]; len(e.early) == 0 {
		e.early = nil
	}
	return n, nil
}

// CloseWrite ends the outgoing stream, as net/http does before it closes a connection that still sends.
func (e *Early) CloseWrite() error {
	if half, ok := e.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return e.Close()
}

// Bare returns the connection inside when nothing is left of what was read before, and otherwise nil. It must not be
// called while somebody reads.
func (e *Early) Bare() net.Conn {
	if len(e.early) > 0 {
		return nil
	}
	return e.Conn
}
