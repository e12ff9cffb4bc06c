package netpoll

import (
	"errors"
	"net"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// served is a port that a poller accepts on.
type served struct {
	port  *Listener
	came  chan string // who has been accepted, and closed
	ended chan error  // of Serve
}

func newServed(t *testing.T, port net.Listener, shared bool) *served {
	t.Helper()
	l, err := NewListener(port.(*net.TCPListener), shared)
	if err != nil {
		t.Fatal(err)
	}
	return &served{port: l, came: make(chan string, 100), ended: make(chan error, 1)}
}

func (s *served) serve(p *Poller) {
	go func() {
		s.ended <- p.Serve(s.port, func(c *Socket) {
			s.came <- c.RemoteText()
			if err := c.Close(); err != nil {
				panic(err)
			}
		})
	}()
}

// end returns what has ended Serve.
func (s *served) end(t *testing.T) error {
	t.Helper()
	select {
	case err := <-s.ended:
		return err
	case <-time.After(patience):
		t.Fatal("Serve goes on")
		return nil
	}
}

// expect waits until the client has been accepted.
func (s *served) expect(t *testing.T, client net.Conn) {
	t.Helper()
	select {
	case who := <-s.came:
		if who != client.LocalAddr().String() {
			t.Errorf("%s was accepted, not %v", who, client.LocalAddr())
		}
	case <-time.After(patience):
		t.Fatal("nobody is accepted")
	}
}

func listenHere(t *testing.T) net.Listener {
	t.Helper()
	port, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func dial(t *testing.T, addr net.Addr) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestServe(t *testing.T) {
	for name, c := range map[string]struct {
		poller *Poller
		shared bool
	}{
		"with an epoll": {newEpoll(t, Options{}), false}, "without": {newPoller(t, Options{}), false}, "shared": {newEpoll(t, Options{}), true},
	} {
		t.Run(name, func(t *testing.T) {
			p, s := c.poller, newServed(t, listenHere(t), c.shared)
			first := dial(t, s.port.Addr()) // is there before anybody accepts
			s.serve(p)
			s.expect(t, first)
			for range 3 {
				s.expect(t, dial(t, s.port.Addr()))
			}
			if err := s.port.Close(); err != nil {
				t.Error(err)
			}
			if err := s.end(t); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Serve: %v", err)
			}
			if err := s.port.Close(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("closed again: %v", err)
			}
			s.serve(p)
			if err := s.end(t); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Serve of a closed port: %v", err)
			}
			if c, err := net.Dial("tcp", s.port.Addr().String()); err == nil {
				t.Error("the port is open still")
				c.Close()
			}
		})
	}
}

// The end of the poller is that of Serve.
func TestServeUntilPollerCloses(t *testing.T) {
	p := newEpoll(t, Options{})
	s := newServed(t, listenHere(t), false)
	s.serve(p)
	s.expect(t, dial(t, s.port.Addr()))
	closePoller(t, p)
	if err := s.end(t); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve: %v", err)
	}
	s.serve(p)
	if err := s.end(t); err == nil {
		t.Error("a closed poller serves")
	}
	if err := s.port.Close(); err != nil {
		t.Error(err)
	}
}

// Who connects while there are no descriptors is accepted when there are some, although nothing tells of it any more.
func TestServeAgain(t *testing.T) {
	p := newEpoll(t, Options{})
	s := newServed(t, listenHere(t), false)
	s.serve(p)
	s.expect(t, dial(t, s.port.Addr())) // and all descriptors but one are there that this takes
	limit := new(unix.Rlimit)
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, limit); err != nil {
		t.Fatal(err)
	}
	client, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(client)
	free, err := unix.FcntlInt(uintptr(client), unix.F_DUPFD_CLOEXEC, 0) // the least that there is
	if err == nil {
		err = unix.Close(free)
	}
	if err == nil {
		err = unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(free), Max: limit.Max})
	}
	if err != nil {
		t.Fatal(err)
	}
	port := s.port.Addr().(*net.TCPAddr)
	connected := unix.Connect(client, &unix.SockaddrInet4{Port: port.Port, Addr: [4]byte(port.IP.To4())})
	ended := s.end(t)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, limit); err != nil || connected != nil {
		t.Fatal(err, connected)
	}
	if !errors.Is(ended, syscall.EMFILE) {
		t.Errorf("Serve: %v", ended)
	}
	s.serve(p)
	select {
	case <-s.came:
	case <-time.After(patience):
		t.Error("who connected meanwhile is not accepted")
	}
	s.expect(t, dial(t, s.port.Addr()))
	if err := errors.Join(s.port.Close(), s.port.Close()); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if err := s.end(t); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve: %v", err)
	}
}

// A port that somebody else has too stays that one's, who may make it a blocking one meanwhile: that holds up nobody who does not
// accept.
func TestServeOfAnother(t *testing.T) {
	port := listenHere(t)
	file, err := port.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	s := newServed(t, port, true)
	blocking := func(is bool) {
		if err := unix.SetNonblock(int(file.Fd()), !is); err != nil {
			t.Fatal(err)
		}
	}
	blocking(true)
	s.serve(newEpoll(t, Options{}))
	for range 3 {
		s.expect(t, dial(t, s.port.Addr()))
		runtime.GC() // which whoever waits in a system call that Go knows nothing of would hold up
	}
	blocking(false)
	s.expect(t, dial(t, s.port.Addr())) // who waited in the call does not any more
	if err := s.port.Close(); err != nil {
		t.Error(err)
	}
	if err := s.end(t); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve: %v", err)
	}
	other, err := net.FileListener(file)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	client := dial(t, other.Addr())
	c, err := other.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.RemoteAddr().String() != client.LocalAddr().String() {
		t.Errorf("%v was accepted", c.RemoteAddr())
	}
}
