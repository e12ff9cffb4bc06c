package netpoll

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func newEpoll(t *testing.T, o Options) *Poller {
	t.Helper()
	p := newPoller(t, o)
	if err := p.UseEpoll(); err != nil {
		t.Fatal(err)
	}
	return p
}

// keep is a recorder whose Data waits.
type keep struct {
	*recorder
	in, out chan struct{}
}

func newKeep() keep {
	return keep{newRecorder(), make(chan struct{}), make(chan struct{})}
}

func (k keep) Data(p []byte) error {
	err := k.recorder.Data(p)
	k.in <- struct{}{}
	<-k.out
	return err
}

// A connection that is closed while its handler runs goes on to read: it must not read from who has its descriptor by then.
func TestDescriptorOfAnother(t *testing.T) {
	p := newEpoll(t, Options{})
	server, client := tcpPair(t)
	first := newKeep()
	c := add(t, p, adoptee{server}, first)
	c.Start(nil)
	if _, err := client.Write([]byte("first")); err != nil {
		t.Fatal(err)
	}
	<-first.in
	next, nextClient := tcpPair(t)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	heir := newRecorder()
	d := new(Conn)
	for d.fd != c.fd { // the lowest that is free: other tests may have let go of one
		d = new(Conn)
		if next == nil {
			next, nextClient = tcpPair(t)
		}
		if err := p.Adopt(d, next, heir); err != nil {
			t.Fatal(err)
		}
		next = nil
	}
	if _, err := nextClient.Write([]byte("second")); err != nil {
		t.Fatal(err)
	}
	close(first.out)
	if err := first.wait(t); !errors.Is(err, net.ErrClosed) || string(first.bytes()) != "first" {
		t.Errorf("the first got %q, Closed(%v)", first.bytes(), err)
	}
	if _, err := c.TryWrite([]byte("stray")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("TryWrite on the first: %v", err)
	}
	if err := c.CloseWrite(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("CloseWrite on the first: %v", err)
	}
	d.Start(nil)
	if err := nextClient.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if err := heir.wait(t); !errors.Is(err, io.EOF) || string(heir.bytes()) != "second" {
		t.Errorf("the second got %q, Closed(%v)", heir.bytes(), err)
	}
	if b, err := io.ReadAll(nextClient); len(b) > 0 || err != nil {
		t.Errorf("the second's client read %q, %v", b, err)
	}
}

// The descriptor is not free while a system call on it may be under way.
func TestDescriptorInUse(t *testing.T) {
	p := newEpoll(t, Options{})
	server, client := tcpPair(t)
	r := newRecorder()
	c := add(t, p, adoptee{server}, r)
	c.Start(nil)
	if !c.use() {
		t.Fatal("closed")
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.wait(t); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Closed(%v)", err)
	}
	if c.use() {
		t.Error("it can be used after Close")
	}
	if _, err := unix.FcntlInt(uintptr(c.fd), unix.F_GETFD, 0); err != nil {
		t.Errorf("the descriptor in use: %v", err)
	}
	if err := c.unuse(); err != nil {
		t.Error(err)
	}
	if b, err := io.ReadAll(client); len(b) > 0 || err != nil {
		t.Errorf("client read %q, %v", b, err)
	}
}

// An event that is somebody else's, of before, is no more than a reason to look.
func TestStrayEvents(t *testing.T) {
	p := newEpoll(t, Options{})
	server, client := tcpPair(t)
	r := newRecorder()
	c := add(t, p, adoptee{server}, r)
	if c.note(unix.EPOLLIN | unix.EPOLLOUT) {
		t.Error("due before Start")
	}
	c.Start(nil)
	for _, ev := range []uint32{unix.EPOLLIN, unix.EPOLLOUT, unix.EPOLLIN | unix.EPOLLRDHUP, unix.EPOLLHUP | unix.EPOLLERR} {
		if c.note(ev) {
			p.crew.leave(task{c: c})
		}
	}
	if _, err := client.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	<-r.got
	select {
	case err := <-r.closed:
		t.Errorf("Closed(%v)", err)
	default:
	}
	client.Close()
	if err := r.wait(t); !errors.Is(err, io.EOF) || string(r.bytes()) != "x" {
		t.Errorf("got %q, Closed(%v)", r.bytes(), err)
	}
}

// A reset is told although nothing more can be read.
func TestReset(t *testing.T) {
	p := newEpoll(t, Options{})
	server, client := tcpPair(t)
	r := newRecorder()
	add(t, p, adoptee{server}, r).Start(nil)
	if err := client.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	client.Close()
	if err := r.wait(t); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("Closed(%v)", err)
	}
}

// A read stops at an urgent byte (tcp(7)), however much is behind it.
func TestUrgentData(t *testing.T) {
	for _, early := range []bool{true, false} {
		t.Run(fmt.Sprintf("before Start=%v", early), func(t *testing.T) {
			p := newEpoll(t, Options{})
			server, client := tcpPair(t)
			r := newRecorder()
			c := add(t, p, adoptee{server}, r)
			if !early {
				c.Start(nil)
			}
			raw, err := client.(*net.TCPConn).SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			want := ""
			for i := range 3 {
				text := fmt.Sprint("text ", i)
				want += text
				var sent error
				if err := raw.Control(func(fd uintptr) { sent = unix.Sendto(int(fd), []byte{'!'}, unix.MSG_OOB, nil) }); err != nil || sent != nil {
					t.Fatal(err, sent)
				}
				if _, err := client.Write([]byte(text)); err != nil {
					t.Fatal(err)
				}
			}
			if early {
				c.Start(nil)
			}
			// An older urgent byte is among the data once there is a newer one.
			for got := ""; got != want; got = strings.ReplaceAll(string(r.bytes()), "!", "") {
				select {
				case <-r.got:
				case <-time.After(patience):
					t.Fatalf("got %q, want %q", r.bytes(), want)
				}
			}
			client.Close()
			if err := r.wait(t); !errors.Is(err, io.EOF) {
				t.Errorf("Closed(%v)", err)
			}
		})
	}
}

// Who waits for room finds it each time, also when a deadline is moved meanwhile.
func TestRoomAgainAndAgain(t *testing.T) {
	p := newEpoll(t, Options{})
	server, client := tcpPair(t)
	c := add(t, p, adoptee{server}, newRecorder())
	c.Start(nil)
	for i := range 5 {
		total := fill(t, c)
		if err := c.SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		wrote := make(chan error, 1)
		go func() {
			n, err := c.WriteSome([]byte("x"))
			total += n
			wrote <- err
		}()
		if err := c.SetWriteDeadline(time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		read := 0
		for buf := make([]byte, 1<<20); len(wrote) == 0; {
			if err := client.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			n, err := client.Read(buf)
			if read += n; err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal(err)
			}
		}
		if err := <-wrote; err != nil {
			t.Fatal(err)
		}
		if err := client.SetReadDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, client, int64(total-read)); err != nil {
			t.Fatal(err)
		}
		if err := c.SetWriteDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		if c.waits.Load() != nil {
			t.Errorf("round %d: something is kept that nobody waits for", i)
		}
	}
}

// A deadline that comes while somebody waits ends the wait, and one that is taken back does not end the connection.
func TestDeadlinesMove(t *testing.T) {
	p := newEpoll(t, Options{})
	server, client := tcpPair(t)
	defer client.Close()
	r := newRecorder()
	c := add(t, p, adoptee{server}, r)
	c.Start(nil)
	fill(t, c)
	wrote := make(chan error, 1)
	go func() { wrote <- block(c, []byte("x")) }()
	for c.waits.Load() == nil {
		runtime.Gosched()
	}
	if err := c.SetWriteDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if err := <-wrote; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("WriteSome: %v", err)
	}
	for _, at := range []time.Time{time.Now().Add(time.Hour), {}, time.Now().Add(time.Hour)} {
		if err := c.SetReadDeadline(at); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := client.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	<-r.got
	if err := c.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if err := r.wait(t); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Closed(%v)", err)
	}
}

func TestPeerAddress(t *testing.T) {
	p := newEpoll(t, Options{})
	for _, k := range []kind{kinds[0], kinds[1]} {
		server, client := k.pair(t)
		want := server.RemoteAddr()
		c := add(t, p, adoptee{server}, newRecorder())
		if got := c.RemoteAddr(); got.String() != want.String() || got.Network() != want.Network() {
			t.Errorf("%s: %v, want %v", k.name, got, want)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if got := c.RemoteAddr(); got == nil {
			t.Errorf("%s: no address", k.name)
		}
		client.Close()
	}
}

func TestAdoptAfterClose(t *testing.T) {
	p := New(Options{})
	if err := p.UseEpoll(); err != nil {
		t.Fatal(err)
	}
	closePoller(t, p)
	server, client := tcpPair(t)
	if err := p.Adopt(new(Conn), server, newRecorder()); !errors.Is(err, ErrPollerClosed) {
		t.Errorf("Adopt: %v", err)
	}
	if _, err := server.Write([]byte("x")); err != nil {
		t.Errorf("what was not adopted: %v", err)
	}
	client.Close()
	server.Close()
}

// mine is a Handler that gets numbers, all of them the connection's own, and echoes them.
type mine struct {
	conn  Conn
	id    uint32
	part  []byte
	ended atomic.Int32
	bad   atomic.Pointer[string]
}

func (m *mine) Data(p []byte) error {
	m.part = append(m.part, p...)
	for len(m.part) >= 4 {
		if got := binary.BigEndian.Uint32(m.part); got != m.id {
			text := fmt.Sprintf("%d got what is %d's", m.id, got)
			m.bad.Store(&text)
		}
		if _, err := m.conn.TryWrite(m.part[:4]); err != nil && !errors.Is(err, ErrWouldBlock) {
			return err
		}
		m.part = m.part[4:]
	}
	return nil
}

func (m *mine) Closed(error) { m.ended.Add(1) }

// Connections come and go, are closed by both sides at any moment, and their descriptors are used again at once: each
// gets what is its own, and ends once.
func TestChurn(t *testing.T) {
	p := newEpoll(t, Options{ReadBuffer: 64})
	const hands, each = 8, 60
	all := make(chan *mine, hands*each)
	var wg sync.WaitGroup
	for h := range hands {
		wg.Go(func() {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Error(err)
				return
			}
			defer l.Close()
			for i := range each {
				m := &mine{id: uint32(h*each + i)}
				all <- m
				if err := m.live(p, l, i); err != nil {
					t.Errorf("connection %d of %d: %v", i, h, err)
					return
				}
			}
		})
	}
	wg.Wait()
	closePoller(t, p)
	close(all)
	for m := range all {
		if bad := m.bad.Load(); bad != nil {
			t.Error(*bad)
		}
		if n := m.ended.Load(); n != 1 {
			t.Errorf("%d ended %d times", m.id, n)
		}
	}
	if n := slices.IndexFunc(p.own, func(c *Conn) bool { return c != nil }); n >= 0 {
		t.Errorf("descriptor %d is still filed", n)
	}
}

// live is the life of a connection, with an end of one of several kinds.
func (m *mine) live(p *Poller, l net.Listener, end int) error {
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return err
	}
	defer client.Close()
	server, err := l.Accept()
	if err != nil {
		return err
	}
	if err := p.Adopt(&m.conn, server, m); err != nil {
		return err
	}
	number := binary.BigEndian.AppendUint32(nil, m.id)
	m.conn.Start(number[:end%4])
	if _, err := client.Write(bytes.Repeat(number, 100)[end%4:]); err != nil {
		return err
	}
	switch end % 5 {
	case 0: // both at once
		return m.conn.Close()
	case 1:
		return nil
	case 2:
		return client.(*net.TCPConn).SetLinger(0)
	}
	echo := make([]byte, 400)
	if _, err := io.ReadFull(client, echo); err != nil {
		return err
	}
	if !bytes.Equal(echo, bytes.Repeat(number, 100)) {
		return fmt.Errorf("%d read what is not its own", m.id)
	}
	if end%5 == 3 {
		return client.(*net.TCPConn).CloseWrite()
	}
	return m.conn.Close()
}
