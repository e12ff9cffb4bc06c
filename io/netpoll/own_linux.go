package netpoll

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// gone is the bit of Conn.uses that says that the descriptor is to be closed, by the last who uses it.
const gone = 1 << 31

// own is a Conn whose descriptor is the poller's, as what net has of it would be. It is closed only when no system call on
// it is under way, and none begins after that: it may be another connection's then.
type own Conn

func (c *Conn) port() port {
	if c.net != nil {
		return c.net.conn
	}
	return (*own)(c)
}

// use must be called before a system call on the descriptor, and unuse behind it. After false there must be none.
func (c *Conn) use() bool {
	for {
		n := c.uses.Load()
		if n&gone != 0 {
			return false
		}
		if c.uses.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (c *Conn) unuse() error {
	if c.uses.Add(^uint32(0)) == gone {
		return c.closeOwn()
	}
	return nil
}

func (c *Conn) closeOwn() error {
	p := c.poller
	p.mu.Lock()
	p.own[c.fd] = nil // before another connection can have the number
	p.mu.Unlock()
	return os.NewSyscallError("close", closeNow(int(c.fd)))
}

// Close is called once.
func (o *own) Close() error {
	c := (*Conn)(o)
	old := c.uses.Or(gone)
	c.poke()
	if old == 0 {
		return c.closeOwn()
	}
	return nil
}

// startOwn is Start.
func (c *Conn) startOwn(initial []byte) {
	for {
		old := c.state.Load()
		if old&(started|closed) != 0 {
			return
		}
		begun := old | started
		if old&news != 0 || len(initial) > 0 {
			begun |= busy
		}
		if c.state.CompareAndSwap(old, begun) {
			if begun&busy != 0 {
				c.poller.crew.leave(task{c: c, initial: initial})
			}
			return
		}
	}
}

// due notes that something has happened, and reports whether the caller has to leave the connection to the crew: not
// before Start, nor while the crew has it.
func (c *Conn) due(why uint32) bool {
	for {
		old := c.state.Load()
		now := old | why | news
		if old&started != 0 {
			now |= busy
		}
		if c.state.CompareAndSwap(old, now) {
			return old&(started|busy) == started
		}
	}
}

// tell is due, and what the caller has to do.
func (c *Conn) tell(why uint32) {
	if c.due(why) {
		c.poller.crew.leave(task{c: c})
	}
}

// tend is what the crew does with a connection that is due: it calls the handler until there is nothing more. One that has
// ended stays busy, so that it never is due again.
func (c *Conn) tend(initial []byte) {
	for {
		now := c.state.And(^uint32(news))
		if err := c.attend(initial, now); err != nil {
			c.stopWaiting()
			c.finish(err)
			return
		}
		initial = nil
		if c.rest() {
			return
		}
	}
}

// rest ends being busy, unless there are news.
func (c *Conn) rest() bool {
	for {
		old := c.state.Load()
		if old&news != 0 {
			return false
		}
		if c.state.CompareAndSwap(old, old&^busy) {
			return true
		}
	}
}

// attend calls the handler with initial, and with what there is to read. state is what it was when all news before it were
// known: what has come since makes an event of its own. So after a read that did not fill the buffer there is no use in
// another one, unless the peer had ended its side by then, or sent an urgent byte: what is behind that makes no other event.
func (c *Conn) attend(initial []byte, state uint32) error {
	if e, ok := c.h.(*entrance); ok {
		return e.attend()
	}
	if len(initial) > 0 {
		if err := c.h.Data(initial); err != nil {
			return err
		}
	}
	rd := c.poller.buffer()
	defer c.poller.bufs.Put(rd)
	for {
		if state&expired != 0 {
			return fmt.Errorf("reading: %w", os.ErrDeadlineExceeded)
		}
		n, err := c.readOwn(rd.b)
		switch {
		case errors.Is(err, ErrWouldBlock):
			return nil
		case err != nil:
			return c.readError(err)
		case n == 0:
			return io.EOF
		}
		if err := c.h.Data(rd.b[:n]); err != nil {
			return err
		}
		if n < len(rd.b) && state&over == 0 {
			return nil
		}
		state |= c.state.Load()
	}
}

// readOwn is one read(2).
func (c *Conn) readOwn(p []byte) (n int, err error) {
	if !c.use() {
		return 0, net.ErrClosed
	}
	n, err = readNow(int(c.fd), p)
	for errors.Is(err, syscall.EINTR) {
		n, err = readNow(int(c.fd), p)
	}
	return ioResult("read", n, err, c.unuse())
}

// writeOwn is one write(2). A stream socket that takes less than all of it is full.
func (c *Conn) writeOwn(p []byte) (n int, err error) {
	if !c.use() {
		return 0, fmt.Errorf("writing: %w", net.ErrClosed)
	}
	n, err = writeNow(int(c.fd), p)
	for errors.Is(err, syscall.EINTR) {
		n, err = writeNow(int(c.fd), p)
	}
	if err == nil && n < len(p) {
		err = syscall.EAGAIN
	}
	return ioResult("write", n, err, c.unuse())
}

// ioResult is what a system call returned, and the end of its use of the descriptor.
func ioResult(call string, n int, err, closeErr error) (int, error) {
	switch {
	case errors.Is(err, syscall.EAGAIN):
		err = ErrWouldBlock
	case err != nil:
		err = os.NewSyscallError(call, err)
	default:
		err = closeErr
	}
	return max(n, 0), err
}

// CloseWrite ends the outgoing stream.
func (o *own) CloseWrite() error {
	c := (*Conn)(o)
	if !c.use() {
		return net.ErrClosed
	}
	err := os.NewSyscallError("shutdown", syscall.Shutdown(int(c.fd), syscall.SHUT_WR))
	return errors.Join(err, c.unuse())
}

// LocalAddr asks the kernel.
func (o *own) LocalAddr() net.Addr { return o.ask(syscall.Getsockname) }

// RemoteAddr asks the kernel: to keep it would take more than all else that a connection is. Once that has ended there is
// no answer, and the address has no network.
func (o *own) RemoteAddr() net.Addr { return o.ask(syscall.Getpeername) }

func (o *own) ask(name func(fd int) (syscall.Sockaddr, error)) net.Addr {
	c := (*Conn)(o)
	if !c.use() {
		return &net.TCPAddr{}
	}
	addr, err := name(int(c.fd))
	if err = errors.Join(err, c.unuse()); err != nil {
		return &net.TCPAddr{}
	}
	return addrOf(addr)
}

// waits is what a connection has of which something is waited for.
type waits struct {
	room chan struct{} // has a token when who waits for room to write should look

	mu     sync.Mutex
	write  time.Time   // the write deadline
	read   time.Time   // the read deadline
	reader *time.Timer // of that; nil without one
}

// waiting returns the connection's waits, made if there are none.
func (c *Conn) waiting() *waits {
	for {
		if w := c.waits.Load(); w != nil {
			return w
		}
		c.waits.CompareAndSwap(nil, &waits{room: make(chan struct{}, 1)})
	}
}

// poke has who waits for room look.
func (c *Conn) poke() {
	if w := c.waits.Load(); w != nil {
		w.poke()
	}
}

func (w *waits) poke() {
	select {
	case w.room <- struct{}{}:
	default: // it has been told
	}
}

// awaitRoom is WriteSome.
func (c *Conn) awaitRoom(p []byte) (n int, err error) {
	if w := c.waits.Load(); w != nil && w.late() {
		return 0, fmt.Errorf("writing: %w", os.ErrDeadlineExceeded)
	}
	n, err = c.writeOwn(p)
	if n > 0 || !errors.Is(err, ErrWouldBlock) {
		return n, err
	}
	w := c.waiting()
	if c.state.Or(armed)&armed == 0 { // which tells of room that there is already
		if err := c.poller.epoll.control(c, syscall.EPOLL_CTL_MOD, interest|syscall.EPOLLOUT); err != nil {
			return 0, fmt.Errorf("waiting for room to write: %w", err)
		}
	}
	for {
		if n, err = c.writeOwn(p); n > 0 || !errors.Is(err, ErrWouldBlock) {
			return n, err
		}
		if !w.await() {
			return 0, fmt.Errorf("writing: %w", os.ErrDeadlineExceeded)
		}
	}
}

// limit is the write deadline.
func (w *waits) limit() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.write
}

// late reports whether the write deadline has passed.
func (w *waits) late() bool {
	limit := w.limit()
	return !limit.IsZero() && time.Until(limit) <= 0
}

// await waits for a token, or until the write deadline, which it reports by false. To set that is worth a token.
func (w *waits) await() bool {
	limit := w.limit()
	if limit.IsZero() {
		<-w.room
		return true
	}
	left := time.Until(limit)
	if left <= 0 {
		return false
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-w.room:
	case <-timer.C: // unless it has been moved
	}
	return true
}

// Write writes all of p.
func (o *own) Write(p []byte) (n int, err error) {
	for n < len(p) {
		var more int
		if more, err = (*Conn)(o).awaitRoom(p[n:]); more == 0 {
			return n, err
		}
		n += more
	}
	return n, nil
}

// SetWriteDeadline implements [net.Conn].
func (o *own) SetWriteDeadline(t time.Time) error {
	c := (*Conn)(o)
	w := c.waits.Load()
	if t.IsZero() {
		if w != nil && !w.forget() {
			c.waits.CompareAndSwap(w, nil)
		}
		return nil
	}
	w = c.waiting()
	w.mu.Lock()
	w.write = t
	w.mu.Unlock()
	w.poke()
	return nil
}

// forget takes the write deadline away, and reports whether there is another.
func (w *waits) forget() (another bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.write = time.Time{}
	return w.reader != nil
}

// SetReadDeadline implements [net.Conn].
func (o *own) SetReadDeadline(t time.Time) error {
	c := (*Conn)(o)
	if t.IsZero() && c.waits.Load() == nil {
		return nil
	}
	w := c.waiting()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopReader()
	if w.read = t; !t.IsZero() {
		w.reader = time.AfterFunc(time.Until(t), func() {
			if w.passed(t) {
				c.tell(expired)
			}
		})
	}
	return nil
}

// passed reports whether t, which has passed, is the read deadline still.
func (w *waits) passed(t time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.read.Equal(t)
}

// stopReader is called with mu held.
func (w *waits) stopReader() {
	if w.reader != nil {
		w.reader.Stop()
		w.reader = nil
	}
}

// stopWaiting is for a connection that ends.
func (c *Conn) stopWaiting() {
	if w := c.waits.Load(); w != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.read = time.Time{}
		w.stopReader()
	}
}
