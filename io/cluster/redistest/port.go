package redistest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"syscall"
	"testing"
)

// FreePort returns a port of 127.0.0.1 for a program that cannot look for a free one itself: one that the system gives to nobody
// who asks for any.
func FreePort(t testing.TB) int {
	t.Helper()
	// A child that is forked while the port is open has it too, until it runs its program.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	for range 100 {
		port := 10000 + rand.IntN(20000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return port
	}
	t.Fatal("no port is free")
	return 0
}
