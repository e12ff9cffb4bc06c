package app

import (
	"net"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"crier/configs"
)

// sendBuffer returns what the system says of a socket; twice of what it was told (socket(7)).
func sendBuffer(t *testing.T, s syscall.Conn) (size int) {
	t.Helper()
	raw, err := s.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	cerr := raw.Control(func(fd uintptr) { size, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF) })
	if cerr != nil || err != nil {
		t.Fatal(cerr, err)
	}
	return size
}

// A connection inherits the bound from the port, and what its client does not read stays within it: left to the system, the
// buffer grows.
func TestSendBuffer(t *testing.T) {
	const size = 64 << 10
	taken := make(map[int64]int)
	for _, bound := range []int64{0, size} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if err := boundSendBuffer(l, bound); err != nil {
			t.Fatal(err)
		}
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
		if got := sendBuffer(t, server.(*net.TCPConn)); bound > 0 && got != 2*size {
			t.Errorf("the buffer of a connection is %d, want %d", got, 2*size)
		}
		if err := client.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
			t.Fatal(err)
		}
		taken[bound] = fill(t, server)
		if got := sendBuffer(t, server.(*net.TCPConn)); bound > 0 && got != 2*size {
			t.Errorf("the buffer has grown to %d", got)
		}
	}
	t.Logf("the system has taken %d bytes of a connection without a bound, and %d with %d", taken[0], taken[size], size)
	if taken[size] > 4*size { // 2 for what the system doubles, and some that it has sent
		t.Errorf("the system has taken %d bytes", taken[size])
	}
}

// fill writes until nothing is taken any more, and returns how much was.
func fill(t *testing.T, conn net.Conn) (n int) {
	t.Helper()
	for piece := make([]byte, 16<<10); ; {
		if err := conn.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		k, err := conn.Write(piece)
		n += k
		if err != nil {
			return n
		}
	}
}

// The public port has the bound of the setting.
func TestSendBufferOfPorts(t *testing.T) {
	p := start(t, func(c *configs.Config) { c.Limits.SendBuffer = 64 << 10 })
	if got := sendBuffer(t, p.public.door.Listener.(syscall.Conn)); got != 128<<10 {
		t.Errorf("the public port's buffer is %d", got)
	}
}
