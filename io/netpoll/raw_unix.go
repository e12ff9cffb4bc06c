//go:build unix

package netpoll

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// rawConn returns c's raw connection, or nil when c is not a plain socket. The
// types are named because a wrapper may promote SyscallConn from the socket
// inside it, whose bytes are not its own.
func rawConn(c net.Conn) (syscall.RawConn, error) {
	switch c := c.(type) {
	case *net.TCPConn:
		return c.SyscallConn()
	case *net.UnixConn:
		return c.SyscallConn()
	}
	return nil, nil
}

// readRaw reads a plain socket until it ends, or leaves that to the crew. Each round reads before it
// waits, so a FIN that arrived together with the last bytes is never missed.
//
// A handler makes the stack grow, and the runtime does not shrink one of 4 KB
// again while the goroutine waits: so only one that is young, and of a connection that has said something
// before, calls the handler itself.
func (c *Conn) readRaw() {
	ready, born := c.readReady, time.Now()
	for {
		err := c.net.raw.Read(ready)
		if c.net.calls < earlyCalls || time.Since(born) >= c.poller.renew {
			c.poller.crew.leave(task{c: c, err: err})
			return
		}
		if !c.handle(nil, err) {
			return
		}
	}
}

// proceed is what the crew does with a connection: it calls the handler, and leaves the waiting to a new goroutine.
func proceed(t task) {
	c := t.c
	if c.net == nil {
		c.tend(t.initial)
		return
	}
	if c.net.calls < earlyCalls {
		c.net.calls++
	}
	if c.handle(t.initial, t.err) {
		c.release()
		go c.readRaw()
	}
}

// handle has the handler called with initial or, if there is nothing in it, with what has been read, and reports whether the
// connection goes on. err is that of reading.
func (c *Conn) handle(initial []byte, err error) bool {
	switch {
	case len(initial) > 0:
		err = c.h.Data(initial)
	case err != nil:
		err = c.readError(err)
	default:
		err = c.take()
	}
	if err != nil {
		c.release()
		c.finish(err)
	}
	return err == nil
}

// take hands over what readReady read.
func (c *Conn) take() error {
	if c.net.rd.n > 0 {
		return c.h.Data(c.net.rd.b[:c.net.rd.n])
	}
	if c.net.rd.err != nil {
		return c.readError(c.net.rd.err)
	}
	return io.EOF
}

// readReady is called when the socket may be readable. It answers false, to be
// called again later, once there is nothing to read; the buffer goes back first.
func (c *Conn) readReady(fd uintptr) bool {
	if c.net.rd == nil {
		c.net.rd = c.poller.buffer()
	}
	for {
		n, err := syscall.Read(int(fd), c.net.rd.b)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
			c.release()
			return false
		case err != nil:
			c.net.rd.n, c.net.rd.err = 0, os.NewSyscallError("read", err)
		default:
			c.net.rd.n, c.net.rd.err = n, nil
		}
		return true
	}
}

// release gives the read buffer back.
func (c *Conn) release() {
	if c.net.rd != nil {
		c.poller.bufs.Put(c.net.rd)
		c.net.rd = nil
	}
}

// writeOp is one write(2). It is pooled together with the function values that
// run it, so that a write allocates nothing.
type writeOp struct {
	p    []byte
	n    int
	err  error
	try  func(fd uintptr)      // writes once
	wait func(fd uintptr) bool // writes once; false if the kernel took nothing
}

func newWriteOp() *writeOp {
	op := new(writeOp)
	op.try = op.run
	op.wait = func(fd uintptr) bool {
		op.run(fd)
		return op.n > 0 || !errors.Is(op.err, ErrWouldBlock)
	}
	return op
}

// run writes once. A stream socket that takes less than all of it is full.
func (op *writeOp) run(fd uintptr) {
	for {
		n, err := syscall.Write(int(fd), op.p)
		op.n, op.err = max(n, 0), nil
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
			op.err = ErrWouldBlock
		case err != nil:
			op.err = os.NewSyscallError("write", err)
		case op.n < len(op.p):
			op.err = ErrWouldBlock
		}
		return
	}
}

// writeRaw runs one write on the socket; with wait until at least one byte is
// taken. The other kind goes without the poller's part of a write, which takes
// a twentieth of a broadcast's time.
func (c *Conn) writeRaw(p []byte, wait bool) (n int, err error) {
	op := c.poller.ops.Get().(*writeOp)
	op.p, op.n, op.err = p, 0, nil
	if wait {
		err = c.net.raw.Write(op.wait)
	} else {
		err = c.net.raw.Control(op.try)
	}
	if err != nil {
		err = fmt.Errorf("writing: %w", err)
	} else {
		err = op.err
	}
	n = op.n
	op.p, op.err = nil, nil
	c.poller.ops.Put(op)
	return n, err
}
