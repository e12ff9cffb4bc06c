package httpconn_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

const (
	poll = "GET /poll HTTP/1.1\r\nHost: a\r\n\r\n"
	hold = "GET /poll?hold HTTP/1.1\r\nHost: a\r\n\r\n"
	now  = "GET /now HTTP/1.1\r\nHost: a\r\nUser-Agent: b\r\n\r\n"
)

// sequences are requests on one connection, each sent when the one before has its answer.
func sequences() map[string][]string {
	const host = " HTTP/1.1\r\nHost: a\r\n"
	chunked := "POST /now" + host + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
	return map[string][]string{
		"polls":          {poll, poll, poll},
		"at once":        {"GET /poll?now" + host + "\r\n", poll, "GET /poll?now" + host + "\r\n"},
		"posts":          {"POST /now" + host + "Content-Length: 3\r\n\r\nabc", "POST /now" + host + "Content-Length: 0\r\n\r\n", poll, "POST /now" + host + "\r\n"},
		"many fields":    {poll, "GET /poll" + host + "Origin: http://a\r\nCookie: c=1\r\nAccept: */*\r\nAccept: text/plain\r\n\r\n", poll},
		"errors":         {"GET /poll?error" + host + "\r\n", poll, "GET /poll?error" + host + "\r\n"},
		"too large":      {poll, "POST /now" + host + "Content-Length: 200\r\n\r\n" + strings.Repeat("x", 200)},
		"much too large": {poll, "POST /now" + host + "Content-Length: 20000\r\n\r\n" + strings.Repeat("x", 20000)},
		"large head":     {poll, "GET /poll" + host + "A: " + strings.Repeat("x", 20000) + "\r\n\r\n", poll},
		"other path":     {poll, "GET /other" + host + "\r\n", poll, now},
		"other method":   {poll, "PUT /now" + host + "Content-Length: 1\r\n\r\nx", poll},
		"HEAD":           {poll, "HEAD /other" + host + "\r\n"},
		"chunked":        {chunked, poll, chunked, poll},
		"Expect":         {poll, "POST /now" + host + "Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc"},
		"HTTP/1.0":       {poll, "GET /poll HTTP/1.0\r\n\r\n"},
		"HTTP/1.0 first": {"GET /poll HTTP/1.0\r\nHost: a\r\n\r\n"},
		"close":          {poll, "GET /poll" + host + "Connection: close\r\n\r\n"},
		"close first":    {"GET /poll" + host + "Connection: close\r\n\r\n"},
		"keep alive":     {"GET /poll" + host + "Connection: keep-alive\r\n\r\n", "GET /now" + host + "Connection: Keep-Alive\r\n\r\n"},
		"blank lines":    {"POST /now" + host + "Content-Length: 3\r\n\r\nabc", "\r\n" + poll, poll},
		"no HTTP":        {poll, "\x16\x03\x01\r\n\r\n"},
		"no host":        {poll, "GET /poll HTTP/1.1\r\n\r\n"},
		"escaped":        {poll, "GET /pol%6c" + host + "\r\n", poll},
	}
}

// TestSame sends the same bytes to a port whose connections are kept and to one of net/http alone: the same comes back.
func TestSame(t *testing.T) {
	for name, requests := range sequences() {
		t.Run(name, func(t *testing.T) {
			theirs := openPort(t, unkept, 0).dial()
			ours := map[string]*caller{"goroutines": openPort(t, onGoroutines, 0).dial(), "epoll": openPort(t, onEpoll, 0).dial()}
			for i, raw := range requests {
				theirs.send(raw)
				want := theirs.receiveTo(raw)
				for how, c := range ours {
					c.send(raw)
					if got := c.receiveTo(raw); got != want {
						t.Fatalf("%d: %q: with %s a caller gets\n%s\nand from net/http\n%s", i, raw, how, got, want)
					}
				}
			}
		})
	}
}

// TestKept looks at whose a connection is.
func TestKept(t *testing.T) {
	p := openPort(t, onEpoll, 0)
	c := p.dial()
	for i, step := range []struct {
		raw  string
		kept int
	}{
		{"GET /other HTTP/1.1\r\nHost: a\r\n\r\n", 0},
		{poll, 1},
		{now, 1},
		{"GET /other HTTP/1.1\r\nHost: a\r\n\r\n", 0},
		{now, 1},
	} {
		c.send(step.raw)
		c.receive()
		if n := p.keeper.Stats().Open; n != step.kept {
			t.Errorf("%d: %d connections are kept, want %d", i, n, step.kept)
		}
	}
}

// A request in pieces is read by net/http, which waits for the rest.
func TestPieces(t *testing.T) {
	p := openPort(t, onEpoll, 0)
	c := p.dial()
	for range 3 {
		c.send(poll)
		want := c.receive()
		c.send(poll[:20])
		await(t, "handing back", func() bool { return p.keeper.Stats().Open == 0 })
		c.send(poll[20:])
		if got := c.receive(); got != want {
			t.Fatalf("in pieces %q, in one %q", got, want)
		}
	}
}

// Who sends requests without waiting for answers gets these in order.
func TestPipelined(t *testing.T) {
	p := openPort(t, onEpoll, 0)
	for name, begin := range map[string]string{"first": "", "later": poll} {
		t.Run(name, func(t *testing.T) {
			c := p.dial()
			if begin != "" {
				c.send(begin)
				c.receive()
			}
			c.send(hold)
			one := p.next()
			c.send(now + hold)
			c.send(poll)
			one.Respond(answer("first"))
			if got := c.receive(); !strings.HasSuffix(got, "first") {
				t.Errorf("first: %q", got)
			}
			if got := c.receive(); !strings.Contains(got, "GET /now") {
				t.Errorf("second: %q", got)
			}
			p.next().Respond(answer("third"))
			if got := c.receive(); !strings.HasSuffix(got, "third") {
				t.Errorf("third: %q", got)
			}
			if got := c.receive(); !strings.Contains(got, "GET /poll") {
				t.Errorf("fourth: %q", got)
			}
		})
	}
}

func TestGone(t *testing.T) {
	for _, kept := range []keeping{onEpoll, onGoroutines, unkept} {
		t.Run(fmt.Sprint("kept=", kept), func(t *testing.T) {
			p := openPort(t, kept, 0)
			for _, before := range []int{0, 3} {
				c := p.dial()
				for range before {
					c.send(poll)
					c.receive()
				}
				c.send(hold)
				one := p.next()
				if err := c.Close(); err != nil {
					t.Fatal(err)
				}
				select {
				case <-one.gone:
				case <-time.After(patience):
					t.Fatal("nobody is told that the client has gone")
				}
				one.Respond(answer("too late"))
			}
		})
	}
}

// A panic ends its own connection.
func TestPanic(t *testing.T) {
	p := openPort(t, onEpoll, 0)
	other := p.dial()
	other.send(hold)
	one := p.next()
	for _, before := range []int{0, 2} {
		c := p.dial()
		for range before {
			c.send(poll)
			c.receive()
		}
		c.send("GET /now?panic HTTP/1.1\r\nHost: a\r\n\r\n")
		c.ended()
	}
	one.Respond(answer("here"))
	if got := other.receive(); !strings.HasSuffix(got, "here") {
		t.Errorf("another one: %q", got)
	}
}

// An idle connection is closed in the end; one with a request that waits is not.
func TestIdle(t *testing.T) {
	p := openPort(t, onEpoll, 1500*time.Millisecond)
	waits, idle := p.dial(), p.dial()
	waits.send(hold)
	one := p.next()
	idle.send(poll)
	idle.receive()
	idle.ended()
	one.Respond(answer("here"))
	if got := waits.receive(); !strings.HasSuffix(got, "here") {
		t.Errorf("got %q", got)
	}
}

// An answer that the network does not take at once arrives nevertheless, before the next.
func TestLargeAnswer(t *testing.T) {
	p := openPort(t, onEpoll, 0)
	c := p.dial()
	text := strings.Repeat("0123456789abcdef", 1<<20) // more than the kernel keeps for who does not read
	for range 2 {
		c.send(hold)
		p.next().Respond(answer(text))
		if got := c.receive(); !strings.HasSuffix(got, "\r\n\r\n"+text) {
			t.Fatalf("%d bytes arrived", len(got))
		}
	}
}

// At a stop idle connections end at once, and others with their answer.
func TestStop(t *testing.T) {
	p := openPort(t, onEpoll, 0)
	waits, idle := p.dial(), p.dial()
	waits.send(poll)
	waits.receive()
	waits.send(hold)
	one := p.next()
	idle.send(poll)
	idle.receive()
	await(t, "keeping both", func() bool { return p.keeper.Stats().Open == 2 })
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := p.web.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	idle.ended()
	one.Respond(answer("last"))
	if got := waits.receive(); !strings.Contains(got, "Connection: close\r\n") || !strings.HasSuffix(got, "last") {
		t.Errorf("got %q", got)
	}
	waits.ended()
}

// Who is never answered is cut off at a stop, and its owner told.
func TestStopCutsOff(t *testing.T) {
	p := openPort(t, onEpoll, 0)
	c := p.dial()
	c.send(hold)
	one := p.next()
	c.send(now) // the reader waits
	p.stop()
	select {
	case <-one.gone:
	default:
		t.Error("the owner was not told")
	}
	if _, err := io.Copy(io.Discard, c); err == nil {
		return // or a reset
	}
}

// Who asks for the connection gets it.
func TestHijack(t *testing.T) {
	p := openPort(t, onEpoll, 0)
	handler := p.web.Handler
	p.web.Handler = p.keeper.Around(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		nc, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		if _, err := io.WriteString(nc, "mine"); err != nil {
			t.Error(err)
		}
		if err := nc.Close(); err != nil {
			t.Error(err)
		}
	}))
	c := p.dial()
	c.send(now)
	if got, err := io.ReadAll(c.in); err != nil || string(got) != "mine" {
		t.Errorf("got %q, %v", got, err)
	}
	p.web.Handler = handler
}
