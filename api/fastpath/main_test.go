package fastpath

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"crier/io/netpoll"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// wait is how long a test waits for what must come.
const wait = 20 * time.Second

// port is an http.Server on a port, with or without a Listener between them.
type port struct {
	addr   string
	fast   *Listener // nil: without
	server *http.Server
	log    book
	handed atomic.Int32 // connections that the server has got
	ended  chan error   // of the server
}

// takes is what the ports of the tests take.
func takes(method, path string) bool {
	return method == http.MethodPost && path == "/v1/push" || path == "/"
}

// takesUpgrade is the same for requests for a WebSocket.
func takesUpgrade(path, query string) bool { return path == "/" && query != "poll" }

// open starts a port, which the end of the test stops. Fast is one whose connections are watched by a poller.
func open(t testing.TB, fast bool, handler http.HandlerFunc) *port {
	t.Helper()
	if !fast {
		return stopped(t, openOn(t, listen(t), nil, false, handler))
	}
	l, poller := polled(t)
	return stopped(t, openOn(t, l, poller, true, handler))
}

// polled is a port whose connections are watched by a poller, which the end of the test closes.
func polled(t testing.TB) (net.Listener, *netpoll.Poller) {
	t.Helper()
	poller := netpoll.New(netpoll.Options{})
	if err := poller.UseEpoll(); err != nil && !errors.Is(err, netpoll.ErrNoEpoll) {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), wait)
		defer cancel()
		if err := poller.Close(ctx); err != nil {
			t.Errorf("closing the poller: %v", err)
		}
	})
	l, err := netpoll.NewListener(listen(t), false)
	if err != nil {
		t.Fatal(err)
	}
	return l, poller
}

// openParked is open for a port whose connections have a goroutine each.
func openParked(t testing.TB, handler http.HandlerFunc) *port {
	t.Helper()
	return stopped(t, openOn(t, listen(t), nil, true, handler))
}

func listen(t testing.TB) *net.TCPListener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l.(*net.TCPListener)
}

// stopped has the end of the test stop a port.
func stopped(t testing.TB, p *port) *port {
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), wait)
		defer cancel()
		if err := p.stop(ctx); err != nil {
			t.Errorf("stopping: %v", err)
		}
	})
	return p
}

// openOn starts a port, which the caller stops.
func openOn(t testing.TB, l net.Listener, poller *netpoll.Poller, fast bool, handler http.HandlerFunc) *port {
	t.Helper()
	p := &port{addr: l.Addr().String(), ended: make(chan error, 1)}
	p.server = &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		ErrorLog: log.New(&p.log, "", 0),
		ConnState: func(_ net.Conn, s http.ConnState) {
			if s == http.StateNew {
				p.handed.Add(1)
			}
		},
	}
	if fast {
		var err error
		if p.fast, err = New(Options{Listener: l, Server: p.server, Poller: poller, Takes: takes, Upgrades: takesUpgrade}); err != nil {
			t.Fatal(err)
		}
		l = p.fast
	}
	go func() { p.ended <- p.server.Serve(l) }()
	return p
}

// stop stops a port as app does.
func (p *port) stop(ctx context.Context) error {
	err := p.server.Shutdown(ctx)
	if p.fast != nil {
		err = errors.Join(err, p.fast.Wait(ctx))
	}
	if ended := <-p.ended; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}

// dial connects to the port until the end of the test.
func (p *port) dial(t testing.TB) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", p.addr)
	if err == nil {
		err = c.SetDeadline(time.Now().Add(wait))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	return c.(*net.TCPConn)
}

var date = regexp.MustCompile(`\r\nDate: [A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} 20\d\d \d\d:\d\d:\d\d GMT\r\n`)

// exchange sends all of raw on a connection of its own and returns all that comes back, with the same date always.
func (p *port) exchange(t testing.TB, raw string) string {
	t.Helper()
	c := p.dial(t)
	if _, err := io.WriteString(c, raw); err != nil {
		t.Fatal(err)
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("after %q: %v", got, err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	return string(date.ReplaceAll(got, []byte("\r\nDate: now\r\n")))
}

// send writes a request.
func send(t testing.TB, c io.Writer, raw string) {
	t.Helper()
	if _, err := io.WriteString(c, raw); err != nil {
		t.Fatal(err)
	}
}

// book is a log that several goroutines may write and read.
type book struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *book) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// await waits until ready says so.
func await(t testing.TB, what string, ready func() bool) {
	t.Helper()
	for end := time.Now().Add(wait); !ready(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not after %v", what, wait)
		}
	}
}
