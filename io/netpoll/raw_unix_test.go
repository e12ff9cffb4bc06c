//go:build unix

package netpoll

import (
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestParkedConnectionHoldsNoBuffer(t *testing.T) {
	p := newPoller(t, Options{})
	server, client := tcpPair(t)
	c := add(t, p, server, newRecorder())
	parked := func() {
		t.Helper()
		err := c.net.raw.Control(func(fd uintptr) {
			if c.readReady(fd) {
				t.Error("an idle socket is ready")
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if c.net.rd != nil {
			t.Error("a buffer is held")
		}
	}
	parked()
	if _, err := client.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if err := c.net.raw.Read(c.readReady); err != nil {
		t.Fatal(err)
	}
	if c.net.rd == nil || string(c.net.rd.b[:c.net.rd.n]) != "hello" {
		t.Fatalf("read %+v", c.net.rd)
	}
	parked()
}

// deep is a Handler that needs much stack.
type deep struct {
	*recorder
}

func (d deep) Data(p []byte) error {
	if burn(0) == 0 {
		return io.ErrUnexpectedEOF
	}
	return d.recorder.Data(p)
}

func burn(n int) byte {
	var frame [512]byte
	frame[n%len(frame)] = 1
	if n < 20 {
		return burn(n+1) | frame[0]
	}
	return frame[n%len(frame)]
}

// A deep handler leaves no large stack behind, and nothing is lost when the
// goroutine changes: neither in the beginning nor when it is old.
func TestIdleStackIsSmall(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes stacks larger")
	}
	for _, tc := range []struct {
		name  string
		renew time.Duration
		calls int
	}{
		{"in the beginning", time.Hour, 3},
		{"when it is old", 0, earlyCalls + 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newPoller(t, Options{})
			p.renew = tc.renew
			checkStacks(t, p, tc.calls)
		})
	}
}

func checkStacks(t *testing.T, p *Poller, calls int) {
	const n = 300
	type end struct {
		r      *recorder
		client net.Conn
	}
	ends := make([]end, n)
	before := stackInUse()
	for i := range ends {
		server, client := tcpPair(t)
		ends[i] = end{newRecorder(), client}
		add(t, p, server, deep{ends[i].r}).Start(nil)
	}
	// The runtime starts goroutines with the average stack of the last
	// collection; let that be one with many idle connections.
	runtime.GC()
	for _, e := range ends {
		for range calls {
			if _, err := e.client.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			<-e.r.got
		}
	}
	if each := (stackInUse() - before) / n; each > 3000 {
		t.Errorf("%d bytes of stack per connection", each)
	}
	for _, e := range ends {
		e.client.Close()
		if err := e.r.wait(t); !errors.Is(err, io.EOF) || string(e.r.bytes()) != strings.Repeat("x", calls) {
			t.Errorf("got %q, Closed(%v)", e.r.bytes(), err)
		}
	}
}

func stackInUse() int64 {
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.StackInuse)
}

// veil is a Wrapper.
type veil struct {
	net.Conn
	bare net.Conn
}

func (v veil) Bare() net.Conn { return v.bare }

func TestWrapper(t *testing.T) {
	for _, c := range []struct {
		name   string
		wrap   func(net.Conn) net.Conn
		direct bool
	}{
		{"none", func(c net.Conn) net.Conn { return c }, true},
		{"one that is done", func(c net.Conn) net.Conn { return veil{c, c} }, true},
		{"one that is not", func(c net.Conn) net.Conn { return veil{c, nil} }, false},
		{"another kind", func(c net.Conn) net.Conn { return struct{ net.Conn }{c} }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPoller(t, Options{})
			server, _ := tcpPair(t)
			if got := add(t, p, c.wrap(server), newRecorder()).Direct(); got != c.direct {
				t.Errorf("Direct is %v, want %v", got, c.direct)
			}
		})
	}
}
