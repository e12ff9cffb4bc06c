package netpoll

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// fill writes until the kernel takes no more, and returns how much it took.
func fill(t *testing.T, c *Conn) int {
	t.Helper()
	chunk := bytes.Repeat([]byte{'f'}, 64<<10)
	for total := 0; ; {
		n, err := c.TryWrite(chunk)
		total += n
		if errors.Is(err, ErrWouldBlock) {
			if n == len(chunk) {
				t.Fatal("ErrWouldBlock for a complete write")
			}
			return total
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// block writes until that fails: what is on its way through the kernel may make room in a socket that was full.
func block(c *Conn, p []byte) error {
	for {
		if _, err := c.WriteSome(p); err != nil {
			return err
		}
	}
}

func TestTryWriteDoesNotAllocate(t *testing.T) {
	for _, k := range []kind{kinds[0], kinds[3]} {
		t.Run(k.name, func(t *testing.T) { checkAllocations(t, k) })
	}
}

func checkAllocations(t *testing.T, k kind) {
	p := newPoller(t, Options{})
	server, client := k.pair(t)
	c := add(t, p, server, newRecorder())
	c.Start(nil)
	drained := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, client)
		drained <- err
	}()
	msg := bytes.Repeat([]byte{'m'}, 100)
	allocs := testing.AllocsPerRun(1000, func() {
		if n, err := c.TryWrite(msg); n != len(msg) || err != nil {
			t.Fatalf("TryWrite = %d, %v", n, err)
		}
	})
	if raceEnabled {
		t.Log("the race detector makes sync.Pool allocate; not counted")
	} else if allocs != 0 {
		t.Errorf("%v allocations per write", allocs)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

func TestTryWriteNeverBlocks(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			p := newPoller(t, Options{})
			server, client := k.pair(t)
			defer client.Close()
			c := add(t, p, server, newRecorder())
			total := fill(t, c)
			if k.direct != (total > 0) {
				t.Errorf("%d bytes were taken", total)
			}
			n, err := c.TryWrite([]byte("x"))
			for err == nil { // as in block
				n, err = c.TryWrite([]byte("x"))
			}
			if n != 0 || !errors.Is(err, ErrWouldBlock) {
				t.Errorf("TryWrite on a full socket = %d, %v", n, err)
			}
			if n, err := c.TryWrite(nil); n != 0 || err != nil {
				t.Errorf("TryWrite(nil) = %d, %v", n, err)
			}
		})
	}
}

func TestTryWriteToBrokenConnection(t *testing.T) {
	for _, k := range []kind{kinds[0], kinds[3]} {
		t.Run(k.name, func(t *testing.T) { checkBroken(t, k) })
	}
}

func checkBroken(t *testing.T, k kind) {
	p := newPoller(t, Options{})
	server, client := k.pair(t)
	c := add(t, p, server, newRecorder())
	if err := client.(*net.TCPConn).SetLinger(0); err != nil { // reset on close
		t.Fatal(err)
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	var err error
	for err == nil {
		_, err = c.TryWrite([]byte("x"))
	}
	if errors.Is(err, ErrWouldBlock) {
		t.Errorf("TryWrite = %v", err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.TryWrite([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("TryWrite after Close = %v", err)
	}
}

// WriteSome goes on where TryWrite stopped, and nothing is lost or repeated.
func TestWriteSomeWaitsForRoom(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			p := newPoller(t, Options{})
			server, client := k.pair(t)
			defer client.Close()
			c := add(t, p, server, newRecorder())
			sent := make([]byte, 8<<20)
			for i := range sent {
				sent[i] = byte(i / 251)
			}
			rest := sent
			n, err := c.TryWrite(rest)
			rest = rest[n:]
			if !errors.Is(err, ErrWouldBlock) {
				t.Fatalf("TryWrite = %d, %v; want a full socket", n, err)
			}
			sum := make(chan [32]byte, 1)
			go func() {
				h := sha256.New()
				if _, err := io.Copy(h, client); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Error(err)
				}
				sum <- [32]byte(h.Sum(nil))
			}()
			for len(rest) > 0 {
				n, err := c.WriteSome(rest)
				if n == 0 || err != nil {
					t.Fatalf("WriteSome = %d, %v", n, err)
				}
				rest = rest[n:]
			}
			if err := c.CloseWrite(); err != nil {
				t.Error(err)
			}
			if <-sum != sha256.Sum256(sent) {
				t.Error("other bytes arrived than were sent")
			}
		})
	}
}

func TestWriteDeadline(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			p := newPoller(t, Options{})
			server, client := k.pair(t)
			defer client.Close()
			c := add(t, p, server, newRecorder())
			fill(t, c)
			if err := c.SetWriteDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			big := make([]byte, 8<<20) // more than the buffers below TLS take
			if err := block(c, big); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("WriteSome = %v", err)
			}
			if _, err := c.Write(big); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("Write = %v", err)
			}
		})
	}
}

func TestWriteSomeEndsWithClose(t *testing.T) {
	for _, k := range []kind{kinds[0], kinds[3]} {
		t.Run(k.name, func(t *testing.T) { checkEndOfWait(t, k) })
	}
}

func checkEndOfWait(t *testing.T, k kind) {
	p := newPoller(t, Options{})
	server, client := k.pair(t)
	defer client.Close()
	c := add(t, p, server, newRecorder())
	fill(t, c)
	done := make(chan error, 1)
	c.Go(func() { done <- block(c, []byte("x")) })
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("WriteSome = %v", err)
	}
}

// After CloseWrite the peer reads EOF and can still send.
func TestCloseWriteKeepsReading(t *testing.T) {
	for _, k := range kinds[:len(kinds)-1] {
		t.Run(k.name, func(t *testing.T) {
			p := newPoller(t, Options{})
			server, client := k.pair(t)
			r := newRecorder()
			c := add(t, p, server, r)
			c.Start(nil)
			if err := c.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(client); len(b) != 0 || err != nil {
				t.Errorf("client read %q, %v", b, err)
			}
			if _, err := client.Write([]byte("last words")); err != nil {
				t.Error(err)
			}
			client.Close()
			if err := r.wait(t); !errors.Is(err, io.EOF) || string(r.bytes()) != "last words" {
				t.Errorf("got %q, Closed(%v)", r.bytes(), err)
			}
		})
	}
}

func BenchmarkTryWrite(b *testing.B) {
	p := New(Options{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	c := new(Conn)
	if err := p.Add(c, server, newRecorder()); err != nil {
		b.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := io.Copy(io.Discard, client); err != nil {
			b.Error(err)
		}
	}()
	msg := make([]byte, 100)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.TryWrite(msg); errors.Is(err, ErrWouldBlock) {
			_, err = c.WriteSome(msg)
			if err != nil {
				b.Fatal(err)
			}
		} else if err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	if err := p.Close(b.Context()); err != nil {
		b.Error(err)
	}
	<-done
	if err := client.Close(); err != nil {
		b.Error(err)
	}
}
