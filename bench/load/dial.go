//go:build linux

package load

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// dialers is how many connections are opened at a time, and dialTimeout bounds each step of one.
const (
	dialers     = 64
	dialTimeout = 20 * time.Second
)

// handshake is what a browser sends, or about as much.
const handshake = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n" +
	"Host: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36\r\n" +
	"Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en,zh;q=0.9\r\n\r\n"

// Dial says how a connection is made.
type Dial struct {
	Addr netip.AddrPort // IPv4
	// From is an address of this machine to connect from; the zero Addr leaves it to the kernel,
	// which has about 28,000 ports for each.
	From netip.Addr
	// Receive and MaxSegment, in bytes, make a peer whose kernel takes little of what it does not
	// read; 0: as the system has it.
	Receive, MaxSegment int
}

// Conn is a connection that is being made, by blocking calls.
type Conn struct {
	fd int
	in []byte // read and not used
}

// Connect opens a TCP connection.
func (d Dial) Connect() (*Conn, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("making a socket: %w", err)
	}
	if err := d.connect(fd); err != nil {
		return nil, errors.Join(fmt.Errorf("connecting to %s: %w", d.Addr, err), syscall.Close(fd))
	}
	return &Conn{fd: fd}, nil
}

func (d Dial) connect(fd int) error {
	timeout := syscall.NsecToTimeval(int64(dialTimeout))
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &timeout); err != nil {
		return err
	}
	for _, o := range []struct{ level, name, value int }{
		{syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1},
		{syscall.SOL_SOCKET, syscall.SO_RCVBUF, d.Receive},
		{syscall.IPPROTO_TCP, syscall.TCP_MAXSEG, d.MaxSegment},
	} {
		if o.value == 0 {
			continue
		}
		if err := syscall.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return err
		}
	}
	if d.From.IsValid() {
		if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: d.From.As4()}); err != nil {
			return err
		}
	}
	return syscall.Connect(fd, &syscall.SockaddrInet4{Addr: d.Addr.Addr().As4(), Port: int(d.Addr.Port())})
}

// Login opens a Socket.IO connection over WebSocket and logs it in as uid, by the event.
func (d Dial) Login(uid string) (*Conn, error) {
	c, err := d.Connect()
	if err != nil {
		return nil, err
	}
	if err := c.login(d.Addr, uid); err != nil {
		return nil, errors.Join(fmt.Errorf("logging in: %w", err), c.Close())
	}
	return c, nil
}

func (c *Conn) login(addr netip.AddrPort, uid string) error {
	if err := c.write(fmt.Appendf(nil, handshake, addr)); err != nil {
		return err
	}
	for !bytes.Contains(c.in, []byte("\r\n\r\n")) {
		if err := c.read(); err != nil {
			return err
		}
	}
	head, rest, _ := bytes.Cut(c.in, []byte("\r\n\r\n"))
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")) {
		return fmt.Errorf("the server answered %q", head)
	}
	c.in = rest
	for _, step := range []struct{ want, answer string }{
		{want: "0{", answer: "40"},
		{want: "40{", answer: fmt.Sprintf(`421["login",%q]`, uid)},
		{want: `431[{"ok":true`},
	} {
		if err := c.expect(step.want); err != nil {
			return err
		}
		if step.answer == "" {
			break
		}
		if err := c.write(AppendClientFrame(nil, step.answer)); err != nil {
			return err
		}
	}
	return nil
}

// expect drops packets up to one that begins with prefix.
func (c *Conn) expect(prefix string) error {
	for {
		_, payload, rest, ok, err := CutFrame(c.in)
		switch {
		case err != nil:
			return err
		case !ok:
			if err := c.read(); err != nil {
				return fmt.Errorf("waiting for %q: %w", prefix, err)
			}
			continue
		}
		c.in = rest
		if bytes.HasPrefix(payload, []byte(prefix)) {
			return nil
		}
	}
}

func (c *Conn) write(p []byte) error {
	for len(p) > 0 {
		n, err := syscall.Write(c.fd, p)
		if err != nil && !errors.Is(err, syscall.EINTR) {
			return fmt.Errorf("writing: %w", err)
		}
		p = p[max(n, 0):]
	}
	return nil
}

func (c *Conn) read() error {
	var buf [2048]byte
	n, err := syscall.Read(c.fd, buf[:])
	switch {
	case errors.Is(err, syscall.EINTR):
		return nil
	case err != nil:
		return fmt.Errorf("reading: %w", err)
	case n == 0:
		return errors.New("the server closed the connection")
	}
	c.in = append(c.in, buf[:n]...)
	return nil
}

// Close ends the connection, by a reset, so that its port is free at once.
func (c *Conn) Close() error { return reset(c.fd) }

func reset(fd int) error {
	return errors.Join(
		syscall.SetsockoptLinger(fd, syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1}),
		syscall.Close(fd),
	)
}

// Many makes n connections, 64 at a time, and hands each to take, which may be called by several
// goroutines at once. The error is that of the first one that failed.
func Many(n int, dial func(i int) (*Conn, error), take func(*Conn) error) error {
	var (
		work  = make(chan int)
		wg    sync.WaitGroup
		mu    sync.Mutex
		count int
		first error
	)
	for range min(dialers, n) {
		wg.Go(func() {
			for i := range work {
				c, err := dial(i)
				if err == nil {
					err = take(c)
				}
				if err != nil {
					mu.Lock()
					if count++; count == 1 {
						first = err
					}
					mu.Unlock()
				}
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	wg.Wait()
	if count > 0 {
		return fmt.Errorf("%d of %d connections failed: %w", count, n, first)
	}
	return nil
}
