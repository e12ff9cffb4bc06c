package wsconn

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
)

func TestPeerEnds(t *testing.T) {
	tests := []struct {
		name  string
		send  []byte
		reply string // payload of our close frame and "!"; "": no such frame
		check func(err error) bool
	}{
		{"close 1000", clientFrame(ws.OpClose, true, []byte("\x03\xe8bye")), "\x03\xe8bye!", remote(1000)},
		{"close without code", clientFrame(ws.OpClose, true, nil), "!", remote(1005)},
		{"close 4000 in a fragmented message", append(clientFrame(ws.OpText, false, nil), clientFrame(ws.OpClose, true, []byte("\x0f\xa0"))...), "\x0f\xa0!", remote(4000)},
		{"bad close code", clientFrame(ws.OpClose, true, []byte("\x03\xed")), "\x03\xeabad close code!", local(1002)},
		{"unmasked frame", AppendText(nil, []byte("x")), "\x03\xeaframes from client to server must be masked!", local(1002)},
		{"bad UTF-8", clientFrame(ws.OpText, true, []byte("\xff")), "\x03\xeftext is not UTF-8!", local(1007)},
		{"too big", clientFrame(ws.OpBinary, true, make([]byte, 2000)), "\x03\xf1message too big!", local(1009)},
		{"EOF", nil, "", func(err error) bool { return errors.Is(err, io.EOF) }},
		{"EOF within a frame", []byte{0x81}, "", func(err error) bool { return errors.Is(err, io.EOF) }},
		{"typed error of the handler", clientFrame(ws.OpText, true, []byte("typed")), "\x03\xf0no!", local(1008)},
		{"error of the handler", clientFrame(ws.OpText, true, []byte("error")), "\x03\xea!", func(err error) bool { return errors.Is(err, errHandler) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := newUpgrader(t, Options{MaxPayload: 1000})
			server, client := tcpPair(t)
			r := newRecorder()
			r.onMessage = failOn
			c := start(t, u, server, r)
			behind := clientFrame(ws.OpText, true, []byte("behind"))
			if len(tt.send) > 1 {
				write(t, client, append(tt.send, behind...))
			} else {
				write(t, client, tt.send)
				if err := client.(*net.TCPConn).CloseWrite(); err != nil {
					t.Fatal(err)
				}
			}
			if err := r.wait(t); !tt.check(err) {
				t.Errorf("Closed(%v)", err)
			}
			if _, closing := readAll(t, client); closing != tt.reply {
				t.Errorf("close frame %q, want %q", closing, tt.reply)
			}
			if err := c.Send(behind, 1); !errors.Is(err, ErrClosed) {
				t.Errorf("Send = %v", err)
			}
			client.Close()
			closePoller(t, u)
			if len(r.closed) != 0 {
				t.Error("Closed twice")
			}
			for len(r.got) > 0 {
				if got := <-r.got; got == "text:behind" {
					t.Error("a message behind the end was delivered")
				}
			}
		})
	}
}

// failOn is a handler that returns the error a message asks for.
func failOn(_ ws.OpCode, p []byte) error {
	switch string(p) {
	case "typed":
		return fmt.Errorf("wrapped: %w", &CloseError{Code: 1008, Reason: "no"})
	case "error":
		return errHandler
	}
	return nil
}

var errHandler = errors.New("handler")

func remote(code ws.StatusCode) func(error) bool { return hasCode(code, true) }
func local(code ws.StatusCode) func(error) bool  { return hasCode(code, false) }

func hasCode(code ws.StatusCode, remote bool) func(error) bool {
	return func(err error) bool {
		var ce *CloseError
		return errors.As(err, &ce) && ce.Code == code && ce.Remote == remote
	}
}

func TestCloseBehindWhatWaits(t *testing.T) {
	u := newUpgrader(t, Options{})
	server, client := tcpPair(t)
	r := newRecorder()
	c := start(t, u, server, r)
	sent := clog(t, c)
	c.Close(1001, "later")
	c.Close(1000, "ignored")
	if err := c.Send(sent, 1); !errors.Is(err, ErrClosed) {
		t.Errorf("Send = %v", err)
	}
	write(t, client, clientFrame(ws.OpText, true, []byte("ignored")))
	got, closing := readAll(t, client)
	if !bytes.Equal(got, sent) || closing != "\x03\xe9later!" {
		t.Errorf("got %d bytes of %d, close %q", len(got), len(sent), closing)
	}
	client.Close()
	if err := r.wait(t); !errors.Is(err, net.ErrClosed) || len(r.got) != 0 {
		t.Errorf("Closed(%v), %d messages", err, len(r.got))
	}
}

func TestCloseBeforeStart(t *testing.T) {
	u := newUpgrader(t, Options{CloseTimeout: time.Hour})
	server, client := tcpPair(t)
	r := newRecorder()
	c, err := u.attach(server, nil, func(*Conn) Handler { return r })
	if err != nil {
		t.Fatal(err)
	}
	c.Close(1001, "")
	c.Start()
	if err := r.wait(t); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Closed(%v)", err)
	}
	if _, closing := readAll(t, client); closing != "\x03\xe9!" {
		t.Errorf("close frame %q", closing)
	}
}

func TestCloseBeforeStartWithOutput(t *testing.T) {
	u := newUpgrader(t, Options{WriteTimeout: time.Hour, CloseTimeout: 20 * time.Millisecond})
	server, _ := tcpPair(t)
	r := newRecorder()
	c, err := u.attach(server, nil, func(*Conn) Handler { return r })
	if err != nil {
		t.Fatal(err)
	}
	clog(t, c)
	c.Close(1001, "")
	if err := r.wait(t); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Closed(%v)", err)
	}
}

func TestPeerCloseEndsTheSocket(t *testing.T) {
	u := newUpgrader(t, Options{CloseTimeout: time.Hour})
	server, client := tcpPair(t)
	start(t, u, server, newRecorder())
	write(t, client, clientFrame(ws.OpClose, true, nil))
	var err error
	for err == nil { // the socket is closed without waiting for the peer
		_, err = client.Write([]byte("x"))
	}
}

func TestCloseFromTheHandler(t *testing.T) {
	u := newUpgrader(t, Options{})
	server, client := tcpPair(t)
	r := newRecorder()
	var c *Conn
	r.onMessage = func(ws.OpCode, []byte) error {
		c.Close(1000, "")
		return nil
	}
	c, err := u.attach(server, nil, func(*Conn) Handler { return r })
	if err != nil {
		t.Fatal(err)
	}
	c.Start()
	one := clientFrame(ws.OpText, true, []byte("one"))
	write(t, client, append(one, one...))
	if _, closing := readAll(t, client); closing != "\x03\xe8!" {
		t.Errorf("close frame %q", closing)
	}
	client.Close()
	if err := r.wait(t); !errors.Is(err, net.ErrClosed) || len(r.got) != 1 {
		t.Errorf("Closed(%v), %d messages", err, len(r.got))
	}
}

// To end the output of TLS is to write an alert, for which there may be no room: whoever hangs up does not wait for it.
func TestHangupDoesNotWait(t *testing.T) {
	secured := httptest.NewTLSServer(nil) // for its certificate
	defer secured.Close()
	for _, started := range []bool{true, false} {
		t.Run(fmt.Sprintf("started=%v", started), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := newUpgrader(t, Options{})
				near, far := net.Pipe()
				server, client := tls.Server(near, secured.TLS), tls.Client(far, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the test's own server
				shaken := make(chan error, 1)
				go func() { shaken <- client.Handshake() }()
				if err := server.Handshake(); err != nil {
					t.Fatal(err)
				}
				hello := AppendText(nil, []byte("hello"))
				r := newRecorder()
				c, err := u.attach(server, nil, func(*Conn) Handler { return r })
				if err != nil {
					t.Fatal(err)
				}
				if started {
					c.Start()
				}
				if err := c.Send(hello, 1); err != nil {
					t.Fatal(err)
				}
				if err := <-shaken; err != nil {
					t.Fatal(err)
				}
				wantBytes(t, client, hello)
				synctest.Wait() // and nobody reads any more
				returned := make(chan struct{})
				go func() {
					c.Hangup()
					close(returned)
				}()
				synctest.Wait()
				select {
				case <-returned:
				default:
					t.Error("Hangup waits for the client")
				}
				if n, err := client.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
					t.Errorf("the client has read %d bytes, %v", n, err)
				}
				client.Close()
				if err := r.wait(t); !errors.Is(err, net.ErrClosed) {
					t.Errorf("Closed(%v)", err)
				}
				closePoller(t, u)
			})
		})
	}
}

func TestAbort(t *testing.T) {
	u := newUpgrader(t, Options{})
	server, client := tcpPair(t)
	r := newRecorder()
	c := start(t, u, server, r)
	clog(t, c)
	c.Abort()
	c.Abort()
	c.Close(1000, "")
	if err := r.wait(t); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Closed(%v)", err)
	}
	client.Close()
}

// A peer that breaks the rules and still sends learns why it is closed: the
// close frame is not lost to a reset.
func TestViolationWhileSending(t *testing.T) {
	u := newUpgrader(t, Options{MaxPayload: 1000, CloseTimeout: time.Minute})
	server, client := tcpPair(t)
	start(t, u, server, newRecorder())
	write(t, client, clientFrame(ws.OpBinary, true, make([]byte, 8<<20)))
	if _, closing := readAll(t, client); closing != "\x03\xf1message too big!" {
		t.Errorf("close frame %q", closing)
	}
	client.Close()
}

// A peer that neither reads nor leaves is cut off in time.
func TestTimeouts(t *testing.T) {
	pairs := map[string]func(testing.TB) (net.Conn, net.Conn){
		"tcp":  tcpPair,
		"pipe": func(testing.TB) (net.Conn, net.Conn) { return net.Pipe() },
	}
	for name, pair := range pairs {
		t.Run(name+"/write", func(t *testing.T) {
			u := newUpgrader(t, Options{WriteTimeout: 20 * time.Millisecond})
			server, _ := pair(t)
			r := newRecorder()
			c := start(t, u, server, r)
			clog(t, c)
			err := r.wait(t)
			if stalled, ok := errors.AsType[*StalledError](err); !ok || stalled.Bytes == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("Closed(%v)", err)
			}
			if err := c.Send([]byte("x"), 1); !errors.Is(err, ErrClosed) {
				t.Errorf("Send = %v", err)
			}
		})
		t.Run(name+"/close with output", func(t *testing.T) {
			u := newUpgrader(t, Options{WriteTimeout: time.Hour, CloseTimeout: 20 * time.Millisecond})
			server, _ := pair(t)
			r := newRecorder()
			c := start(t, u, server, r)
			clog(t, c)
			c.Close(1000, "")
			if err := r.wait(t); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Closed(%v)", err)
			}
		})
	}
	t.Run("close, peer stays", func(t *testing.T) {
		u := newUpgrader(t, Options{CloseTimeout: 20 * time.Millisecond})
		server, _ := tcpPair(t)
		r := newRecorder()
		start(t, u, server, r).Close(1000, "")
		if err := r.wait(t); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Closed(%v)", err)
		}
	})
	t.Run("violation, peer keeps sending", func(t *testing.T) {
		u := newUpgrader(t, Options{CloseTimeout: 20 * time.Millisecond})
		server, client := tcpPair(t)
		r := newRecorder()
		start(t, u, server, r)
		junk := bytes.Repeat([]byte{0xff}, 64<<10)
		var err error
		for err == nil { // until the socket is closed
			_, err = client.Write(junk)
		}
		if err := r.wait(t); !local(1002)(err) {
			t.Errorf("Closed(%v)", err)
		}
	})
}

// CloseTimeout is for everything that is left to do: progress does not prolong
// it.
func TestCloseTimeoutIsForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpgrader(t, Options{WriteTimeout: time.Hour, CloseTimeout: 5 * time.Second})
		server, client := net.Pipe()
		r := newRecorder()
		c, err := u.attach(server, nil, func(*Conn) Handler { return r }) // not started: no read deadline helps
		if err != nil {
			t.Fatal(err)
		}
		frame := AppendText(nil, make([]byte, 2*recordSize)) // too large to be joined
		for range 10 {
			if err := c.Send(frame, 1); err != nil {
				t.Fatal(err)
			}
		}
		begin := time.Now()
		c.Close(1000, "")
		for err == nil {
			time.Sleep(2 * time.Second)
			_, err = io.ReadFull(client, make([]byte, len(frame)))
		}
		if err := r.wait(t); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Closed(%v)", err)
		}
		if d := time.Since(begin); d > 6*time.Second {
			t.Errorf("closed after %v", d)
		}
		closePoller(t, u)
	})
}

// The deadline of a flush does not outlive it: what is sent later is not
// refused.
func TestSendAfterFlush(t *testing.T) {
	for timeout := 300 * time.Millisecond; !sendAfterFlush(t, timeout); timeout *= 2 {
	}
}

// sendAfterFlush sends after a flush whose time is over. It is false when the time was over before the client, on a busy machine,
// had read.
func sendAfterFlush(t *testing.T, timeout time.Duration) bool {
	t.Helper()
	u := newUpgrader(t, Options{WriteTimeout: timeout})
	server, client := tcpPair(t)
	r := newRecorder()
	c := start(t, u, server, r)
	begun := time.Now()
	sent := clog(t, c)
	if _, err := io.ReadFull(client, make([]byte, len(sent))); err != nil {
		if time.Since(begun) > timeout && timeout < patience {
			return false
		}
		t.Fatal(err)
	}
	select {
	case err := <-r.closed:
		t.Fatalf("Closed(%v)", err)
	case <-time.After(timeout + 10*time.Millisecond):
	}
	if err := c.Send(AppendText(nil, []byte("later")), 1); err != nil {
		t.Errorf("Send = %v", err)
	}
	return true
}

// A peer that takes something now and then is not cut off, and the deadline of
// a flush does not outlive it.
func TestWriteTimeoutIsForNoProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpgrader(t, Options{WriteTimeout: 10 * time.Second})
		server, client := net.Pipe()
		r := newRecorder()
		c := start(t, u, server, r)
		frame := AppendText(nil, []byte("0123456789"))
		for round := range 2 {
			for range 10 {
				if err := c.Send(frame, 1); err != nil {
					t.Fatal(err)
				}
				time.Sleep(9 * time.Second)
				if _, err := io.ReadFull(client, make([]byte, len(frame))); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if !c.Writable() {
					t.Fatal("not written")
				}
			}
			time.Sleep(time.Hour)
			if len(r.closed) != 0 {
				t.Fatalf("round %d: Closed(%v)", round, <-r.closed)
			}
		}
		client.Close()
		synctest.Wait()
		if err := r.wait(t); !errors.Is(err, io.EOF) {
			t.Errorf("Closed(%v)", err)
		}
		closePoller(t, u)
	})
}

// Who closes all connections waits for those who take something, and not for those who do not.
func TestLinger(t *testing.T) {
	for name, test := range map[string]struct {
		takes int // one every 1.1 s
		ended time.Duration
		ctx   time.Duration
		want  time.Duration
	}{
		"all have ended":         {takes: 9, ended: 500 * time.Millisecond, ctx: time.Hour, want: 500 * time.Millisecond},
		"nobody takes anything":  {ended: time.Hour, ctx: time.Hour, want: 2 * time.Second},
		"somebody takes some":    {takes: 5, ended: time.Hour, ctx: time.Hour, want: 7400 * time.Millisecond},
		"until the context ends": {takes: 99, ended: time.Hour, ctx: 20 * time.Second, want: 20 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u, done := new(Upgrader), make(chan struct{})
				ctx, cancel := context.WithTimeout(t.Context(), test.ctx)
				defer cancel()
				var others sync.WaitGroup
				others.Go(func() {
					select {
					case <-time.After(test.ended):
						close(done)
					case <-ctx.Done():
					}
				})
				others.Go(func() {
					for range test.takes {
						select {
						case <-time.After(1100 * time.Millisecond):
							u.flushed.Add(1)
						case <-ctx.Done():
						}
					}
				})
				begun := time.Now()
				u.Linger(ctx, done, 2*time.Second)
				if took := time.Since(begun); took != test.want {
					t.Errorf("%v, want %v", took, test.want)
				}
				cancel()
				others.Wait()
			})
		})
	}
}
