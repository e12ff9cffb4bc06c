package wsconn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"go.uber.org/goleak"

	"crier/io/netpoll"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = time.Minute

// clientFrame is one masked frame.
func clientFrame(op ws.OpCode, fin bool, payload []byte) []byte {
	f := ws.MaskFrameWith(ws.NewFrame(op, fin, payload), [4]byte{1, 2, 3, 4})
	b, err := ws.CompileFrame(f)
	if err != nil {
		panic(err) // a bytes.Buffer does not fail
	}
	return b
}

// recorder is a Handler that keeps everything.
type recorder struct {
	onMessage func(op ws.OpCode, payload []byte) error
	got       chan string // "text:payload", ...
	closed    chan error
}

func newRecorder() *recorder {
	return &recorder{got: make(chan string, 1000), closed: make(chan error, 2)}
}

func (r *recorder) Message(op ws.OpCode, payload []byte) error {
	r.got <- fmt.Sprintf("%s:%s", opName(op), payload)
	if r.onMessage != nil {
		return r.onMessage(op, payload)
	}
	return nil
}

func (r *recorder) Pong(payload []byte) { r.got <- fmt.Sprintf("pong:%s", payload) }

func (r *recorder) Closed(err error) { r.closed <- err }

// wait waits for Closed, which must come once.
func (r *recorder) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-r.closed:
		return err
	case <-time.After(patience):
		t.Fatal("Closed was not called")
		return nil
	}
}

func opName(op ws.OpCode) string {
	switch op {
	case ws.OpText:
		return "text"
	case ws.OpBinary:
		return "binary"
	case ws.OpPing:
		return "ping"
	case ws.OpPong:
		return "pong"
	case ws.OpClose:
		return "close"
	}
	return fmt.Sprint(byte(op))
}

// newUpgrader returns an Upgrader with a poller of its own, which the test
// closes at its end.
func newUpgrader(t testing.TB, o Options) *Upgrader {
	t.Helper()
	o.Poller = netpoll.New(netpoll.Options{})
	u, err := NewUpgrader(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closePoller(t, u) })
	return u
}

func closePoller(t testing.TB, u *Upgrader) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := u.o.Poller.Close(ctx); err != nil {
		t.Errorf("closing poller: %v", err)
	}
	if n := u.Stats().Open; n != 0 {
		t.Errorf("%d connections are counted as open", n)
	}
}

// tcpPair returns a connection with small kernel buffers, so that it fills up
// soon.
func tcpPair(t testing.TB) (server, client net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	server, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	// Much smaller ones make the kernel drop packets, and everything slow.
	err = errors.Join(
		server.(*net.TCPConn).SetWriteBuffer(16<<10),
		client.(*net.TCPConn).SetReadBuffer(64<<10),
	)
	if err != nil {
		t.Fatal(err)
	}
	return server, client
}

// unixPair is a pair of which one has no more room than the other has read: TCP's is a matter of time.
func unixPair(t testing.TB) (server, client net.Conn) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("unix", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	if err := server.(*net.UnixConn).SetWriteBuffer(16 << 10); err != nil {
		t.Fatal(err)
	}
	return server, client
}

// start makes a started connection after the handshake.
func start(t testing.TB, u *Upgrader, server net.Conn, h Handler) *Conn {
	t.Helper()
	c, err := u.attach(server, nil, func(*Conn) Handler { return h })
	if err != nil {
		t.Fatal(err)
	}
	c.Start()
	return c
}

// clog sends one message of 1 MiB, more than the kernel takes, and returns its
// frame.
func clog(t *testing.T, c *Conn) []byte {
	t.Helper()
	frame := AppendText(nil, bytes.Repeat([]byte("0123456789abcdef"), 1<<16))
	if err := c.Send(frame, 1); err != nil {
		t.Fatal(err)
	}
	if c.Writable() {
		t.Fatal("the kernel took all of it")
	}
	return frame
}

// readFrame reads one frame of the server.
func readFrame(r io.Reader) (f ws.Frame, err error) {
	f.Header, err = ws.ReadHeader(r)
	if err != nil {
		return f, err
	}
	f.Payload = make([]byte, f.Header.Length)
	_, err = io.ReadFull(r, f.Payload)
	return f, err
}

func write(t *testing.T, c net.Conn, p []byte) {
	t.Helper()
	if _, err := c.Write(p); err != nil {
		t.Fatal(err)
	}
}
