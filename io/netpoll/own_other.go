//go:build !linux

package netpoll

import "net"

// waits stands for what own connections would wait for, which there are none of here.
type waits struct{}

// epoll stands for what is missing here.
type epoll struct{}

func (*epoll) stopLocked() {}
func (*epoll) wait()       {}

// UseEpoll fails with [ErrNoEpoll].
func (p *Poller) UseEpoll() error { return ErrNoEpoll }

// Adopt is Add.
func (p *Poller) Adopt(pc *Conn, c net.Conn, h Handler) error { return p.Add(pc, c, h) }

func (c *Conn) port() port { return c.net.conn }

// These are never called, as every connection has a net.Conn.

func (c *Conn) startOwn([]byte)               {}
func (c *Conn) tell(uint32)                   {}
func (c *Conn) tend([]byte)                   {}
func (c *Conn) writeOwn([]byte) (int, error)  { return 0, ErrWouldBlock }
func (c *Conn) awaitRoom([]byte) (int, error) { return 0, ErrWouldBlock }
