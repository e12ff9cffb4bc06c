package netpoll

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"
)

// patience is how long a test waits for what must come.
const patience = time.Minute

// recorder is a Handler that keeps everything.
type recorder struct {
	fail   error         // returned by Data
	got    chan struct{} // a token after each Data, if there is room
	closed chan error

	mu      sync.Mutex
	data    []byte
	largest int // bytes in one Data
}

func newRecorder() *recorder {
	return &recorder{got: make(chan struct{}, 1), closed: make(chan error, 2)}
}

func (r *recorder) Data(p []byte) error {
	r.mu.Lock()
	r.data = append(r.data, p...)
	r.largest = max(r.largest, len(p))
	r.mu.Unlock()
	clear(p) // a handler may change it
	select {
	case r.got <- struct{}{}:
	default:
	}
	return r.fail
}

func (r *recorder) Closed(err error) { r.closed <- err }

func (r *recorder) bytes() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Clone(r.data)
}

// wait waits for Closed.
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

func newPoller(t *testing.T, o Options) *Poller {
	t.Helper()
	p := New(o)
	t.Cleanup(func() { closePoller(t, p) })
	return p
}

func closePoller(t *testing.T, p *Poller) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := p.Close(ctx); err != nil {
		t.Errorf("closing poller: %v", err)
	}
}

// pair is two ends of one connection.
func tcpPair(t *testing.T) (server, client net.Conn) {
	t.Helper()
	return socketPair(t, "tcp", "127.0.0.1:0")
}

func unixPair(t *testing.T) (server, client net.Conn) {
	t.Helper()
	return socketPair(t, "unix", t.TempDir()+"/s")
}

func socketPair(t *testing.T, network, addr string) (server, client net.Conn) {
	t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err = net.Dial(network, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	server, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return server, client
}

func tlsPair(t *testing.T) (server, client net.Conn) {
	t.Helper()
	s, c := tcpPair(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots.AddCert(cert)
	ts := tls.Server(s, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	tc := tls.Client(c, &tls.Config{RootCAs: roots, ServerName: "localhost"})
	done := make(chan error, 1)
	go func() { done <- ts.Handshake() }()
	if err := tc.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return ts, tc
}

// acceptedPair has the connection accepted by a Listener.
func acceptedPair(t *testing.T) (server, client net.Conn) {
	t.Helper()
	port, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := NewListener(port.(*net.TCPListener), false)
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
	return server, client
}

func pipePair(*testing.T) (server, client net.Conn) { return net.Pipe() }

// kind is a kind of connection that every test of reading covers.
type kind struct {
	name   string
	direct bool
	pair   func(t *testing.T) (server, client net.Conn)
}

var kinds = []kind{
	{"tcp", true, tcpPair},
	{"unix", true, unixPair},
	{"tls", false, tlsPair},
	{"own tcp", true, adopted(tcpPair)},
	{"own unix", true, adopted(unixPair)},
	{"own tls", false, adopted(tlsPair)},
	{"accepted", true, acceptedPair},
	{"accepted and adopted", true, adopted(acceptedPair)},
	{"pipe", false, pipePair},
}

// adoptee is a connection that is to be adopted by a poller with epoll, if there is one.
type adoptee struct{ net.Conn }

func adopted(pair func(t *testing.T) (server, client net.Conn)) func(t *testing.T) (server, client net.Conn) {
	return func(t *testing.T) (server, client net.Conn) {
		t.Helper()
		server, client = pair(t)
		return adoptee{server}, client
	}
}

func add(t *testing.T, p *Poller, c net.Conn, h Handler) *Conn {
	t.Helper()
	pc := new(Conn)
	as := p.Add
	if a, ok := c.(adoptee); ok {
		if p.epoll == nil {
			if err := p.UseEpoll(); err != nil && !errors.Is(err, ErrNoEpoll) {
				t.Fatal(err)
			}
		}
		as, c = p.Adopt, a.Conn
	}
	if err := as(pc, c, h); err != nil {
		t.Fatal(err)
	}
	return pc
}

func TestReadsEverythingUpToEOF(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			p := newPoller(t, Options{ReadBuffer: 4 << 10})
			server, client := k.pair(t)
			r := newRecorder()
			c := add(t, p, server, r)
			if c.Direct() != k.direct {
				t.Errorf("Direct() = %v", c.Direct())
			}
			c.Start([]byte("early,"))
			c.Start([]byte("never"))
			sent := bytes.Repeat([]byte("0123456789"), 10_000)
			if _, err := client.Write(sent); err != nil {
				t.Fatal(err)
			}
			if err := client.Close(); err != nil {
				t.Fatal(err)
			}
			if err := r.wait(t); !errors.Is(err, io.EOF) {
				t.Errorf("Closed(%v), want EOF", err)
			}
			if want := append([]byte("early,"), sent...); !bytes.Equal(r.bytes(), want) {
				t.Errorf("got %d bytes, want %d", len(r.bytes()), len(want))
			}
			closePoller(t, p)
			if len(r.closed) != 0 || p.Len() != 0 {
				t.Errorf("Closed called %d more times, %d connections left", len(r.closed), p.Len())
			}
		})
	}
}

// A FIN that is there before the first read must not hide the data before it,
// nor be missed after it, however the data falls on the read buffer.
func TestDataMergedWithFIN(t *testing.T) {
	for i := range 12 {
		n, k := []int{1, 63, 64, 65, 128, 1000}[i/2], []kind{kinds[0], kinds[3]}[i%2]
		p := newPoller(t, Options{ReadBuffer: 64})
		server, client := k.pair(t)
		sent := bytes.Repeat([]byte{'x'}, n)
		if _, err := client.Write(sent); err != nil {
			t.Fatal(err)
		}
		if err := client.Close(); err != nil {
			t.Fatal(err)
		}
		r := newRecorder()
		add(t, p, server, r).Start(nil)
		if err := r.wait(t); !errors.Is(err, io.EOF) {
			t.Errorf("%s, %d bytes: Closed(%v), want EOF", k.name, n, err)
		}
		if len(r.bytes()) != n {
			t.Errorf("%s: got %d bytes, want %d", k.name, len(r.bytes()), n)
		}
	}
}

// A blocking reader's small buffer is only for the small reads.
func TestStreamReadsMuchAtOnce(t *testing.T) {
	p := newPoller(t, Options{ReadBuffer: 10_000})
	server, client := net.Pipe()
	r := newRecorder()
	add(t, p, server, r).Start(nil)
	if _, err := client.Write(make([]byte, 50_000)); err != nil {
		t.Fatal(err)
	}
	client.Close()
	if err := r.wait(t); !errors.Is(err, io.EOF) || len(r.data) != 50_000 || r.largest != 10_000 {
		t.Errorf("%d bytes, at most %d at once, Closed(%v)", len(r.data), r.largest, err)
	}
}

func TestCloseCauses(t *testing.T) {
	errMine := errors.New("mine")
	tests := []struct {
		name string
		do   func(t *testing.T, c *Conn, client net.Conn, r *recorder)
		want error
	}{
		{"closed by us", func(t *testing.T, c *Conn, _ net.Conn, _ *recorder) {
			c.Start(nil)
			for range 2 {
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			}
		}, net.ErrClosed},
		{"closed before start", func(t *testing.T, c *Conn, _ net.Conn, _ *recorder) {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			c.Start([]byte("never"))
		}, net.ErrClosed},
		{"handler's error", func(t *testing.T, c *Conn, client net.Conn, r *recorder) {
			r.fail = errMine
			c.Start(nil)
			if _, err := client.Write([]byte("x")); err != nil {
				t.Error(err)
			}
		}, errMine},
		{"handler's error on early bytes", func(_ *testing.T, c *Conn, _ net.Conn, r *recorder) {
			r.fail = errMine
			c.Start([]byte("x"))
		}, errMine},
		{"read deadline", func(t *testing.T, c *Conn, _ net.Conn, _ *recorder) {
			c.Start(nil)
			if err := c.SetReadDeadline(time.Now().Add(-time.Second)); err != nil {
				t.Error(err)
			}
		}, os.ErrDeadlineExceeded},
	}
	for _, k := range kinds {
		for _, tt := range tests {
			t.Run(k.name+"/"+tt.name, func(t *testing.T) {
				p := newPoller(t, Options{})
				server, client := k.pair(t)
				defer client.Close()
				r := newRecorder()
				tt.do(t, add(t, p, server, r), client, r)
				if err := r.wait(t); !errors.Is(err, tt.want) {
					t.Errorf("Closed(%v), want %v", err, tt.want)
				}
				if _, err := server.Write([]byte("x")); err == nil {
					t.Error("socket is still open")
				}
				if bytes.Contains(r.bytes(), []byte("never")) {
					t.Error("started after Close")
				}
			})
		}
	}
}

func TestPollerClose(t *testing.T) {
	p := New(Options{})
	var rs []*recorder
	for i, k := range kinds {
		server, _ := k.pair(t)
		r := newRecorder()
		c := add(t, p, server, r)
		if i%2 == 0 {
			c.Start(nil)
		}
		rs = append(rs, r)
	}
	server, _ := tcpPair(t)
	gate, r := make(chan struct{}), newRecorder()
	c := add(t, p, server, r)
	c.Go(func() { <-gate })

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if err := p.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close with a goroutine left = %v", err)
	}
	close(gate)
	closePoller(t, p)
	for i, r := range append(rs, r) {
		select {
		case err := <-r.closed:
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("connection %d: Closed(%v)", i, err)
			}
		default:
			t.Errorf("connection %d: not closed when Close returned", i)
		}
	}
	late, _ := tcpPair(t)
	defer late.Close()
	if err := p.Add(new(Conn), late, newRecorder()); !errors.Is(err, ErrPollerClosed) {
		t.Errorf("Add after Close = %v", err)
	}
}

func TestConcurrentStartAndClose(t *testing.T) {
	p := newPoller(t, Options{})
	for i := range 400 {
		server, client := tcpPair(t)
		if i%2 > 0 {
			server = adoptee{server}
		}
		r := newRecorder()
		c := add(t, p, server, r)
		var wg sync.WaitGroup
		wg.Go(func() { c.Start([]byte("x")) })
		wg.Go(func() {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		if err := r.wait(t); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Closed(%v)", err)
		}
		client.Close()
	}
}

// giver is a Handler that gives its connection away with the first bytes.
type giver struct {
	*recorder
	conn Conn
}

func (g *giver) Data(p []byte) error {
	if err := g.recorder.Data(p); err != nil || g.conn.Release() == nil {
		return errors.Join(err, net.ErrClosed)
	}
	return ErrDetached
}

// What was released is whole, and nobody's business here.
func TestReleased(t *testing.T) {
	p := New(Options{})
	server, client := tcpPair(t)
	g := &giver{recorder: newRecorder()}
	if err := p.Add(&g.conn, server, g); err != nil {
		t.Fatal(err)
	}
	g.conn.Start(nil)
	if _, err := client.Write([]byte("one")); err != nil {
		t.Fatal(err)
	}
	for p.Len() > 0 {
		runtime.Gosched()
	}
	closePoller(t, p)
	if err := g.conn.Close(); err != nil || p.Len() != 0 || len(g.closed) > 0 || string(g.bytes()) != "one" {
		t.Errorf("Close: %v; %d connections, %d calls of Closed, %q", err, p.Len(), len(g.closed), g.bytes())
	}
	if _, err := server.Write([]byte("two")); err != nil {
		t.Fatalf("the connection was closed: %v", err)
	}
	got := make([]byte, 3)
	if _, err := io.ReadFull(client, got); err != nil || string(got) != "two" {
		t.Errorf("%q, %v", got, err)
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
}
