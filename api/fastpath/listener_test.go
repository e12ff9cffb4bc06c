package fastpath

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"crier/io/http1"
	"crier/io/netpoll"
)

const (
	push     = "POST /v1/push HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"
	longPush = "POST /v1/push?long HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"
	other    = "GET /v1/users HTTP/1.1\r\nHost: a\r\n\r\n"
)

// echo answers with the request's target and body.
func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		w.Header().Set("Content-Type", "text/plain")
		_, err = w.Write([]byte(r.RequestURI + " " + string(body)))
	}
	if err != nil {
		panic(err)
	}
}

// answer reads the next answer of a connection, and returns its body.
func answer(t testing.TB, in *bufio.Reader) (body string, closes bool) {
	t.Helper()
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatalf("reading an answer: %v", err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("reading an answer: %v", err)
	}
	return string(b), resp.Close
}

// wantAnswer reads an answer that has to have the body want.
func wantAnswer(t testing.TB, in *bufio.Reader, want string) {
	t.Helper()
	if got, _ := answer(t, in); got != want {
		t.Errorf("the answer is %q, want %q", got, want)
	}
}

// wantEnd checks that nothing more comes.
func wantEnd(t testing.TB, in io.Reader) {
	t.Helper()
	if rest, err := io.ReadAll(in); err != nil || len(rest) > 0 {
		t.Errorf("at the end came %q, %v", rest, err)
	}
}

func TestNew(t *testing.T) {
	l := &pipes{}
	for name, o := range map[string]Options{
		"nothing":        {},
		"no handler":     {Listener: l, Server: &http.Server{}, Takes: takes},
		"no Takes":       {Listener: l, Server: &http.Server{Handler: http.NotFoundHandler()}},
		"ReadTimeout":    {Listener: l, Server: &http.Server{Handler: http.NotFoundHandler(), ReadTimeout: 1}, Takes: takes},
		"MaxHeaderBytes": {Listener: l, Server: &http.Server{Handler: http.NotFoundHandler(), MaxHeaderBytes: 4096}, Takes: takes},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestHandOver goes over to net/http in the middle of a connection, which then has all of it.
func TestHandOver(t *testing.T) {
	p := open(t, true, echo)
	c := p.dial(t)
	in := bufio.NewReader(c)
	for range 2 {
		send(t, c, push)
		wantAnswer(t, in, "/v1/push {}")
	}
	if n := p.handed.Load(); n != 0 {
		t.Errorf("%d connections went to net/http", n)
	}
	send(t, c, other+push+push+other)
	for _, want := range []string{"/v1/users ", "/v1/push {}", "/v1/push {}", "/v1/users "} {
		wantAnswer(t, in, want)
	}
	if n := p.handed.Load(); n != 1 {
		t.Errorf("%d connections went to net/http, want 1", n)
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	wantEnd(t, in)
}

// TestHijack has a connection that went to net/http taken over by a handler: it can be had bare.
func TestHijack(t *testing.T) {
	bare := make(chan bool, 1)
	p := open(t, true, func(w http.ResponseWriter, r *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		h, ok := c.(*http1.Early)
		bare <- ok && h.Bare() == h.Conn
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	c := p.dial(t)
	send(t, c, other)
	wantEnd(t, c)
	if !<-bare {
		t.Error("something is left before the connection")
	}
}

// TestBlankLines sends what old clients send behind the body of a POST.
func TestBlankLines(t *testing.T) {
	p := open(t, true, echo)
	for _, blank := range []string{"\r\n", "\n", "\r\n\r\n"} {
		c := p.dial(t)
		in := bufio.NewReader(c)
		for range 3 {
			send(t, c, push)
			wantAnswer(t, in, "/v1/push {}")
			send(t, c, blank)
		}
		send(t, c, other)
		wantAnswer(t, in, "/v1/users ")
		send(t, c, push+"\r\n\r\n\r\n"+push)
		wantAnswer(t, in, "/v1/push {}")
		if status, err := in.Peek(12); err != nil || string(status) != "HTTP/1.1 400" {
			t.Errorf("six line ends are answered with %q, %v", status, err)
		}
	}
}

// TestContext looks for what ends the context of a request.
func TestContext(t *testing.T) {
	began := make(chan context.Context)
	p := open(t, true, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "long" {
			echo(w, r)
			return
		}
		began <- r.Context()
		<-r.Context().Done()
		began <- r.Context()
	})
	t.Run("the caller goes", func(t *testing.T) {
		c := p.dial(t)
		send(t, c, longPush)
		if err := (<-began).Err(); err != nil {
			t.Errorf("before: %v", err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if err := (<-began).Err(); !errors.Is(err, context.Canceled) {
			t.Errorf("after: %v", err)
		}
	})
	t.Run("the caller has gone", func(t *testing.T) {
		c := p.dial(t)
		send(t, c, longPush)
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		<-began
		<-began
	})
}

// TestWatched lets handlers ask for the end of a request that is answered: the bytes that came meanwhile are not lost.
func TestWatched(t *testing.T) {
	asked, went := make(chan context.Context), make(chan bool)
	p := open(t, true, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "long" {
			r.Context().Done()
			asked <- r.Context()
			<-went
		}
		echo(w, r)
	})
	for _, ahead := range []string{"", push, longPush, "\r\n" + push, other, push[:20]} {
		t.Run(ahead, func(t *testing.T) {
			c := p.dial(t)
			in := bufio.NewReader(c)
			send(t, c, longPush)
			ctx := <-asked
			send(t, c, ahead)
			went <- true
			wantAnswer(t, in, "/v1/push?long {}")
			if <-ctx.Done(); !errors.Is(ctx.Err(), context.Canceled) {
				t.Errorf("a context ended with %v", ctx.Err())
			}
			if strings.HasPrefix(ahead, "POST /v1/push?") {
				<-asked
				went <- true
			}
			switch ahead {
			case "":
				send(t, c, push)
			case push[:20]:
				send(t, c, push[20:])
			}
			answer(t, in)
			send(t, c, push)
			wantAnswer(t, in, "/v1/push {}")
		})
	}
}

// TestKept uses a context after its request, which is wrong, and yet disturbs nobody.
func TestKept(t *testing.T) {
	kept := make(chan context.Context, 1)
	p := open(t, true, func(w http.ResponseWriter, r *http.Request) {
		if err := r.Context().Err(); err != nil {
			t.Errorf("at the beginning: %v", err)
		}
		kept <- r.Context()
		echo(w, r)
	})
	c := p.dial(t)
	in := bufio.NewReader(c)
	send(t, c, push)
	wantAnswer(t, in, "/v1/push {}")
	<-(<-kept).Done()
	send(t, c, push)
	wantAnswer(t, in, "/v1/push {}")
}

func TestPanic(t *testing.T) {
	p := open(t, true, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.RawQuery {
		case "abort":
			panic(http.ErrAbortHandler)
		case "panic":
			r.Context().Done()
			panic("a mistake")
		}
		echo(w, r)
	})
	bystander := p.dial(t)
	in := bufio.NewReader(bystander)
	send(t, bystander, push)
	wantAnswer(t, in, "/v1/push {}")
	for _, what := range []string{"abort", "panic"} {
		c := p.dial(t)
		send(t, c, "GET /?"+what+" HTTP/1.1\r\nHost: a\r\n\r\n")
		wantEnd(t, c)
		if logged := p.log.String(); strings.Contains(logged, "http: panic serving 127.0.0.1:") != (what == "panic") ||
			strings.Contains(logged, "a mistake") != (what == "panic") {
			t.Errorf("after %s: %q was logged", what, logged)
		}
	}
	send(t, bystander, push)
	wantAnswer(t, in, "/v1/push {}")
}

// TestFresh makes each of many requests on a connection of its own, more of them at once than goroutines are kept.
func TestFresh(t *testing.T) {
	const callers = 2 * maxWaiting
	arrived := make(chan bool)
	p := open(t, true, func(w http.ResponseWriter, r *http.Request) {
		arrived <- true
		echo(w, r)
	})
	for range 3 {
		var all []net.Conn
		for range callers {
			c := p.dial(t)
			send(t, c, push)
			all = append(all, c)
		}
		for range callers {
			<-arrived
		}
		for _, c := range all {
			wantAnswer(t, bufio.NewReader(c), "/v1/push {}")
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
		}
		await(t, "the end of all connections", func() bool {
			p.fast.mu.Lock()
			defer p.fast.mu.Unlock()
			return len(p.fast.open) == 0
		})
		await(t, "the end of most goroutines", func() bool { return p.fast.waiting.Load() <= maxWaiting })
	}
}

// TestStop stops a port with connections in every state.
func TestStop(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	began, went := make(chan bool), make(chan bool)
	p := openOn(t, l, nil, true, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "long" {
			began <- true
			<-went
		}
		echo(w, r)
	})
	fresh, idle, busy := p.dial(t), p.dial(t), p.dial(t)
	in := bufio.NewReader(busy)
	send(t, idle, push)
	wantAnswer(t, bufio.NewReader(idle), "/v1/push {}")
	send(t, busy, longPush)
	<-began
	await(t, "all connections", func() bool {
		p.fast.mu.Lock()
		defer p.fast.mu.Unlock()
		return len(p.fast.open) == 3
	})

	stopped := make(chan error, 1)
	go func() { stopped <- p.stop(t.Context()) }()
	wantEnd(t, fresh)
	wantEnd(t, idle)
	select {
	case err := <-stopped:
		t.Fatalf("stopped, with a request under way: %v", err)
	default:
	}
	went <- true
	body, closes := answer(t, in)
	if body != "/v1/push?long {}" || !closes {
		t.Errorf("the answer is %q, and closes: %v", body, closes)
	}
	wantEnd(t, in)
	if err := <-stopped; err != nil {
		t.Errorf("stopping: %v", err)
	}
	if err := p.fast.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
}

// TestStopInTime cuts off who takes too long.
func TestStopInTime(t *testing.T) {
	t.Run("polled", func(t *testing.T) {
		l, poller := polled(t)
		stopInTime(t, l, poller)
	})
	t.Run("parked", func(t *testing.T) { stopInTime(t, listen(t), nil) })
}

func stopInTime(t *testing.T, l net.Listener, poller *netpoll.Poller) {
	began, ended := make(chan bool), make(chan bool)
	p := openOn(t, l, poller, true, func(_ http.ResponseWriter, r *http.Request) {
		began <- true
		<-r.Context().Done()
		ended <- true
	})
	c := p.dial(t)
	send(t, c, push)
	<-began
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.stop(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("stopping: %v", err)
	}
	<-ended
	if err := p.fast.Wait(t.Context()); err != nil {
		t.Errorf("waiting: %v", err)
	}
}

// countingPort is a port that notes, each time it is to accept, how many connections are said to be open.
type countingPort struct {
	net.Listener
	open func() int
	said chan int
}

func (c *countingPort) Accept() (net.Conn, error) {
	c.said <- c.open()
	return c.Listener.Accept()
}

// TestOpenFromTheStart checks that each connection counts before the next one is accepted: a port that must keep descriptors
// back would see too late that there are too many.
func TestOpenFromTheStart(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	const conns = 50
	l := &countingPort{Listener: inner, said: make(chan int, conns+1)}
	var begun sync.WaitGroup
	begun.Add(1)
	var p *port
	l.open = func() int {
		begun.Wait()
		return p.fast.Open()
	}
	p = openOn(t, l, nil, true, echo)
	begun.Done()
	t.Cleanup(func() {
		if err := p.stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	for range conns {
		p.dial(t)
	}
	for n := range conns + 1 {
		if got := <-l.said; got != n {
			t.Errorf("%d connections are open when %d have been accepted", got, n)
		}
	}
}
