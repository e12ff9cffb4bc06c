package e2e

import (
	"io"
	"net"
	"sync"
	"testing"
)

// A line is what lies between clients and a server: it can be cut.
type line struct {
	listener net.Listener
	target   string
	running  sync.WaitGroup

	mu    sync.Mutex
	down  bool
	ended bool
	calls map[*call]struct{}
}

// A call is one connection through a line.
type call struct{ client, server net.Conn }

// startLine opens a line to an address; the test's end closes it.
func startLine(t *testing.T, target string) *line {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("opening a line: %v", err)
	}
	one := &line{listener: l, target: target, calls: map[*call]struct{}{}}
	one.running.Go(one.run)
	t.Cleanup(func() {
		one.mu.Lock()
		one.ended = true
		one.mu.Unlock()
		if err := l.Close(); err != nil {
			t.Errorf("closing a line: %v", err)
		}
		one.cut(true)
		one.running.Wait()
	})
	return one
}

// url is the http address of the line.
func (l *line) url() string { return "http://" + l.listener.Addr().String() }

func (l *line) run() {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return // closed
		}
		if !l.connect(client) {
			hangUp(client)
		}
	}
}

// connect makes a call, unless the line is cut or nobody answers.
func (l *line) connect(client net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down || l.ended {
		return false
	}
	server, err := net.Dial("tcp", l.target)
	if err != nil {
		return false
	}
	c := &call{client, server}
	l.calls[c] = struct{}{}
	l.running.Go(func() {
		if _, err := io.Copy(server, client); err == nil {
			hangUp(server) // the client has ended by itself
		}
	})
	l.running.Go(func() {
		defer hangUp(client)
		if _, err := io.Copy(client, server); err != nil {
			return // one of them has broken off
		}
	})
	return true
}

// hangUp ends a connection; that it has ended already is no matter.
func hangUp(c net.Conn) {
	if err := c.Close(); err != nil {
		return
	}
}

// cut breaks all connections off, and new ones until the line is mended. If it is not noticed, the server's side of them stays
// open: what is sent there is lost.
func (l *line) cut(noticed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = true
	for c := range l.calls {
		reset(c.client)
		if noticed {
			reset(c.server)
			delete(l.calls, c)
		}
	}
}

// reset breaks a connection off.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		if err := tcp.SetLinger(0); err != nil {
			return // it has ended
		}
	}
	hangUp(c)
}

// mend lets new connections through.
func (l *line) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = false
}
