package cluster

import (
	"io"
	"net"
	"sync"
	"testing"
)

// proxy stands between a node and Redis, so that one node can be cut off.
type proxy struct {
	listener net.Listener
	to       string
	tasks    sync.WaitGroup

	mu     sync.Mutex
	frozen chan struct{} // nil while bytes pass; closed when they do again
	cut    bool
	conns  map[net.Conn]struct{}
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, to: to, conns: make(map[net.Conn]struct{})}
	p.tasks.Go(p.accept)
	t.Cleanup(func() {
		p.heal()
		l.Close()
		p.sever(true)
		p.tasks.Wait()
	})
	return p
}

func (p *proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		up, err := net.Dial("tcp", p.to)
		if err != nil || !p.keep(c, up) {
			c.Close()
			if up != nil {
				up.Close()
			}
			continue
		}
		p.tasks.Go(func() { p.pass(c, up) })
		p.tasks.Go(func() { p.pass(up, c) })
	}
}

// keep notes connections, unless the line is cut.
func (p *proxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut {
		return false
	}
	for _, c := range conns {
		p.conns[c] = struct{}{}
	}
	return true
}

func (p *proxy) pass(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	io.Copy(&valve{p, to}, from)
}

// valve writes as long as the proxy is not frozen.
type valve struct {
	proxy *proxy
	to    io.Writer
}

func (v *valve) Write(b []byte) (int, error) {
	v.proxy.mu.Lock()
	frozen := v.proxy.frozen
	v.proxy.mu.Unlock()
	if frozen != nil {
		<-frozen
	}
	return v.to.Write(b)
}

// freeze holds everything back, as when one side is stopped.
func (p *proxy) freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.frozen == nil {
		p.frozen = make(chan struct{})
	}
}

// heal undoes freeze and sever.
func (p *proxy) heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = false
	if p.frozen != nil {
		close(p.frozen)
		p.frozen = nil
	}
}

// sever ends all connections, and lets none be made if cut.
func (p *proxy) sever(cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = cut
	for c := range p.conns {
		c.Close()
	}
	clear(p.conns)
}
