//go:build !unix

package netpoll

import (
	"net"
	"syscall"
)

// rawConn returns nil: here every connection is read and written by blocking
// calls.
func rawConn(net.Conn) (syscall.RawConn, error) { return nil, nil }

// readRaw is never reached, as rawConn returns nil.
func (c *Conn) readRaw() { c.readStream(nil) }

// proceed is called for what was read in advance only.
func proceed(task) {}

// writeOp stands for the non-blocking write that is missing here.
type writeOp struct{}

func newWriteOp() *writeOp { return new(writeOp) }

// writeRaw is never reached, as rawConn returns nil.
func (c *Conn) writeRaw([]byte, bool) (int, error) { return 0, ErrWouldBlock }
