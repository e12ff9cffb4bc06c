package wsconn

import (
	"errors"
	"io"
	"net"
	"runtime"
	"testing"

	"github.com/gobwas/ws"
)

// loopback returns a connection with the kernel's own buffers, whose client
// reads and discards.
func loopback(b *testing.B, u *Upgrader, n int) []*Conn {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	conns := make([]*Conn, n)
	for i := range conns {
		client, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		server, err := l.Accept()
		if err != nil {
			b.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			if _, err := io.Copy(io.Discard, client); err != nil {
				b.Error(err)
			}
		}()
		conns[i] = start(b, u, server, newRecorder())
		b.Cleanup(func() {
			conns[i].Abort()
			<-done
			client.Close()
		})
	}
	return conns
}

// BenchmarkSend sends 100 bytes to peers that keep up: one frame, shared. One peer cannot quite, so that there is a queue.
func BenchmarkSend(b *testing.B) {
	budget := newBudget(b, BudgetOptions{Bytes: 1 << 30})
	for _, tt := range []struct {
		name   string
		n      int
		budget *Budget
	}{{"peers=1", 1, budget}, {"peers=100", 100, budget}, {"peers=1,unbounded", 1, nil}, {"peers=100,unbounded", 100, nil}} {
		n := tt.n
		b.Run(tt.name, func(b *testing.B) {
			u := newUpgrader(b, Options{Budget: tt.budget})
			conns := loopback(b, u, n)
			frame := AppendText(nil, make([]byte, 100))
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				c := conns[i%n]
				i++
				for {
					err := c.Send(frame, 1)
					if err == nil {
						break
					}
					if !errors.Is(err, ErrQueueFull) {
						b.Fatal(err)
					}
					runtime.Gosched()
				}
			}
		})
	}
}

// BenchmarkDecode decodes a read buffer of 160 whole messages of 100 bytes.
func BenchmarkDecode(b *testing.B) {
	d := &decoder{max: 1 << 20}
	var frames []byte
	for range 160 {
		frames = append(frames, clientFrame(ws.OpText, true, make([]byte, 100))...)
	}
	p := make([]byte, len(frames))
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for b.Loop() {
		var st *partial
		copy(p, frames)
		if err := d.feed(&st, p, discard{}); err != nil {
			b.Fatal(err)
		}
	}
}

// shallow is a Handler that keeps nothing.
type shallow chan struct{}

func (s shallow) Message(ws.OpCode, []byte) error {
	s <- struct{}{}
	return nil
}

func (shallow) Closed(error) {}

// An idle connection has its structs on the heap and one parked goroutine, whose
// stack is the poller's affair; what the net package and the kernel need for
// the socket is not counted.
func TestIdleMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector needs memory of its own")
	}
	const n, limit = 500, 1000
	u := newUpgrader(t, Options{})
	h := make(shallow, 1)
	pairs := make([][2]net.Conn, n)
	for i := range pairs {
		pairs[i][0], pairs[i][1] = tcpPair(t)
	}
	before := inUse()
	for _, p := range pairs {
		start(t, u, p[0], h)
	}
	frame := clientFrame(ws.OpText, true, make([]byte, 100))
	for _, p := range pairs {
		write(t, p[1], frame)
		<-h
	}
	each := (inUse() - before) / n
	t.Logf("%d bytes per connection", each)
	if each > limit {
		t.Errorf("%d bytes per connection, at most %d wanted", each, limit)
	}
}

// inUse returns the bytes of heap in use.
func inUse() int64 {
	var m runtime.MemStats
	for range 3 { // sync.Pool forgets at the second
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// What it costs to count what waits: for each Send and each write of a connection that has a queue, by one or several at once.
func BenchmarkCharge(b *testing.B) {
	budget := newBudget(b, BudgetOptions{Bytes: 1 << 40})
	b.Run("one", func(b *testing.B) {
		o := &owner{budget: budget}
		for i := range b.N {
			budget.Charge(&o.account, o, 1+i&0xfff)
		}
		o.set(0)
	})
	b.Run("at once", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			o := &owner{budget: budget}
			for i := 0; pb.Next(); i++ {
				budget.Charge(&o.account, o, 1+i&0xfff)
			}
			o.set(0)
		})
	})
	b.Run("queue comes and goes", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			o := &owner{budget: budget}
			for i := 0; pb.Next(); i++ {
				budget.Charge(&o.account, o, i&1)
			}
			o.set(0)
		})
	})
}
