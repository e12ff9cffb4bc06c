package fastpath

import (
	"errors"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"crier/io/http1"
	"crier/io/netpoll"
)

// guest is a connection that the poller watches while it waits for a request, so that it has neither a goroutine nor a buffer. A
// request that comes in one piece is answered at once, by the goroutine that has read it. Whatever is not so simple, such as a
// request in two pieces or a handler that wants to hear when the client goes away, makes it a connection like any other.
//
// It is a [net.Conn], for those who have it served or take it over.
type guest struct {
	// static
	listener *Listener
	remote   string
	nc       netpoll.Conn

	until atomic.Int64 // when it has waited for too long, since Listener.born; leaving: it is being served, or ends

	// owned by Data
	blank http1.Blank

	// guarded by the listener's mu
	prev, next *guest
	listed     bool

	mu       sync.Mutex
	released net.Conn // what it has become; nil while the poller has it
}

// leaving is guest.until of one that does not wait.
const leaving = -1

// guests are those that there are.
type guests struct {
	first *guest
	count int
}

func (s *guests) add(g *guest) {
	if g.next = s.first; g.next != nil {
		g.next.prev = g
	}
	s.first, g.listed = g, true
	s.count++
}

func (s *guests) remove(g *guest) {
	if !g.listed {
		return
	}
	if g.prev != nil {
		g.prev.next = g.next
	} else {
		s.first = g.next
	}
	if g.next != nil {
		g.next.prev = g.prev
	}
	g.prev, g.next, g.listed = nil, nil, false
	s.count--
}

// idle returns those that have waited for a request until now or before; they will not be served any more.
func (s *guests) idle(now int64) (list []*guest) {
	for g := s.first; g != nil; g = g.next {
		if g.leave(now) {
			list = append(list, g)
		}
	}
	return list
}

// leave has the guest not be served any more, and reports whether it has waited for a request until now or before.
func (g *guest) leave(now int64) bool {
	until := g.until.Load()
	return until != leaving && until <= now && g.until.CompareAndSwap(until, leaving)
}

// invite has the poller watch a connection that has just been accepted.
func (l *Listener) invite(s *netpoll.Socket) {
	if !l.admit(s) {
		return
	}
	g := &guest{listener: l, remote: s.RemoteText()}
	g.until.Store(leaving) // nobody can send it home yet
	l.welcome(g)
	if err := l.poller.Adopt(&g.nc, s, g); err != nil {
		g.Closed(err)
		l.logf("http: serving the connection of %v: %v", g.remote, errors.Join(err, s.Close()))
		return
	}
	g.wait(time.Now(), l.server.ReadHeaderTimeout)
	g.nc.Start(nil)
	if l.stopping.Load() && g.leave(math.MaxInt64) { // Close has come too early for it
		l.sendHome([]*guest{g})
	}
}

// wait notes that the guest waits for a request from now on, for so long. 0: for ever.
func (g *guest) wait(now time.Time, limit time.Duration) {
	until := int64(math.MaxInt64)
	if limit > 0 {
		until = int64(now.Sub(g.listener.born) + limit + slack)
	}
	g.until.Store(until)
}

// sweep ends those that wait for too long. While nobody waits it does nothing.
func (l *Listener) sweep() {
	for {
		select {
		case <-l.came:
		case <-l.closing:
			return
		}
		l.sweepOut()
	}
}

// sweepOut sweeps until there are no guests any more.
func (l *Listener) sweepOut() {
	ticker := time.NewTicker(slack / 2)
	defer ticker.Stop()
	for some := true; some; {
		select {
		case <-ticker.C:
		case <-l.closing:
			return
		}
		l.mu.Lock()
		late := l.guests.idle(int64(time.Since(l.born)))
		some = l.guests.count > 0
		l.mu.Unlock()
		l.sendHome(late)
	}
}

// welcome puts a guest on the list, and has the sweep begin with the first.
func (l *Listener) welcome(g *guest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.guests.add(g)
	if l.guests.count > 1 {
		return
	}
	select {
	case l.came <- struct{}{}:
	default: // it has been told
	}
}

// sendHome closes the connections of guests that are leaving.
func (l *Listener) sendHome(list []*guest) {
	for _, g := range list {
		if err := g.nc.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			l.logf("http: closing the connection of %v: %v", g.remote, err)
		}
	}
}

// Data implements [netpoll.Handler]: it has the request answered that p is.
func (g *guest) Data(p []byte) error {
	l := g.listener
	c := l.host(g)
	if c == nil {
		return net.ErrClosed // it is too late
	}
	defer l.running.Done()
	switch c.attend(g, p) {
	case stays:
		l.conns.Put(c)
		return nil
	case moves:
		l.running.Go(func() { l.goOn(c, g) })
	case ends:
		l.conns.Put(c)
	case breaks: // c may be in any state
	}
	if g.inner() != nil {
		return netpoll.ErrDetached
	}
	return net.ErrClosed
}

// Closed implements [netpoll.Handler].
func (g *guest) Closed(error) {
	l := g.listener
	l.mu.Lock()
	defer l.mu.Unlock()
	l.guests.remove(g)
}

// host returns what a guest is served with that has sent something; nil if it is leaving. The caller must call running.Done then.
func (l *Listener) host(g *guest) *conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	until := g.until.Load()
	if l.stopping.Load() || until == leaving || !g.until.CompareAndSwap(until, leaving) { // unless it stays
		return nil
	}
	l.running.Add(1) // Wait comes after Close, which has had mu
	c, ok := l.conns.Get().(*conn)
	if !ok { // the pool is only ours
		panic("fastpath: foreign value in a pool")
	}
	return c
}

// fate is what becomes of a guest that has sent something.
type fate uint8

const (
	breaks fate = iota // it has ended by a panic
	ends               // or otherwise, or somebody else has it
	stays
	moves // to a goroutine of its own
)

// attend answers the request that p is.
func (c *conn) attend(g *guest, p []byte) (f fate) {
	l := c.listener
	defer l.leave(c) // if it has a connection then
	c.nc, c.guest, c.remote, c.until, c.blank = g, g, g.remote, time.Time{}, g.blank
	n := copy(c.buf[:], p)
	c.have = n
	c.skipBlank()
	if c.have == 0 {
		c.now = time.Now()
		return c.keep(l.server.ReadHeaderTimeout)
	}
	v := c.reader.Parse(c.buf[:c.have], len(c.buf))
	switch {
	case v == http1.Foreign || len(p) > len(c.buf):
		c.pass(p[n-c.have:])
		return ends
	case v == http1.Whole && (l.stopping.Load() || !c.answer()):
		return ends
	case v == http1.Whole && c.have == 0 && g.inner() == nil:
		return c.keep(l.server.IdleTimeout)
	}
	// There is a part of a request, or the handler has had the client watched.
	if _, err := g.release(); err != nil {
		return ends
	}
	c.nc, c.guest = nil, nil
	return moves
}

// keep has the guest wait for its next request, unless the port is closing.
func (c *conn) keep(limit time.Duration) fate {
	l := c.listener
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopping.Load() {
		return ends
	}
	c.guest.blank = c.blank
	c.guest.wait(c.now, limit)
	c.nc, c.guest = nil, nil
	return stays
}

// goOn serves a guest that has become a connection like any other, and of which c has what has come.
func (l *Listener) goOn(c *conn, g *guest) {
	l.mu.Lock()
	l.guests.remove(g)
	l.open[c] = g
	l.mu.Unlock()
	defer l.leave(c)
	c.nc, c.now = g, time.Now()
	c.serveOn(l.server.IdleTimeout)
}

// inner is what the guest has become, or nil.
func (g *guest) inner() net.Conn {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.released
}

// release takes the connection from the poller, within Data, and returns it.
func (g *guest) release() (net.Conn, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.released == nil {
		if g.released = g.nc.Release(); g.released == nil {
			return nil, net.ErrClosed
		}
	}
	return g.released, nil
}

// Write implements [net.Conn].
func (g *guest) Write(p []byte) (int, error) {
	if nc := g.inner(); nc != nil {
		return nc.Write(p)
	}
	return g.nc.Write(p)
}

// Close implements [net.Conn].
func (g *guest) Close() error {
	if nc := g.inner(); nc != nil {
		return nc.Close()
	}
	return g.nc.Close()
}

// LocalAddr implements [net.Conn].
func (g *guest) LocalAddr() net.Addr {
	if nc := g.inner(); nc != nil {
		return nc.LocalAddr()
	}
	return g.nc.LocalAddr()
}

// RemoteAddr implements [net.Conn].
func (g *guest) RemoteAddr() net.Addr {
	if nc := g.inner(); nc != nil {
		return nc.RemoteAddr()
	}
	return g.nc.RemoteAddr()
}

// Read implements [net.Conn].
func (g *guest) Read(p []byte) (int, error) {
	nc, err := g.release()
	if err != nil {
		return 0, err
	}
	return nc.Read(p)
}

// SetDeadline implements [net.Conn].
func (g *guest) SetDeadline(t time.Time) error { return g.limit(t, net.Conn.SetDeadline) }

// SetReadDeadline implements [net.Conn].
func (g *guest) SetReadDeadline(t time.Time) error { return g.limit(t, net.Conn.SetReadDeadline) }

// SetWriteDeadline implements [net.Conn].
func (g *guest) SetWriteDeadline(t time.Time) error { return g.limit(t, net.Conn.SetWriteDeadline) }

func (g *guest) limit(t time.Time, set func(net.Conn, time.Time) error) error {
	nc, err := g.release()
	if err != nil {
		return err
	}
	return set(nc, t)
}
