package wsconn

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// readAll reads frames until the stream ends, and returns the data and the
// payload of the close frame, if there was one.
func readAll(t *testing.T, client net.Conn) (data []byte, closing string) {
	t.Helper()
	for {
		f, err := readFrame(client)
		if errors.Is(err, io.EOF) {
			return data, closing
		}
		if err != nil {
			t.Fatalf("reading frame: %v", err)
		}
		if closing != "" {
			t.Fatalf("%s frame behind the close frame", opName(f.Header.OpCode))
		}
		if f.Header.OpCode == ws.OpClose {
			closing = string(f.Payload) + "!"
			continue
		}
		b, err := ws.CompileFrame(f)
		if err != nil {
			t.Fatal(err)
		}
		data = append(data, b...)
	}
}

func TestConnSize(t *testing.T) {
	if n := unsafe.Sizeof(Conn{}); n > 160 { // with that of netpoll within it
		t.Errorf("a Conn has %d bytes", n)
	}
}

func TestSendDoesNotAllocate(t *testing.T) {
	u := newUpgrader(t, Options{})
	server, client := tcpPair(t)
	c := start(t, u, server, newRecorder())
	done := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, client)
		done <- err
	}()
	frame := AppendText(nil, make([]byte, 100))
	allocs := testing.AllocsPerRun(20, func() { // few enough never to fill the socket
		if err := c.Send(frame, 1); err != nil {
			t.Fatal(err)
		}
	})
	if allocs >= 1 && !raceEnabled {
		t.Errorf("%v allocations per Send", allocs)
	}
	c.Abort()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Whatever the kernel takes at a time, every frame accepted arrives whole, in
// order per sender, and unchanged frames can be shared.
func TestPartialWrites(t *testing.T) {
	for _, kind := range []string{"tcp", "pipe"} {
		t.Run(kind, func(t *testing.T) {
			u := newUpgrader(t, Options{QueueBytes: 1 << 30, QueueMessages: 1 << 30, CloseTimeout: time.Minute})
			server, client := net.Pipe()
			if kind == "tcp" {
				server, client = tcpPair(t)
			}
			r := newRecorder()
			c := start(t, u, server, r)

			const senders, each = 4, 300
			shared := AppendBinary(nil, bytes.Repeat([]byte{0xee}, 70_000))
			before := bytes.Clone(shared)
			var wg sync.WaitGroup
			for s := range senders {
				wg.Go(func() {
					if err := sendNumbered(c, uint32(s), each, shared); err != nil {
						t.Error(err)
					}
				})
			}
			go func() {
				wg.Wait()
				c.Close(ws.StatusGoingAway, "done")
			}()
			next, big := [senders]uint32{}, 0
			br := &slowReader{r: client, rnd: rand.New(rand.NewPCG(9, 9))}
			for {
				f, err := readFrame(br)
				if err != nil {
					t.Fatal(err)
				}
				if f.Header.OpCode == ws.OpClose {
					break
				}
				if bytes.Equal(f.Payload, shared[10:]) {
					big++
					continue
				}
				s, i := binary.BigEndian.Uint32(f.Payload), binary.BigEndian.Uint32(f.Payload[4:])
				if next[s] != i {
					t.Fatalf("sender %d: frame %d, want %d", s, i, next[s])
				}
				next[s]++
			}
			if next != [senders]uint32{each, each, each, each} || big != senders*(6+5) {
				t.Errorf("got %v frames and %d shared ones", next, big)
			}
			if !bytes.Equal(shared, before) {
				t.Error("a shared frame was changed")
			}
			client.Close()
			if err := r.wait(t); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Closed(%v)", err)
			}
		})
	}
}

// sendNumbered sends frames that say who sent them and which they are, with
// shared ones between them: 6 joined to others and 5 alone.
func sendNumbered(c *Conn, sender uint32, each int, shared []byte) error {
	rnd := rand.New(rand.NewPCG(uint64(sender), 1))
	for i := range each {
		payload := make([]byte, 8+rnd.IntN(5000))
		binary.BigEndian.PutUint32(payload, sender)
		binary.BigEndian.PutUint32(payload[4:], uint32(i))
		frames, n := AppendBinary(nil, payload), 1
		if i%50 == 0 {
			frames, n = append(frames, shared...), 2
		}
		if err := c.Send(frames, n); err != nil {
			return err
		}
		if i%70 == 0 {
			if err := c.Send(shared, 1); err != nil {
				return err
			}
		}
	}
	return nil
}

// slowReader reads pieces of odd sizes.
type slowReader struct {
	r   io.Reader
	rnd *rand.Rand
}

func (s *slowReader) Read(p []byte) (int, error) {
	return s.r.Read(p[:min(len(p), 1+s.rnd.IntN(3000))])
}

func TestSlowReaderDelaysNobody(t *testing.T) {
	u := newUpgrader(t, Options{WriteTimeout: time.Hour, QueueBytes: 300_000})
	stuckServer, _ := tcpPair(t)
	server, client := tcpPair(t)
	stuck, quick := start(t, u, stuckServer, newRecorder()), start(t, u, server, newRecorder())
	full := 0
	for i := range 1000 {
		frame := AppendText(nil, fmt.Appendf(nil, "%d %01000d", i, 0))
		if err := stuck.Send(frame, 1); errors.Is(err, ErrQueueFull) {
			full++
		} else if err != nil {
			t.Fatal(err)
		}
		if err := quick.Send(frame, 1); err != nil {
			t.Fatal(err)
		}
		f, err := readFrame(client)
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("%d ", i); !bytes.HasPrefix(f.Payload, []byte(want)) {
			t.Fatalf("got %.10s, want %s", f.Payload, want)
		}
	}
	if full == 0 || uint64(full) != u.Stats().QueueFull {
		t.Errorf("%d times full, %d counted", full, u.Stats().QueueFull)
	}
	if stuck.Writable() || !quick.Writable() {
		t.Errorf("Writable: stuck %v, quick %v", stuck.Writable(), quick.Writable())
	}
}

func TestQueueLimits(t *testing.T) {
	frame := AppendText(nil, make([]byte, 1000))
	tests := []struct {
		name            string
		bytes, messages int
		accept          int // sends accepted once something waits
		perSend         int // messages in each
	}{
		{"messages", 1 << 30, 10, 9, 1},
		{"messages, several a send", 1 << 30, 10, 3, 3},
		{"messages that count nothing", 1 << 30, 1, 50, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := newUpgrader(t, Options{QueueBytes: tt.bytes, QueueMessages: tt.messages})
			server, client := tcpPair(t)
			c := start(t, u, server, newRecorder())
			want := clog(t, c)
			for range tt.accept {
				if err := c.Send(frame, tt.perSend); err != nil {
					t.Fatal(err)
				}
				want = append(want, frame...)
			}
			if tt.perSend > 0 {
				if err := c.Send(frame, tt.perSend); !errors.Is(err, ErrQueueFull) {
					t.Errorf("one more = %v, want ErrQueueFull", err)
				}
			}
			c.Close(1000, "")
			got, closing := readAll(t, client)
			if !bytes.Equal(got, want) || closing != "\x03\xe8!" {
				t.Errorf("got %d bytes and close %q, want %d: what was refused must not arrive, the rest must", len(got), closing, len(want))
			}
		})
	}
}

func TestQueueLimitOfBytes(t *testing.T) {
	frame := AppendText(nil, make([]byte, 1000))
	u := newUpgrader(t, Options{QueueBytes: 1_200_000})
	server, client := tcpPair(t)
	c := start(t, u, server, newRecorder())
	want := clog(t, c)
	for {
		waiting := c.Queued()
		err := c.Send(frame, 1)
		if errors.Is(err, ErrQueueFull) {
			if waiting+len(frame) <= 1_200_000 {
				t.Errorf("full with %d bytes", waiting)
			}
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, frame...)
	}
	c.Close(1000, "")
	if got, _ := readAll(t, client); !bytes.Equal(got, want) {
		t.Errorf("got %d bytes, want %d", len(got), len(want))
	}
}

func TestLargeSendOnEmptyQueue(t *testing.T) {
	frame := AppendText(nil, make([]byte, 1000))
	u := newUpgrader(t, Options{QueueBytes: 10, CloseTimeout: time.Minute})
	server, client := tcpPair(t)
	c := start(t, u, server, newRecorder())
	large := AppendBinary(nil, make([]byte, 8<<20))
	if err := c.Send(large, 1); err != nil {
		t.Fatal(err)
	}
	if err := c.Send(frame, 1); !errors.Is(err, ErrQueueFull) {
		t.Errorf("behind it: %v", err)
	}
	c.Close(1000, "")
	if got, _ := readAll(t, client); !bytes.Equal(got, large) {
		t.Errorf("got %d bytes, want %d", len(got), len(large))
	}
}

// A peer that pings and does not read gets one pong, for its last ping.
func TestPingFlood(t *testing.T) {
	u := newUpgrader(t, Options{})
	server, client := tcpPair(t)
	r := newRecorder()
	c := start(t, u, server, r)
	sent := clog(t, c)
	before := c.Queued()
	for i := range 10_000 {
		write(t, client, clientFrame(ws.OpPing, true, fmt.Append(nil, i)))
	}
	write(t, client, clientFrame(ws.OpText, true, []byte("sync")))
	if got := <-r.got; got != "text:sync" {
		t.Fatal(got)
	}
	c.mu.Lock()
	waiting := len(c.out.items) - c.out.head
	c.mu.Unlock()
	if after := c.Queued(); after > before || waiting != 2 {
		t.Errorf("%d items, %d bytes wait; %d before the pings", waiting, after, before)
	}
	c.Close(1000, "")
	got, _ := readAll(t, client)
	want := append(sent, appendControl(nil, finPong, []byte("9999"))...)
	if !bytes.Equal(got, want) {
		t.Errorf("got %d bytes ending in %q, want %d", len(got), got[max(0, len(got)-6):], len(want))
	}
}

func TestAnswersEveryPing(t *testing.T) {
	u := newUpgrader(t, Options{})
	server, client := tcpPair(t)
	r := newRecorder()
	c := start(t, u, server, r)
	var pings, want []byte
	for i := range 10 {
		pings = append(pings, clientFrame(ws.OpPing, true, fmt.Append(nil, i))...)
		want = append(want, appendControl(nil, finPong, fmt.Append(nil, i))...)
	}
	write(t, client, pings)
	got := make([]byte, len(want))
	if _, err := io.ReadFull(client, got); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %x, %v", got, err)
	}
	if err := c.Send(AppendPing(nil, []byte("you?")), 0); err != nil {
		t.Fatal(err)
	}
	if err := wsutil.HandleServerControlMessage(client, readMessage(t, client)); err != nil {
		t.Fatal(err)
	}
	if got := <-r.got; got != "pong:you?" {
		t.Error(got)
	}
}

func readMessage(t *testing.T, client net.Conn) wsutil.Message {
	t.Helper()
	f, err := readFrame(client)
	if err != nil {
		t.Fatal(err)
	}
	return wsutil.Message{OpCode: f.Header.OpCode, Payload: f.Payload}
}

func TestSendToBrokenConnection(t *testing.T) {
	u := newUpgrader(t, Options{})
	server, client := tcpPair(t)
	r := newRecorder()
	c, err := u.attach(server, nil, func(*Conn) Handler { return r }) // reads nothing: Send finds out
	if err != nil {
		t.Fatal(err)
	}
	if err := client.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	client.Close()
	for err == nil {
		err = c.Send(AppendText(nil, []byte("x")), 1)
	}
	if !errors.Is(err, ErrClosed) {
		t.Errorf("Send = %v", err)
	}
	if err := r.wait(t); errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) {
		t.Errorf("Closed(%v), want the error of the write", err)
	}
}

// Everything at once; the race detector watches.
func TestConcurrentUse(t *testing.T) {
	u := newUpgrader(t, Options{QueueMessages: 10, CloseTimeout: 50 * time.Millisecond})
	frame := AppendText(nil, make([]byte, 3000))
	for i := range 60 {
		server, client := tcpPair(t)
		r := newRecorder()
		c, err := u.attach(server, nil, func(*Conn) Handler { return r })
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(c.Start)
		for range 3 {
			wg.Go(func() {
				for range 50 {
					err := c.Send(frame, 1)
					if err != nil && !errors.Is(err, ErrQueueFull) && !errors.Is(err, ErrClosed) {
						t.Error(err)
					}
					c.Writable()
				}
			})
		}
		wg.Go(func() {
			if i%3 == 0 {
				c.Abort()
			}
			c.Close(1000, "")
		})
		wg.Go(func() {
			ping := clientFrame(ws.OpPing, true, nil)
			for range 50 {
				if _, err := client.Write(ping); err != nil {
					return // the server has closed
				}
			}
			if i%2 == 0 {
				client.Close()
			}
		})
		wg.Wait()
		if err := r.wait(t); err == nil {
			t.Error("Closed(nil)")
		}
	}
}

// pausing is a recorder that hears of the end of each read.
type pausing struct{ *recorder }

func (p pausing) Pause() { p.got <- "pause" }

func TestPause(t *testing.T) {
	u := newUpgrader(t, Options{})
	server, client := tcpPair(t)
	h := pausing{newRecorder()}
	c := start(t, u, server, h)
	for _, one := range []struct {
		frames [][]byte // in one piece
		want   []string
	}{
		{
			[][]byte{clientFrame(ws.OpText, true, []byte("a")), clientFrame(ws.OpBinary, true, []byte("b"))},
			[]string{"text:a", "binary:b", "pause"},
		},
		{[][]byte{clientFrame(ws.OpText, false, []byte("c"))}, []string{"pause"}},
		{[][]byte{clientFrame(ws.OpContinuation, true, []byte("d"))}, []string{"text:cd", "pause"}},
	} {
		if _, err := client.Write(bytes.Join(one.frames, nil)); err != nil {
			t.Fatal(err)
		}
		for _, want := range one.want {
			if got := <-h.got; got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
	}
	c.Abort()
	if err := h.wait(t); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}
