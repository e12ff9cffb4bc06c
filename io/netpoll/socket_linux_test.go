package netpoll

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestListener(t *testing.T) {
	port, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := port.Addr().String()
	l, err := NewListener(port.(*net.TCPListener), false)
	if err != nil {
		t.Fatal(err)
	}
	if got := l.Addr().String(); got != addr {
		t.Errorf("it listens on %s, not on %s", got, addr)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := l.Accept()
		ended <- err
	}()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept: %v", err)
	}
	if err := l.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed again: %v", err)
	}
	if c, err := net.Dial("tcp", addr); err == nil {
		t.Error("the port is open still")
		c.Close()
	}
}

// A Socket is a connection like any other, before and after it has become one of the net package.
func TestSocket(t *testing.T) {
	server, client := acceptedPair(t)
	s := server.(*Socket)
	if on, err := unix.GetsockoptInt(s.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY); err != nil || on == 0 {
		t.Errorf("TCP_NODELAY: %d, %v", on, err)
	}
	check := func(when string) {
		t.Helper()
		if s.LocalAddr().String() != client.RemoteAddr().String() || s.RemoteAddr().String() != client.LocalAddr().String() || s.RemoteText() != client.LocalAddr().String() {
			t.Errorf("%s it is at %v, and the peer at %v (%s)", when, s.LocalAddr(), s.RemoteAddr(), s.RemoteText())
		}
		if _, err := s.Write([]byte("ping")); err != nil {
			t.Errorf("%s: %v", when, err)
		}
		var got [4]byte
		if _, err := io.ReadFull(client, got[:]); err != nil || string(got[:]) != "ping" {
			t.Errorf("%s came %q, %v", when, got, err)
		}
	}
	check("before")
	if err := s.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read: %v", err)
	}
	check("after")
	if err := s.CloseWrite(); err != nil {
		t.Error(err)
	}
	if n, err := client.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("read %d, %v", n, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// What is accepted knows its peer as the net package would, of each kind of address, and also once that has gone.
func TestRemote(t *testing.T) {
	for name, c := range map[string]struct{ listen, dial string }{
		"IPv4":                   {"127.0.0.1", "127.0.0.1"},
		"IPv6":                   {"::1", "::1"},
		"IPv4 on a port of IPv6": {"::", "127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			port, err := net.Listen("tcp", net.JoinHostPort(c.listen, "0"))
			if err != nil {
				t.Skipf("there is no such address here: %v", err)
			}
			l, err := NewListener(port.(*net.TCPListener), false)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			_, number, err := net.SplitHostPort(l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			client, err := net.Dial("tcp", net.JoinHostPort(c.dial, number))
			if err != nil {
				t.Fatal(err)
			}
			server, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			want := client.LocalAddr().String()
			if err := client.Close(); err != nil {
				t.Error(err)
			}
			if got := server.RemoteAddr().String(); got != want {
				t.Errorf("the peer is at %s, not at %s", want, got)
			}
			if got := server.(*Socket).RemoteText(); got != want {
				t.Errorf("the peer is at %s, not at %s", want, got)
			}
		})
	}
}

// releaser gives its connection to next with the first bytes.
type releaser struct {
	*recorder
	conn Conn
	next func(net.Conn)
}

func (r *releaser) Data(p []byte) error {
	if err := r.recorder.Data(p); err != nil {
		return err
	}
	r.next(r.conn.Release())
	return ErrDetached
}

// A connection that is released belongs to whoever has it then, with all that comes before anybody reads it again.
func TestRelease(t *testing.T) {
	adopt := func(t *testing.T, p *Poller, c net.Conn) ([]byte, error) {
		r, pc := newRecorder(), new(Conn)
		if err := p.Adopt(pc, c, r); err != nil {
			t.Fatal(err)
		}
		pc.Start(nil)
		err := r.wait(t)
		return r.bytes(), err
	}
	for name, take := range map[string]func(t *testing.T, p *Poller, c net.Conn) ([]byte, error){
		"the same poller": adopt,
		"another poller": func(t *testing.T, _ *Poller, c net.Conn) ([]byte, error) {
			return adopt(t, newEpoll(t, Options{}), c)
		},
		"nobody": func(_ *testing.T, _ *Poller, c net.Conn) ([]byte, error) {
			all, err := io.ReadAll(c)
			if err == nil {
				err = io.EOF
			}
			return all, errors.Join(err, c.Close())
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newEpoll(t, Options{})
			server, client := acceptedPair(t)
			released := make(chan net.Conn, 1)
			first := &releaser{recorder: newRecorder(), next: func(c net.Conn) { released <- c }}
			if err := p.Adopt(&first.conn, server, first); err != nil {
				t.Fatal(err)
			}
			first.conn.Start(nil)
			write := func(text string) {
				if _, err := client.Write([]byte(text)); err != nil {
					t.Fatal(err)
				}
			}
			write("first")
			c := <-released
			write("second") // whose event nobody is there for
			if err := client.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			got, err := take(t, p, c)
			if string(got) != "second" || !errors.Is(err, io.EOF) {
				t.Errorf("got %q, %v", got, err)
			}
			if string(first.bytes()) != "first" {
				t.Errorf("before: %q", first.bytes())
			}
		})
	}
}

func TestReleaseAfterClose(t *testing.T) {
	p := newEpoll(t, Options{})
	server, _ := acceptedPair(t)
	r, c := newRecorder(), new(Conn)
	if err := p.Adopt(c, server, r); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if c.Release() != nil {
		t.Error("what has been closed was released")
	}
	if err := r.wait(t); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Closed(%v)", err)
	}
}
