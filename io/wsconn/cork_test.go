package wsconn

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/gobwas/ws"
)

// corkedPair returns a connection that is corked, as if by a handler, and its peer.
func corkedPair(t *testing.T, o Options) (*Conn, *recorder, net.Conn) {
	t.Helper()
	u := newUpgrader(t, o)
	server, client := tcpPair(t)
	r := newRecorder()
	c := start(t, u, server, r)
	if !c.beginReading() {
		t.Fatal("the connection is not open")
	}
	c.Cork()
	return c, r, client
}

// wantBytes reads what has to come next.
func wantBytes(t *testing.T, from io.Reader, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(from, got); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestCork(t *testing.T) {
	c, _, client := corkedPair(t, Options{})
	one, two := AppendText(nil, []byte("one")), AppendText(nil, []byte("two"))
	for _, frame := range [][]byte{one, two} {
		if err := c.Send(frame, 1); err != nil {
			t.Fatal(err)
		}
	}
	if n := c.Queued(); n != len(one)+len(two) {
		t.Errorf("%d bytes wait", n)
	}
	if !c.Writable() {
		t.Error("a connection is not writable because it is corked")
	}
	c.Uncork()
	if n := c.Queued(); n != 0 {
		t.Errorf("%d bytes wait at the end", n)
	}
	wantBytes(t, client, append(bytes.Clone(one), two...))
	if string(one) != "\x81\x03one" {
		t.Error("a frame was changed, which may be shared")
	}
	c.Uncork() // too much
	if err := c.Send(two, 1); err != nil {
		t.Fatal(err)
	}
	wantBytes(t, client, two)
}

// TestCorkNothing sends nothing between the two.
func TestCorkNothing(t *testing.T) {
	c, _, client := corkedPair(t, Options{})
	c.Uncork()
	if err := c.Send(AppendText(nil, []byte("one")), 1); err != nil {
		t.Fatal(err)
	}
	wantBytes(t, client, []byte("\x81\x03one"))
}

// TestCorkLimits has what the limits of a queue do not allow to wait written at once.
func TestCorkLimits(t *testing.T) {
	c, _, client := corkedPair(t, Options{QueueBytes: 100, QueueMessages: 2})
	large, small := AppendText(nil, make([]byte, 200)), AppendText(nil, []byte("x"))
	for _, step := range []struct {
		frame  []byte
		queued int
	}{
		{small, len(small)},
		{large, 0},
		{small, 0}, // nothing is corked any more
	} {
		if err := c.Send(step.frame, 1); err != nil {
			t.Fatal(err)
		}
		if n := c.Queued(); n != step.queued {
			t.Errorf("%d bytes wait, want %d", n, step.queued)
		}
	}
	wantBytes(t, client, bytes.Join([][]byte{small, large, small}, nil))
	c.Cork()
	for _, queued := range []int{len(small), 2 * len(small), 0} {
		if err := c.Send(small, 1); err != nil {
			t.Fatal(err)
		}
		if n := c.Queued(); n != queued {
			t.Errorf("%d bytes wait, want %d", n, queued)
		}
	}
	wantBytes(t, client, bytes.Repeat(small, 3))
}

// TestCorkOfARead answers what came in one piece in one piece, without anybody who uncorks.
func TestCorkOfARead(t *testing.T) {
	u := newUpgrader(t, Options{})
	server, client := tcpPair(t)
	r := newRecorder()
	c := start(t, u, server, r)
	answer, waited := AppendText(nil, []byte("answer")), 0
	r.onMessage = func(ws.OpCode, []byte) error {
		c.Cork()
		waited = c.Queued()
		return c.SendCopy(answer, 1)
	}
	three := bytes.Repeat(clientFrame(ws.OpText, true, []byte("event")), 3)
	if err := (*events)(c).Data(three); err != nil { // which the poller calls, but nothing comes from the client
		t.Fatal(err)
	}
	if waited != 2*len(answer) || c.Queued() != 0 {
		t.Errorf("%d bytes waited before the last answer, and %d do after it", waited, c.Queued())
	}
	wantBytes(t, client, bytes.Repeat(answer, 3))
}

// TestCorkWithoutARead has no effect: nobody would uncork.
func TestCorkWithoutARead(t *testing.T) {
	c, _, client := corkedPair(t, Options{})
	c.endReading()
	c.Cork()
	if err := c.Send(AppendText(nil, []byte("one")), 1); err != nil {
		t.Fatal(err)
	}
	if n := c.Queued(); n != 0 {
		t.Errorf("%d bytes wait", n)
	}
	wantBytes(t, client, []byte("\x81\x03one"))
}

// TestCorkMore corks a connection for which something waits already.
func TestCorkMore(t *testing.T) {
	u := newUpgrader(t, Options{})
	server, client := tcpPair(t)
	c := start(t, u, server, newRecorder())
	waiting := clog(t, c)
	c.beginReading()
	c.Cork()
	small := AppendText(nil, []byte("x"))
	if err := c.Send(small, 1); err != nil {
		t.Fatal(err)
	}
	c.Uncork()
	wantBytes(t, client, append(bytes.Clone(waiting), small...))
}

// TestCorkMuch has a ping answered while the connection is corked, and much uncorked at once.
func TestCorkMuch(t *testing.T) {
	c, _, client := corkedPair(t, Options{QueueBytes: 4 << 20})
	large := AppendText(nil, bytes.Repeat([]byte("0123456789abcdef"), 1<<16))
	for range 2 {
		if err := c.Send(large, 1); err != nil {
			t.Fatal(err)
		}
	}
	c.pong([]byte("ping"))
	c.Uncork()
	if c.Writable() {
		t.Error("the kernel took all of it")
	}
	wantBytes(t, client, append(append(bytes.Clone(large), large...), "\x8a\x04ping"...))
}

// TestCorkClose ends a connection that is corked: in order, what was sent leaves first.
func TestCorkClose(t *testing.T) {
	c, r, client := corkedPair(t, Options{})
	small := AppendText(nil, []byte("x"))
	if err := c.Send(small, 1); err != nil {
		t.Fatal(err)
	}
	c.Close(ws.StatusNormalClosure, "")
	c.Uncork()
	if err := c.Send(small, 1); !errors.Is(err, ErrClosed) {
		t.Errorf("Send = %v", err)
	}
	wantBytes(t, client, append(bytes.Clone(small), "\x88\x02\x03\xe8"...))
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.wait(t); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Closed(%v)", err)
	}
}

func TestCorkAborted(t *testing.T) {
	c, r, client := corkedPair(t, Options{})
	if err := c.Send(AppendText(nil, []byte("x")), 1); err != nil {
		t.Fatal(err)
	}
	c.Abort()
	c.Uncork()
	c.Cork()
	if rest, err := io.ReadAll(client); len(rest) > 0 {
		t.Errorf("after the end came %q, %v", rest, err)
	}
	if err := r.wait(t); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Closed(%v)", err)
	}
}

// TestCorkBeforeStart has what is sent before Start leave with it, behind the answer to the handshake.
func TestCorkBeforeStart(t *testing.T) {
	for _, direct := range []bool{true, false} {
		t.Run(map[bool]string{true: "socket", false: "stream"}[direct], func(t *testing.T) {
			u := newUpgrader(t, Options{})
			server, client := tcpPair(t)
			if !direct {
				server = struct{ net.Conn }{server}
			}
			c, err := u.attach(server, nil, func(c *Conn) Handler { return newRecorder() })
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Abort)
			c.Cork()
			frame := AppendText(nil, []byte("ready"))
			if err := c.Send(frame, 1); err != nil {
				t.Fatal(err)
			}
			if n := c.Queued(); n != len(frame) {
				t.Errorf("%d bytes wait", n)
			}
			c.Start()
			wantBytes(t, client, frame)
		})
	}
}
