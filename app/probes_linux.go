package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// When the system asks whether who is silent is still there, and how often before it gives up: as Go does by itself.
const (
	probeAfter = 15 * time.Second
	probes     = 9
)

// listenTCP listens on addr. Connections inherit the probes from the port (tcp(7), socket(7)): Go would set them on
// each anew, by four system calls, 3 % of a push on a new connection.
func listenTCP(addr string) (net.Listener, error) {
	port := net.ListenConfig{
		KeepAlive: -1, // what Go does for each connection
		Control: func(_, _ string, raw syscall.RawConn) error {
			var err error
			cerr := raw.Control(func(fd uintptr) { err = setProbes(int(fd)) })
			return errors.Join(cerr, err)
		},
	}
	return port.Listen(context.Background(), "tcp", addr)
}

// probe has the system probe the connections of a port that somebody else has opened.
func probe(port *net.TCPListener) error {
	raw, err := port.SyscallConn()
	if err != nil {
		return fmt.Errorf("setting the probes of silent connections: %w", err)
	}
	var set error
	err = raw.Control(func(fd uintptr) { set = setProbes(int(fd)) })
	return errors.Join(err, set)
}

// setProbes has the system probe connections of a socket that listens.
func setProbes(fd int) error {
	const seconds = int(probeAfter / time.Second)
	for _, o := range []struct{ level, name, value int }{
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, seconds},
		{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, seconds},
		{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, probes},
	} {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return fmt.Errorf("setting the probes of silent connections: %w", err)
		}
	}
	return nil
}
