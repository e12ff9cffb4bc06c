package fastpath

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener in memory.
type pipes struct {
	queue  chan net.Conn
	failed chan error
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes {
	return &pipes{queue: make(chan net.Conn), failed: make(chan error), closed: make(chan struct{})}
}

func (l *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-l.queue:
		return c, nil
	case err := <-l.failed:
		return nil, err
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipes) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (l *pipes) dial() net.Conn {
	server, client := net.Pipe()
	l.queue <- server
	return client
}

// inMemory runs test in a bubble with a port of its own.
func inMemory(t *testing.T, test func(t *testing.T, p *port, l *pipes)) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		p := openOn(t, l, nil, true, echo)
		test(t, p, l)
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		defer cancel()
		if err := p.stop(ctx); err != nil {
			t.Errorf("stopping: %v", err)
		}
	})
}

// endsAfter checks when a connection ends, and that the first line that comes on it until then is line.
func endsAfter(t *testing.T, c net.Conn, line string, least, most time.Duration) {
	t.Helper()
	began := time.Now()
	rest, err := io.ReadAll(c)
	first, _, _ := strings.Cut(string(rest), "\r\n")
	if took := time.Since(began); err != nil || first != line || took < least || took > most {
		t.Errorf("ended after %v with %q, %v, want %q after %v to %v", took, rest, err, line, least, most)
	}
}

func TestTimeouts(t *testing.T) {
	t.Run("no request", func(t *testing.T) {
		inMemory(t, func(t *testing.T, _ *port, l *pipes) {
			endsAfter(t, l.dial(), "", 10*time.Second, 11*time.Second)
		})
	})
	t.Run("idle", func(t *testing.T) {
		inMemory(t, func(t *testing.T, p *port, l *pipes) {
			c := l.dial()
			in := bufio.NewReader(c)
			for range 100 {
				send(t, c, push)
				wantAnswer(t, in, "/v1/push {}")
				time.Sleep(700 * time.Millisecond)
			}
			time.Sleep(119 * time.Second)
			send(t, c, push)
			wantAnswer(t, in, "/v1/push {}")
			endsAfter(t, c, "", 2*time.Minute, 2*time.Minute+slack)
			if n := p.handed.Load(); n != 0 {
				t.Errorf("%d connections went to net/http", n)
			}
		})
	})
	t.Run("half a head", func(t *testing.T) {
		inMemory(t, func(t *testing.T, p *port, l *pipes) {
			c := l.dial()
			send(t, c, push[:20])
			endsAfter(t, c, "HTTP/1.1 400 Bad Request", 10*time.Second, 10*time.Second+patience)
			if n := p.handed.Load(); n != 1 {
				t.Errorf("%d connections went to net/http, want 1", n)
			}
		})
	})
}

// TestPieces sends requests in two pieces, with some time between them.
func TestPieces(t *testing.T) {
	for _, c := range []struct {
		name   string
		pause  time.Duration
		handed int32
	}{{"quick", patience / 2, 0}, {"slow", 2 * patience, 1}} {
		for _, at := range []int{1, 10, len(push) - 4, len(push) - 2, len(push) - 1} {
			t.Run(c.name+" "+push[:at], func(t *testing.T) {
				inMemory(t, func(t *testing.T, p *port, l *pipes) {
					conn := l.dial()
					in := bufio.NewReader(conn)
					for range 2 {
						send(t, conn, push[:at])
						time.Sleep(c.pause)
						send(t, conn, push[at:])
						wantAnswer(t, in, "/v1/push {}")
					}
					if n := p.handed.Load(); n != c.handed {
						t.Errorf("%d connections went to net/http, want %d", n, c.handed)
					}
					if err := conn.Close(); err != nil {
						t.Fatal(err)
					}
				})
			})
		}
	}
}

// TestAcceptFails gives errors of the port to the server, which waits and goes on, or ends.
func TestAcceptFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		p := openOn(t, l, nil, true, echo)
		for range 3 {
			l.failed <- &net.OpError{Op: "accept", Err: os.NewSyscallError("accept", tooMany{})}
		}
		c := l.dial()
		send(t, c, push)
		wantAnswer(t, bufio.NewReader(c), "/v1/push {}")
		if logged := p.log.String(); strings.Count(logged, "Accept error") < 2 {
			t.Errorf("logged: %q", logged)
		}
		broken := errors.New("the port is gone")
		l.failed <- broken
		if err := <-p.ended; !errors.Is(err, broken) {
			t.Errorf("the server ended with %v", err)
		}
		if err := errors.Join(p.fast.Close(), p.fast.Wait(t.Context())); err != nil {
			t.Error(err)
		}
	})
}

// tooMany is an error that passes.
type tooMany struct{}

func (tooMany) Error() string   { return "too many open files" }
func (tooMany) Timeout() bool   { return false }
func (tooMany) Temporary() bool { return true }
