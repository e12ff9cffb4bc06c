//go:build unix

package app

import (
	"errors"
	"fmt"
	"net"
	"syscall"
)

// boundSendBuffer has the connections that a port accepts from now on inherit a send buffer of so many bytes (socket(7); Linux
// doubles it, for its own needs), which does not grow by itself. 0 leaves it to the system.
func boundSendBuffer(l net.Listener, size int64) error {
	port, ok := l.(syscall.Conn)
	if size == 0 || !ok {
		return nil
	}
	raw, err := port.SyscallConn()
	if err == nil {
		cerr := raw.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF, int(size))
		})
		err = errors.Join(cerr, err)
	}
	if err != nil {
		return fmt.Errorf("bounding the send buffers of connections (setting `limits.send_buffer`): %w", err)
	}
	return nil
}
