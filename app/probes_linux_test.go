package app

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// A connection has the options that Go would give it.
func TestProbes(t *testing.T) {
	port, err := listenTCP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer port.Close()
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	got, want := accepted(t, port), accepted(t, plain)
	for name, value := range want {
		if got[name] != value {
			t.Errorf("option %d is %d, and of a listener of Go's %d", name, got[name], value)
		}
	}
}

// accepted returns the options of a connection that a listener accepts.
func accepted(t *testing.T, l net.Listener) map[int]int {
	t.Helper()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	raw, err := server.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	options := make(map[int]int)
	err = raw.Control(func(fd uintptr) {
		for _, name := range []int{unix.TCP_NODELAY, unix.TCP_KEEPIDLE, unix.TCP_KEEPINTVL, unix.TCP_KEEPCNT} {
			if options[name], err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, name); err != nil {
				t.Error(err)
			}
		}
		if options[-unix.SO_KEEPALIVE], err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return options
}
