package httpconn_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"crier/io/httpconn"
	"crier/io/netpoll"
	"crier/io/wsconn"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// port is an http.Server, with or without a Server that keeps the connections of /poll and /now.
type port struct {
	t      testing.TB
	addr   string
	web    *http.Server
	keeper *httpconn.Server // nil: without
	polls  chan *waiter     // those that wait
	served sync.WaitGroup
	poller *netpoll.Poller
	once   sync.Once
}

// waiter is the owner of a poll.
type waiter struct {
	*httpconn.Waiting
	gone chan struct{}
}

func (w *waiter) Gone(p *httpconn.Waiting) {
	if w.Waiting != nil && p != w.Waiting {
		panic("another one has gone")
	}
	close(w.gone) // twice would panic
}

// keeping is how a port keeps connections.
type keeping int

const (
	unkept       keeping = iota // net/http has them all
	onGoroutines                // one parked for each
	onEpoll                     // where there is one
)

// openPort starts a port, which the end of the test stops.
func openPort(t testing.TB, kept keeping, idle time.Duration) *port {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &port{t: t, addr: l.Addr().String(), polls: make(chan *waiter, 100), poller: netpoll.New(netpoll.Options{})}
	p.web = &http.Server{Handler: p, IdleTimeout: idle, ErrorLog: log.New(io.Discard, "", 0)}
	listeners := []net.Listener{l}
	if kept == onEpoll {
		if err := p.poller.UseEpoll(); err != nil && !errors.Is(err, netpoll.ErrNoEpoll) {
			t.Fatal(err)
		}
	}
	if kept != unkept {
		u, err := wsconn.NewUpgrader(wsconn.Options{Poller: p.poller})
		if err != nil {
			t.Fatal(err)
		}
		p.keeper, err = httpconn.New(httpconn.Options{Upgrader: u, Server: p.web, Takes: func(method, path, _ string) bool {
			return (path == "/poll" || path == "/now") && method != http.MethodPut
		}})
		if err != nil {
			t.Fatal(err)
		}
		p.web.Handler = p.keeper.Around(p)
		listeners = append(listeners, p.keeper)
	}
	for _, l := range listeners {
		p.served.Go(func() {
			if err := p.web.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				t.Error(err)
			}
		})
	}
	t.Cleanup(p.stop)
	return p
}

// stop stops it as app does.
func (p *port) stop() {
	p.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := p.web.Shutdown(ctx); err != nil {
			p.t.Errorf("stopping: %v", err)
		}
		if p.keeper != nil {
			p.keeper.Wait(ctx)
		}
		p.served.Wait()
		if err := p.poller.Close(ctx); err != nil {
			p.t.Errorf("closing the poller: %v", err)
		}
	})
}

// ServeHTTP answers /now with what it sees of the request, and has /poll wait, with the same.
func (p *port) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 100))
	seen := fmt.Sprintf("%s %s %s %q %v %d %v", r.Method, r.RequestURI, r.Host, body, err, r.ContentLength, r.Header)
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "Origin")
	if cookie := r.Header.Get("Cookie"); cookie != "" {
		h.Add("Set-Cookie", cookie)
		h.Add("Set-Cookie", "b=2")
	}
	if err != nil {
		h.Set("Connection", "close") // net/http does so itself, as handlers of ours do
	}
	if r.URL.RawQuery == "panic" {
		panic(http.ErrAbortHandler)
	}
	if r.URL.Path != "/poll" {
		httpconn.Take(w)
		answer(seen)(w)
		return
	}
	one := &waiter{gone: make(chan struct{})}
	one.Waiting = httpconn.Park(w, r, one)
	switch r.URL.RawQuery {
	case "now":
		one.Respond(answer(seen))
	case "error":
		one.Respond(func(w http.ResponseWriter) { http.Error(w, "not this one", http.StatusBadRequest) })
	case "hold":
		p.polls <- one
	default:
		p.served.Go(func() { one.Respond(answer(seen)) })
	}
	one.Wait()
}

// answer writes a text as polls are answered.
func answer(text string) func(w http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
		w.Header().Set("Content-Length", fmt.Sprint(len(text)))
		if _, err := io.WriteString(w, text); err != nil {
			return // the client has gone
		}
	}
}

// caller is a connection to a port.
type caller struct {
	*net.TCPConn
	t  testing.TB
	in *bufio.Reader
}

func (p *port) dial() *caller {
	p.t.Helper()
	c, err := net.Dial("tcp", p.addr)
	if err == nil {
		err = c.SetDeadline(time.Now().Add(patience))
	}
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			p.t.Error(err)
		}
	})
	return &caller{c.(*net.TCPConn), p.t, bufio.NewReader(c)}
}

func (c *caller) send(raw string) {
	c.t.Helper()
	if _, err := io.WriteString(c, raw); err != nil {
		c.t.Fatal(err)
	}
}

var date = regexp.MustCompile(`Date: [^\r]*`)

// receive reads one answer and returns its bytes, with the same date always.
func (c *caller) receive() string { return c.receiveTo("") }

// receiveTo is the same for the answer to a request.
func (c *caller) receiveTo(request string) string {
	c.t.Helper()
	var raw bytes.Buffer
	for !bytes.HasSuffix(raw.Bytes(), []byte("\r\n\r\n")) {
		line, err := c.in.ReadBytes('\n')
		if raw.Write(line); err != nil {
			c.t.Fatalf("after %q: %v", raw.String(), err)
		}
	}
	head := raw.String()
	if _, value, found := strings.Cut(head, "Content-Length: "); found && !strings.HasPrefix(request, "HEAD") {
		var n int64
		if _, err := fmt.Sscan(value, &n); err != nil {
			c.t.Fatal(err)
		}
		if _, err := io.CopyN(&raw, c.in, n); err != nil {
			c.t.Fatal(err)
		}
	}
	return date.ReplaceAllString(raw.String(), "Date: now")
}

// ended waits for the end of the connection.
func (c *caller) ended() {
	c.t.Helper()
	if rest, err := io.ReadAll(c.in); err != nil || len(rest) > 0 {
		c.t.Errorf("instead of the end: %q, %v", rest, err)
	}
}

// next is the next poll that waits.
func (p *port) next() *waiter {
	p.t.Helper()
	select {
	case one := <-p.polls:
		return one
	case <-time.After(patience):
		p.t.Fatal("no poll came")
		panic("unreachable")
	}
}

// await waits until ready says so.
func await(t testing.TB, what string, ready func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ready(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not after %v", what, patience)
		}
	}
}
