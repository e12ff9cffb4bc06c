package netpoll

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// Listener accepts connections as Sockets. What they inherit from the port need not be set on each, and nobody asks them for
// their name; and a Poller takes their descriptor as it is. It is a [net.Listener], or a Poller accepts for it ([Poller.Serve]).
type Listener struct {
	// static
	addr   net.Addr
	shared bool // other processes have the port, too, and may make it a blocking one

	closed atomic.Bool

	// guarded by mu
	mu       sync.Mutex
	fd       int             // -1: file or entrance has it, or it is closed
	file     *os.File        // for Accept
	raw      syscall.RawConn // of file
	entrance *entrance       // for Serve

	turn sync.Mutex // held by who accepts
}

// NewListener takes a port over, whose connections inherit from now on that they send without delay, as Go has it. With shared, other
// processes have it as well: as one of them may make it a blocking one at any time, a goroutine accepts then.
func NewListener(port *net.TCPListener, shared bool) (*Listener, error) {
	l, err := newListener(port, shared)
	if err = errors.Join(err, port.Close()); err != nil {
		return nil, fmt.Errorf("taking a port over: %w", err)
	}
	return l, nil
}

// newListener makes a Listener with a descriptor of its own: that of a [net.TCPListener] cannot be waited for.
func newListener(port *net.TCPListener, shared bool) (*Listener, error) {
	of, err := port.SyscallConn()
	if err != nil {
		return nil, err
	}
	var set error
	err = of.Control(func(fd uintptr) { set = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1) })
	if err = errors.Join(err, os.NewSyscallError("setsockopt", set)); err != nil {
		return nil, err
	}
	fd, err := duplicate(of)
	if err != nil {
		return nil, err
	}
	l := &Listener{addr: port.Addr(), shared: shared, fd: fd}
	if shared {
		if _, err := l.waitable(); err != nil { // now, while it is not blocking
			return nil, errors.Join(err, l.shut())
		}
	}
	return l, nil
}

// Accept implements [net.Listener]. What it returns is a *Socket.
func (l *Listener) Accept() (net.Conn, error) {
	raw, err := l.waitable()
	if err != nil {
		return nil, l.opError("accept", err)
	}
	l.turn.Lock()
	defer l.turn.Unlock()
	var s *Socket
	waitErr := raw.Read(func(fd uintptr) bool {
		s, err = l.acceptLocked(int(fd))
		return !errors.Is(err, ErrWouldBlock)
	})
	switch {
	case waitErr != nil && l.closed.Load(): // which the error of a RawConn does not say
		err = net.ErrClosed
	case waitErr != nil:
		err = waitErr
	}
	if err != nil {
		return nil, l.opError("accept", err)
	}
	return s, nil
}

// waitable makes the descriptor one that Go's poller waits for.
func (l *Listener) waitable() (syscall.RawConn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.raw != nil:
		return l.raw, nil
	case l.fd < 0:
		return nil, net.ErrClosed
	}
	file := os.NewFile(uintptr(l.fd), "port")
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, err
	}
	l.fd, l.file, l.raw = -1, file, raw
	return raw, nil
}

// acceptLocked accepts a connection from fd, the port. The error is ErrWouldBlock if nobody has connected. It is the caller's turn.
func (l *Listener) acceptLocked(fd int) (*Socket, error) {
	for {
		conn, peer, err := acceptNow(fd, l.shared)
		switch {
		case err == nil:
			return &Socket{fd: conn, peer: peer}, nil
		case errors.Is(err, syscall.EINTR), errors.Is(err, syscall.ECONNABORTED):
		case errors.Is(err, syscall.EAGAIN):
			return nil, ErrWouldBlock
		default:
			return nil, os.NewSyscallError("accept4", err)
		}
	}
}

// Close implements [net.Listener]. Once it has returned, nobody is accepted any more.
func (l *Listener) Close() error {
	err := net.ErrClosed
	if !l.closed.Swap(true) {
		err = l.shut()
	}
	if err != nil {
		return l.opError("close", err)
	}
	return nil
}

// shut closes the descriptor.
func (l *Listener) shut() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.file != nil:
		return l.file.Close()
	case l.entrance != nil:
		return l.entrance.shut()
	}
	fd := l.fd
	l.fd = -1
	return os.NewSyscallError("close", closeNow(fd))
}

// Addr implements [net.Listener].
func (l *Listener) Addr() net.Addr { return l.addr }

func (l *Listener) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: l.addr.Network(), Addr: l.addr, Err: err}
}

// SyscallConn implements [syscall.Conn], for options that connections inherit: of what it returns, Control works.
func (l *Listener) SyscallConn() (syscall.RawConn, error) { return settings{l}, nil }

// settings are the options of a port.
type settings struct{ l *Listener }

// Control implements [syscall.RawConn].
func (o settings) Control(f func(fd uintptr)) error {
	o.l.mu.Lock()
	defer o.l.mu.Unlock()
	switch e := o.l.entrance; {
	case o.l.raw != nil:
		return o.l.raw.Control(f)
	case e != nil && e.conn.use():
		f(uintptr(e.conn.fd))
		return e.conn.unuse()
	case o.l.fd < 0:
		return net.ErrClosed
	}
	f(uintptr(o.l.fd))
	return nil
}

// Read implements [syscall.RawConn].
func (settings) Read(func(fd uintptr) bool) error { return errors.ErrUnsupported }

// Write implements [syscall.RawConn].
func (settings) Write(func(fd uintptr) bool) error { return errors.ErrUnsupported }

// Serve accepts on l and has take called with each connection, one at a time and by the goroutines that call handlers; take must not
// wait. It returns the first error, as Accept does, and may be called again then. With UseEpoll no goroutine has to be woken for a
// connection, other than that which deals with what it says.
func (p *Poller) Serve(l *Listener, take func(*Socket)) error {
	if p.epoll == nil || l.shared {
		return serve(l, take)
	}
	e, err := l.open(p)
	if err == nil {
		e.resume(take)
		err = <-e.ended
	}
	return l.opError("accept", err)
}

// open has p hear of who connects.
func (l *Listener) open(p *Poller) (*entrance, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed.Load():
		return nil, net.ErrClosed
	case l.entrance != nil && l.entrance.conn.state.Load()&closed != 0:
		return nil, ErrPollerClosed
	case l.entrance != nil:
		return l.entrance, nil
	case l.fd < 0:
		return nil, errors.New("somebody has called Accept")
	}
	e := &entrance{listener: l, ended: make(chan error, 1)}
	e.conn.poller, e.conn.h, e.conn.fd = p, e, int32(l.fd)
	if err := p.watch(&e.conn, unix.EPOLLIN|unix.EPOLLET); err != nil {
		return nil, err
	}
	l.fd, l.entrance = -1, e
	e.conn.Start(nil)
	return e, nil
}

// entrance is a port for which a poller accepts. To that it is one more connection, of which there is something to read when
// somebody has connected.
type entrance struct {
	// static
	listener *Listener
	ended    chan error // has room for one: after an error nobody is accepted until the next Serve

	conn Conn
	take func(*Socket) // guarded by listener.turn; nil: nobody is accepted
}

// resume has those accepted who have connected, and will.
func (e *entrance) resume(take func(*Socket)) {
	e.listener.turn.Lock()
	e.take = take
	e.listener.turn.Unlock()
	e.conn.tell(0)
}

// attend accepts those who have connected. It has the place of [Conn.attend].
func (e *entrance) attend() error {
	for n := 1; ; n++ {
		s, take, err := e.accept()
		switch {
		case errors.Is(err, ErrWouldBlock):
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil:
			e.ended <- err
			return nil
		}
		take(s)
		if n%breath == 0 {
			runtime.Gosched()
		}
	}
}

// accept accepts a connection. Other errors than ErrWouldBlock end Serve.
func (e *entrance) accept() (s *Socket, take func(*Socket), err error) {
	l := e.listener
	l.turn.Lock()
	defer l.turn.Unlock()
	switch {
	case l.closed.Load() || !e.conn.use():
		return nil, nil, net.ErrClosed
	case e.take == nil:
		return nil, nil, errors.Join(ErrWouldBlock, e.conn.unuse())
	}
	s, err = l.acceptLocked(int(e.conn.fd))
	if cerr := e.conn.unuse(); err == nil && cerr != nil {
		err = errors.Join(cerr, s.Close())
	}
	take = e.take
	if err != nil && !errors.Is(err, ErrWouldBlock) {
		e.take = nil
	}
	return s, take, err
}

// shut closes the port. It leaves the epoll first, which would hear of it as long as somebody else has it, too, such as the server
// that is next.
func (e *entrance) shut() error {
	e.listener.turn.Lock() // whoever has it next sees that the port is closed
	defer e.listener.turn.Unlock()
	err := e.conn.poller.epoll.control(&e.conn, unix.EPOLL_CTL_DEL, 0)
	if errors.Is(err, net.ErrClosed) { // by the poller
		err = nil
	}
	return errors.Join(err, e.conn.Close())
}

// Data implements [Handler]. It is not called.
func (e *entrance) Data([]byte) error { return net.ErrClosed }

// Closed implements [Handler].
func (e *entrance) Closed(err error) { e.ended <- err }
