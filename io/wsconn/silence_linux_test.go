package wsconn

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestStreamSilence(t *testing.T) {
	u := newUpgrader(t, Options{Silence: 7 * time.Second})
	server, _ := tcpPair(t)
	s, _ := startStream(t, u, server, false)
	defer s.Abort()
	raw, err := server.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Control(func(fd uintptr) {
		if ms, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT); err != nil || ms != 7000 {
			t.Errorf("the limit is %d ms, %v", ms, err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}
