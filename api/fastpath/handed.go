package fastpath

import (
	"net"
)

// handed is a connection on its way to net/http: first come the bytes that have been read from it.
type handed struct {
	net.Conn
	early []byte // owned by whoever reads
}

// Read reads first what has been read before.
func (h *handed) Read(p []byte) (int, error) {
	if len(h.early) == 0 {
		return h.Conn.Read(p)
	}
	n := copy(p, h.early)
	if h.early = h.early[n:]; len(h.early) == 0 {
		h.early = nil
	}
	return n, nil
}

// CloseWrite ends the outgoing stream, as net/http does before it closes a connection that still sends.
func (h *handed) CloseWrite() error {
	if half, ok := h.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return h.Close()
}

// Bare returns the connection inside when nothing is left of what was read before, and otherwise nil. It must not be
// called while somebody reads.
func (h *handed) Bare() net.Conn {
	if len(h.early) > 0 {
		return nil
	}
	return h.Conn
}
